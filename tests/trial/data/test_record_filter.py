from pathlib import Path

import pytest

from ugro.errors import UserError
from ugro.trial.data.documents import Skipped
from ugro.trial.data.preparation import prepare
from ugro.trial.model.random_llama import byte_tokenizer

from .conftest import Read, texts, write_lines
from .data_files import Make

ROWS = [{"text": f"row {number}", "score": number, "lang": "en"} for number in range(4)]


def test_records_that_do_not_meet_the_condition_are_left_out_and_counted(reading: Read) -> None:
    write_lines("train.jsonl", *ROWS, {"text": "row 4", "score": 9, "lang": "de"})
    skipped = Skipped()
    condition = "score >= 2 and lang == 'en'"
    found = reading("jsonl", train_files=["train.jsonl"], filter=condition, skipped=skipped)
    assert texts(found) == ["row 2", "row 3"]
    assert (skipped.filtered, skipped.count) == (3, 0)


def test_numbers_of_a_csv_file_are_compared_as_numbers(reading: Read) -> None:
    Path("train.csv").write_text("text,score,lang\na,10,en\nb,9.5,en\nc,2,en\n")
    assert texts(reading("csv", train_files=["train.csv"], filter="score > 9")) == ["a", "b"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (
            "stars > 1",
            "train.jsonl:1: ['lang', 'score', 'text'] given, allowed: a record with stars",
        ),
        ("lang > 1", "train.jsonl:1: data.filter: lang > 1: "),
        ("score", "train.jsonl:1: data.filter: score: gives 0, neither true nor false"),
        ("score >", "data.filter: score >: does not parse"),
    ],
)
def test_a_condition_that_does_not_fit_is_one_line(
    condition: str, message: str, reading: Read
) -> None:
    write_lines("train.jsonl", *ROWS)
    with pytest.raises(UserError) as raised:
        reading("jsonl", train_files=["train.jsonl"], filter=condition)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_misfits_are_skipped_with_other_bad_records(reading: Read) -> None:
    write_lines("train.jsonl", *ROWS, {"text": "row 4", "score": "many"})
    skipped = Skipped()
    given = {"filter": "score >= 2", "bad_records": "skip", "skipped": skipped}
    assert len(reading("jsonl", train_files=["train.jsonl"], **given)) == 2
    assert (skipped.filtered, skipped.count) == (2, 1)


def test_the_notes_tell_how_many_were_left_out(files: Make, tmp_path: Path) -> None:
    config = files([{"text": f"row {n}", "n": n} for n in range(30)], filter="n < 20")
    assert "10 records left out by data.filter" in prepare(config, byte_tokenizer(), tmp_path).notes
    config.filter = "n > 99"
    with pytest.raises(UserError, match=r"\(data\.filter left out 30 records\)"):
        prepare(config, byte_tokenizer(), tmp_path)


def test_text_that_only_looks_like_a_number_stays_text(reading: Read) -> None:
    Path("train.csv").write_text("text,code\na,1_000\nb,nan\nc,7\n")
    given = {"train_files": ["train.csv"], "filter": "code in ['1_000', 'nan']"}
    assert texts(reading("csv", **given)) == ["a", "b"]


def test_a_file_named_like_a_pattern_is_read(reading: Read) -> None:
    write_lines("train[1].jsonl", {"text": "a"})
    assert texts(reading("jsonl", train_files=["train[1].jsonl"])) == ["a"]
