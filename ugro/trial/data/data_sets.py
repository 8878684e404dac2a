"""Read the rows of data sets with ``datasets``: Parquet files, the hub, folders, Arrow folders."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ugro.config import DataConfig, Source
from ugro.errors import UserError, fault
from ugro.trial.data.record_files import Row


def parquet_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file, from 0, without a copy in the cache of ``datasets``.

    Raises:
        UserError: the file is not Parquet.
    """
    import datasets

    try:
        rows = datasets.load_dataset(
            "parquet", data_files=[str(path)], split="train", streaming=True
        )
        yield from _numbered(str(path), rows)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise UserError(f"{path}: not a Parquet file ({_first_line(error)})") from error


def data_set_rows(config: DataConfig, split: str) -> Iterator[Row]:
    """Yield the rows of a split, counted from 0.

    Raises:
        UserError: there is no such data set or split.
    """
    return _numbered(f"{config.path} {split}", _loaded(config, split))


def fingerprint(config: DataConfig, split: str) -> str:
    """Identify a split without reading it.

    Raises:
        UserError: there is no such data set or split.
    """
    import datasets

    if config.streaming and config.source is Source.hub:  # nothing is downloaded
        with _explained(config):
            builder = datasets.load_dataset_builder(str(config.path), config.subset)
        return f"{builder.hash} {builder.config_id}"
    return str(_loaded(config, split)._fingerprint)


def _loaded(config: DataConfig, split: str) -> Any:
    import datasets

    with _explained(config):
        if config.source is Source.arrow:
            return _split(config, datasets.load_from_disk(str(config.path)), split)
        return datasets.load_dataset(
            str(config.path), config.subset, split=split, streaming=config.streaming
        )


@contextmanager
def _explained(config: DataConfig) -> Iterator[None]:
    """Raise errors of ``datasets`` as those of ``data.path``."""
    import datasets

    try:
        yield
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        allowed = "a data set on the hub or a folder, with data.subset and split as it has them"
        if config.source is Source.arrow:
            allowed = "a folder that datasets' save_to_disk wrote"
        reason = _first_line(error)
        raise UserError(f"{fault('data.path', config.path, allowed)} ({reason})") from error


def _split(config: DataConfig, loaded: Any, split: str) -> Any:
    """Return a split of a folder; a folder without splits is the training split."""
    import datasets

    splits = loaded if isinstance(loaded, datasets.DatasetDict) else {config.train_split: loaded}
    if split not in splits:
        allowed = f"a split of {config.path}: {', '.join(map(str, splits))}"
        splits_of = {config.eval_split: "eval_split", config.test_split: "test_split"}
        key = {**splits_of, config.train_split: "train_split"}[split]
        raise UserError(fault(f"data.{key}", split, allowed))
    return splits[split]


def _numbered(where: str, rows: Any) -> Iterator[Row]:
    for number, row in enumerate(_undecoded(rows)):
        yield f"{where}:{number}", {key: _without_padding(value) for key, value in row.items()}


def _undecoded(rows: Any) -> Any:
    """Leave images, audio and video as bytes: decoding needs further packages, and is not used."""
    import datasets

    media = (datasets.Audio, datasets.Image, datasets.Video)
    for name, feature in (rows.features or {}).items():
        if isinstance(feature, media):
            rows = rows.cast_column(name, type(feature)(decode=False))
    return rows


def _without_padding(value: Any) -> Any:
    """Drop the nulls that Arrow adds to an object for keys of other rows' objects.

    A chat template would print them. The content of a message may be null.
    """
    if isinstance(value, dict):
        return {
            key: _without_padding(one)
            for key, one in value.items()
            if one is not None or key == "content"
        }
    return [_without_padding(one) for one in value] if isinstance(value, list) else value


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
