from pathlib import Path

import pytest

from tests.trial.made import data_config
from ugro.errors import UserError
from ugro.trial.data.reading import sources
from ugro.trial.data.split import split_documents

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


@pytest.mark.parametrize("part", ["train", "eval", "test"])
def test_a_part_without_a_document_is_told_by_its_key(part: str, reading: Read) -> None:
    for name in ("train", "eval", "test"):
        rows = [] if name == part else [f"{name} {number}" for number in range(3)]
        Path(f"{name}.csv").write_text("\n".join(["text", *rows]) + "\n")
    files = {f"{name}_files": [f"{name}.csv"] for name in ("train", "eval", "test")}
    wanted = rf"^data\.{part}_files: \['{part}\.csv'\] given, allowed: at least one document$"
    with pytest.raises(UserError, match=wanted):
        split_documents(data_config(source="csv", **files))


def test_a_part_of_skipped_records_alone_says_why(reading: Read) -> None:
    Path("train.csv").write_text("words\na\nb\n")
    config = data_config(source="csv", train_files=["train.csv"], bad_records="skip")
    wanted = r"^data\.train_files: .* at least one document \(skipped: train\.csv:2: \['words'\]"
    with pytest.raises(UserError, match=wanted):
        split_documents(config)
