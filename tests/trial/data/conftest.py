"""Fixtures of the tests of data preparation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.trial.made import data_config
from ugro.config import DataConfig

from .data_files import Make, line


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
