"""Fixtures of the tests of data preparation."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.trial.made import data_config
from ugro.config import DataConfig
from ugro.trial.data.documents import Document, Skipped
from ugro.trial.data.reading import read

from .data_files import Make, line

Read = Callable[..., list[Document]]


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """``reading("text", train_files=["*.txt"])`` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    datasets.disable_progress_bars()

    def _read(
        source: str, part: str = "train", skipped: Skipped | None = None, **given: Any
    ) -> list[Document]:
        return list(read(data_config(source=source, **given), part, skipped or Skipped()))

    return _read


def contents(documents: list[Document]) -> list[Any]:
    return [document.content for document in documents]


def texts(documents: list[Document]) -> list[str]:
    return [document.content["text"] for document in documents]


def write_lines(path: str, *records: object) -> None:
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def files(tmp_path: Path) -> Make:
    """``files(["ab"], eval=["cd"])``: documents, or records, in files of their own."""

    def _files(train: Sequence[Any], **given: Any) -> DataConfig:
        parts = {"train": train, **{p: given.pop(p) for p in ("eval", "test") if p in given}}
        for part, records in parts.items():
            path = tmp_path / f"{part}.jsonl"
            path.write_text("".join(f"{line(one)}\n" for one in records))
        own = {f"{part}_files": [str(tmp_path / f"{part}.jsonl")] for part in parts}
        return data_config(**{**own, **given})

    return _files
