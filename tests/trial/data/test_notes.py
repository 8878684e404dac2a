"""Omitted and malformed records are noted."""

from pathlib import Path
from typing import Any

import pytest

from ugro.config import DataConfig
from ugro.errors import UserError
from ugro.trial.data.preparation import prepare

from .data_files import TOKENIZER, Make, character_tokenizer


def noted(config: DataConfig, cache: Path) -> set[str]:
    return set(prepare(config, TOKENIZER, cache).notes)


LONG = [("ab", "cdefgh"), ("a", "b"), ("abcdefgh", "i"), ("a", "bc")]


@pytest.mark.parametrize(
    ("given", "notes"),
    [
        (
            {"block_size": 6},
            {
                "train: 2 examples cut to 6 tokens, 7 are lost",
                "train: 1 example left out, where no token carries loss",
            },
        ),
        (
            {"block_size": 6, "too_long": "drop"},
            {"train: 2 examples longer than 6 tokens dropped, 19 tokens"},
        ),
        ({"max_train_examples": 3}, {"train: 1 example not used, by data.max_train_examples"}),
        (
            {"packing": "wrapped", "block_size": 6, "max_train_examples": 1},
            {
                "train: 1 row left out, where no token carries loss",
                "train: 3 rows not used, by data.max_train_examples",
            },
        ),
        ({}, set()),
    ],
)
def test_what_is_cut_or_left_out_is_said(
    given: dict[str, Any], notes: set[str], files: Make, tmp_path: Path
) -> None:
    assert noted(files(LONG, eval=["x"], test=["y"], **given), tmp_path) == notes


def test_records_that_stand_twice_are_said(files: Make, tmp_path: Path) -> None:
    texts, others = ["a", "b", "a", "c", "a"], {"eval": ["x", "b"], "test": ["C!", "x"]}
    shared = {
        "1 training record left out: also held out",
        "1 test document evaluated on as well",
        "1 held-out document equal to a training document except for punctuation, spaces or case",
    }
    kept = prepare(files(texts, **others), TOKENIZER, tmp_path)
    often = "2 repeated records, trained on each time they occur"
    assert set(kept.notes) == {*shared, often}
    assert kept.train.summary.examples == 4
    once = prepare(files(texts, **others, deduplicate=True), TOKENIZER, tmp_path)
    assert set(once.notes) == {*shared, "2 repeated records, used once"}
    assert once.train.summary.examples == 2


def test_records_whose_prompt_ends_within_a_token_are_said(files: Make, tmp_path: Path) -> None:
    config = files([("xa", "ab"), ("xa", "b")], eval=["y"], test=["z"])
    (note,) = prepare(config, character_tokenizer(), tmp_path).notes
    assert note.startswith("train: 1 example with a token across the border of prompt and")


# Malformed records


USER = {"role": "user", "content": "q"}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{not json", "not a JSON object"),
        ({"prompt": "p"}, r"\['prompt'\] given"),
        ({"messages": ["Hi"]}, r"\['str'\] given"),
        ({"messages": [USER]}, "no assistant message"),
    ],
)
def test_a_malformed_record_is_an_error_or_counted(
    bad: Any, reason: str, files: Make, tmp_path: Path
) -> None:
    given: dict[str, Any] = {"eval": ["x"], "test": ["y"]}
    with pytest.raises(UserError, match=rf"train\.jsonl:2: {reason}"):
        prepare(files(["a", bad, "b"], **given), TOKENIZER, tmp_path)
    data = prepare(files(["a", bad, "b"], **given, bad_records="skip"), TOKENIZER, tmp_path)
    assert data.train.summary.documents == 2
    (note,) = data.notes
    assert note.startswith("1 malformed record skipped, the first: ")
    assert "train.jsonl:2: " in note


def test_a_part_of_malformed_records_alone_is_refused(files: Make, tmp_path: Path) -> None:
    bad = {"messages": [USER]}
    for part in ("train", "eval"):
        records = {"train": ["a"], "eval": ["b"], part: [bad, bad]}
        with pytest.raises(UserError, match=rf"{part}\.jsonl:1: no assistant message"):
            prepare(files(**records, bad_records="skip"), TOKENIZER, tmp_path)
