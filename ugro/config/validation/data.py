"""Validate the data: their sources, parts, columns and templates."""

import string
from collections.abc import Iterator

from ugro.config import DATA_SETS, RUNNING_TEXT, Config, DataConfig, Source
from ugro.config.eval_sets import eval_sets, name_faults
from ugro.config.metrics import value_names
from ugro.config.mixture import in_set, members, of_mixture
from ugro.config.validation.bounds import at_least, share
from ugro.errors import UserError, fault


def data_faults(config: Config) -> Iterator[str]:
    """Yield what is wrong with the data, a line each."""
    data = config.data
    yield from at_least("data.block_size", data.block_size, 2)
    yield from at_least("data.eval_block_size", data.eval_block_size, 2)
    for part in ("train", "eval", "test"):
        key = f"max_{part}_examples"
        yield from at_least(f"data.{key}", getattr(data, key), 1)
    for part in ("train", "eval"):
        if (given := getattr(data, f"max_{part}_blocks")) is not None:
            yield fault(f"data.max_{part}_blocks", given, f"its new name, data.max_{part}_examples")
    if not 0 < data.eval_fraction < 1:
        yield fault("data.eval_fraction", data.eval_fraction, "above 0, below 1")
    yield from share("data.test_fraction", data.test_fraction)
    if max(data.eval_fraction, data.test_fraction) < 1 <= data.eval_fraction + data.test_fraction:
        given = data.eval_fraction + data.test_fraction
        yield fault("data.eval_fraction + data.test_fraction", given, "below 1")
    if data.streaming:
        yield from _streaming(config)
    yield from _sets(data)
    yield from name_faults(data.eval_sets, config.task.name, value_names(config.metrics))
    yield from _eval_sets(data)


def _streaming(config: Config) -> Iterator[str]:
    """A stream has no end that could be known, and is read once."""
    data, training = config.data, config.training
    if data.source in (*RUNNING_TEXT, Source.mixture, Source.json) or data.join_rows:
        allowed = (
            "false, or a source that is read record by record: jsonl, csv, parquet, hub, arrow"
        )
        yield fault("data.streaming", True, allowed)
    for part in ("eval", "test"):
        own = getattr(data, f"{part}_files") or getattr(data, f"{part}_split")
        if not own and (part == "eval" or data.test_fraction):
            other = " or data.test_fraction=0" if part == "test" else ""
            where = f"data.{part}_split" if data.source in DATA_SETS else f"data.{part}_files"
            yield f"data.streaming: needs {where}{other}, as a stream is not split"
    if data.deduplicate:
        yield fault("data.deduplicate", True, "false, with data.streaming")
    if training.max_tokens is None or training.max_steps is not None:
        given = {"max_tokens": training.max_tokens, "max_steps": training.max_steps}
        yield fault("training", given, "max_tokens alone, with data.streaming: it is read so far")


def _sets(data: DataConfig) -> Iterator[str]:
    """Check each set of a mixture, or the only one."""
    if data.sets and data.source is not Source.mixture:
        yield fault("data.sets", data.sets, "none, or data=mixture")
    if data.source is Source.mixture and not data.sets:
        yield fault("data.sets", data.sets, "[{source: jsonl, train_files: [a.jsonl]}, ...]")
    for key in of_mixture(data):
        yield f"{key}: belongs to each set in data.sets where data=mixture"
    try:
        found = members(data)
    except UserError as error:
        yield from str(error).splitlines()
        return
    for member in found:
        for line in (*_source(member.data, "train"), *_columns(member.data)):
            yield in_set(line, member.key) if data.source is Source.mixture else line


def _eval_sets(data: DataConfig) -> Iterator[str]:
    try:
        found = eval_sets(data).values()
    except UserError as error:
        yield from str(error).splitlines()
        return
    for member in found:
        for line in (*_source(member.data, "eval"), *_columns(member.data)):
            yield in_set(line, member.key)


def _source(data: DataConfig, part: str) -> Iterator[str]:
    """Each source has either files, or a path with splits, for the part that it must have."""
    if data.source is Source.pydocs:
        return
    of_files = [f"{part}_files" for part in ("train", "eval", "test")]
    if data.source in DATA_SETS:
        if not data.path:
            yield fault("data.path", data.path, "a hub id or a folder")
        if not (split := getattr(data, f"{part}_split")):
            yield fault(f"data.{part}_split", split, "a split of the data set")
        others = of_files if data.source is Source.hub else [*of_files, "subset"]
        allowed = "none, as the data set has splits: data.eval_split"
    else:
        if not (given := getattr(data, f"{part}_files")):
            yield fault(f"data.{part}_files", given, "a list of paths or globs")
        others = ["path", "subset", "eval_split", "test_split"]
        allowed = "null, as the data are files: data.eval_files"
    for key in others:
        if given := getattr(data, key):
            yield fault(f"data.{key}", given, allowed)


def _columns(data: DataConfig) -> Iterator[str]:
    columns = {name: one for name, one in vars(data.columns).items() if one is not None}
    given: dict[str, object] = {f"data.columns.{name}": one for name, one in columns.items()}
    given |= {"data.group_by": data.group_by, "data.join_rows": data.join_rows}
    given["data.filter"] = data.filter
    templates = {"data.prompt": data.prompt, "data.completion": data.completion}
    if data.source in RUNNING_TEXT:
        for key, value in {**given, **templates}.items():
            if value:
                yield fault(key, value, f"none: data={data.source.name} has no columns")
    for key, template in templates.items():
        if template is not None and (reason := template_fault(template)):
            yield f"{fault(key, template, 'text with columns in braces, {question}')} ({reason})"
        if template is not None and (column := columns.get(key.removeprefix("data."))):
            yield fault(key, template, f"null, or data.columns instead, which names {column}")
    kinds = {"prompt": "pair", "completion": "pair", "text": "text", "messages": "messages"}
    named = [*columns, *(key.removeprefix("data.") for key, one in templates.items() if one)]
    if len({kinds[name] for name in named if name in kinds}) > 1:
        allowed = "those of one format: text; prompt and completion; or messages"
        yield fault("data.columns", ", ".join(named), allowed)


def template_fault(template: str) -> str | None:
    """Return why a text is no template of named columns; None if it is one."""
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        return str(error)
    nameless = any(not name or name[0].isdigit() for name in names)
    return "braces without the name of a column" if nameless else None
