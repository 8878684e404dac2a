"""Read the documents of a part of the data, whatever their format."""

import glob
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ugro.config import DATA_SETS, BadRecords, DataConfig, Source, TaskName
from ugro.config.eval_sets import eval_sets
from ugro.config.mixture import Member, members, named
from ugro.errors import UserError, fault
from ugro.trial.data.data_sets import data_set_rows, fingerprint, parquet_rows
from ugro.trial.data.documents import TEXT, Document, Skipped
from ugro.trial.data.recognition import Recogniser
from ugro.trial.data.record_files import Reader, Row, csv_rows, json_lines, json_list
from ugro.trial.data.record_filter import RecordFilter
from ugro.trial.data.running_text import pydocs, running, text_files

OF_SETS = "eval_sets."  # prefix of the parts of evaluation sets
READERS: Mapping[Source, Reader] = {
    Source.csv: csv_rows,
    Source.json: json_list,
    Source.jsonl: json_lines,
    Source.parquet: parquet_rows,
}


def read(
    config: DataConfig,
    part: str,
    skipped: Skipped,
    task: TaskName = TaskName.language_modeling,
) -> Iterator[Document]:
    """Yield the documents of a part.

    Args:
        config: data configuration
        part: ``train``, ``eval`` or ``test``
        skipped: counts records that ``data.bad_records=skip`` skips
        task: what the documents are for

    Raises:
        UserError: files or columns are missing, or a record is malformed.
    """
    if config.source is Source.mixture:
        return _mixed(config, part, skipped, task)
    if config.source is Source.pydocs:
        return pydocs()
    if config.source is Source.text:
        return text_files(files(config, part))
    documents = _recognised(Recogniser(config, task), config, _rows(config, part), skipped)
    return _joined(documents, part, config) if config.join_rows else documents


def separate_parts(config: DataConfig) -> list[str]:
    """Return the held-out parts with files or a split of their own, evaluation sets included."""
    own = [part for part in ("eval", "test") if has_part(config, part)]
    return [*own, *map(part_of_set, config.eval_sets)]


def part_of_set(name: str) -> str:
    """Return the name of the part of an evaluation set."""
    return f"{OF_SETS}{name}"


def read_separate(
    config: DataConfig, part: str, skipped: Skipped, task: TaskName
) -> Iterator[Document]:
    """Yield the documents of one of the :func:`separate_parts`, as :func:`read` does."""
    if not part.startswith(OF_SETS):
        yield from read(config, part, skipped, task)
        return
    member = eval_sets(config)[part.removeprefix(OF_SETS)]
    with named(member):
        yield from read(member.data, "eval", skipped, task)


def sources(config: DataConfig) -> list[str]:
    """Identify the data without reading them, by paths, sizes and modification times.

    Raises:
        UserError: files are missing.
    """
    if config.eval_sets:
        own = sources(replace(config, eval_sets={}))
        return [*own, *_sources_of(eval_sets(config).values())]
    if config.source is Source.mixture:
        return list(_sources_of(members(config)))
    if config.source is Source.pydocs:
        return [f"pydocs of Python {platform.python_version()}"]
    if config.source in DATA_SETS:
        splits = (config.train_split, config.eval_split, config.test_split)
        return [f"{split} {fingerprint(config, split)}" for split in splits if split]
    of_files = []
    for part in ("train", "eval", "test"):
        for path in files(config, part):
            status = path.stat()
            of_files.append(f"{part} {path.resolve()} {status.st_size} {status.st_mtime_ns}")
    return of_files


def _sources_of(sets: Iterable[Member]) -> Iterator[str]:
    for member in sets:
        with named(member):
            yield from (f"{member.key} {source}" for source in sources(member.data))


def location(config: DataConfig, part: str) -> tuple[str, object]:
    """Return the key that says where a part's documents are, and its value."""
    if part.startswith(OF_SETS):
        name = part.removeprefix(OF_SETS)
        return f"data.eval_sets.{name}", config.eval_sets[name]
    if config.source is Source.mixture:
        return "data.sets", config.sets
    if config.source in DATA_SETS:
        return f"data.{part}_split", getattr(config, f"{part}_split")
    return f"data.{part}_files", getattr(config, f"{part}_files")


def files(config: DataConfig, part: str) -> list[Path]:
    """Find the files of a part.

    Raises:
        UserError: a pattern finds none.
    """
    found: list[Path] = []
    for pattern in getattr(config, f"{part}_files"):
        path = os.path.expanduser(pattern)
        names = [path] if os.path.isfile(path) else glob.glob(path, recursive=True)
        matching = sorted(path for path in map(Path, names) if path.is_file())
        if not matching:
            raise UserError(fault(f"data.{part}_files", pattern, "files that exist"))
        found += matching
    return found


def _mixed(config: DataConfig, part: str, skipped: Skipped, task: TaskName) -> Iterator[Document]:
    """Yield the documents of each set of a mixture, with their weights and the set's index."""
    for index, member in enumerate(members(config)):
        if not _has(member.data, part):
            continue
        with named(member):
            for document in read(member.data, part, skipped, task):
                yield replace(document, weight=member.weight, member=index)


def has_part(config: DataConfig, part: str) -> bool:
    """Return whether a part of the data has files or a split of its own."""
    return any(_has(member.data, part) for member in members(config))


def _has(config: DataConfig, part: str) -> bool:
    if part == "train":
        return True
    return bool(getattr(config, f"{part}_files") or getattr(config, f"{part}_split"))


def _rows(config: DataConfig, part: str) -> Iterator[Row]:
    if config.source in DATA_SETS:
        yield from data_set_rows(config, getattr(config, f"{part}_split"))
        return
    for path in files(config, part):
        yield from READERS[config.source](path)


def _recognised(
    recognise: Recogniser, config: DataConfig, rows: Iterable[Row], skipped: Skipped
) -> Iterator[Document]:
    keep = RecordFilter(config)
    for place, row in rows:
        try:
            if isinstance(row, UserError):
                raise row
            if not keep(row, place):
                skipped.filtered += 1
                continue
            document = recognise(row, place)
        except UserError as error:
            if config.bad_records is BadRecords.error:
                raise
            skipped.note(str(error))
            continue
        if document is not None:
            yield document


def _joined(documents: Iterable[Document], part: str, config: DataConfig) -> Iterator[Document]:
    """Yield a single document of all rows' texts."""
    texts = []
    for document in documents:
        if document.format != TEXT:
            raise UserError(f"{document.place}: data.join_rows joins text, not {document.format}")
        texts.append(document.content["text"])
    if texts:
        key, where = location(config, part)
        yield running(f"{key}={where}", "\n\n".join(texts))
