from pathlib import Path

import pytest

from tests.trial.made import data_config
from ugro.errors import UserError
from ugro.trial.data.reading import sources

from .conftest import Read, write_lines


def test_files_are_named_by_size_and_time_without_being_read(reading: Read) -> None:
    Path("a.txt").write_bytes(b"\xff never decoded")
    config = data_config(source="text", train_files=["a.txt"])
    before = sources(config)
    assert sources(config) == before
    Path("a.txt").write_bytes(b"\xff never decoded at all")
    assert sources(config) != before


def test_a_file_of_another_part_is_another_source(reading: Read) -> None:
    for name in ("a.txt", "b.txt"):
        Path(name).write_text("text")
    both = [("a.txt", "b.txt"), ("b.txt", "a.txt")]
    first, second = (
        sources(data_config(source="text", train_files=[train], eval_files=[held]))
        for train, held in both
    )
    assert first != second


def test_joined_rows_must_be_text(reading: Read) -> None:
    write_lines("train.jsonl", {"text": "one"}, {"prompt": "p", "completion": "c"})
    line = r"^train\.jsonl:2: data\.join_rows joins text, not prompt and completion$"
    with pytest.raises(UserError, match=line):
        reading("jsonl", train_files=["train.jsonl"], join_rows=True)
