import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ugro.errors import UserError
from ugro.trial.data.documents import Skipped
from ugro.trial.data.record_files import csv_rows

from .conftest import Read, contents, texts, write_lines

# JSON lines


def test_a_record_keeps_what_is_trained_on_and_says_where_it_stands(reading: Read) -> None:
    pair = {"prompt": "2+2=", "completion": "4"}
    write_lines("train.jsonl", {**pair, "more": "is not read"}, "", {"text": "plain"})
    found = reading("jsonl", train_files=["train.jsonl"])
    assert contents(found) == [pair, {"text": "plain"}]
    assert [document.place for document in found] == ["train.jsonl:1", "train.jsonl:3"]


def test_only_line_feeds_end_a_record(reading: Read) -> None:
    text = "a\u2028b\u0085c\x0bd"  # Python's splitlines would cut here
    Path("train.jsonl").write_bytes(
        json.dumps({"text": text}, ensure_ascii=False).encode() + b'\r\n{"text": "next"}\r\n'
    )
    assert texts(reading("jsonl", train_files=["train.jsonl"])) == [text, "next"]


MALFORMED = [
    ("{not json", "not a JSON object"),
    ("[" * 100_000, "not a JSON object"),
    ([1, 2], "'list' given, allowed: {prompt, completion}, {messages"),
    ({"prompt": "p"}, r"\['prompt'\] given"),
    ({"prompt": "p", "completion": 4}, "completion: 4 given, allowed: text"),
    ({"messages": []}, "messages: 'list' given, allowed: a list of {role, content}"),
    ({"text": None}, "text: None given"),
    ('{"text": "half a pair: \\ud83d"}', "half of a surrogate pair"),
]


@pytest.mark.parametrize(("record", "reason"), MALFORMED)
def test_a_malformed_record_is_told_by_file_and_line(
    record: object, reason: str, reading: Read
) -> None:
    write_lines("train.jsonl", {"prompt": "p", "completion": "c"}, record)
    with pytest.raises(UserError, match=rf"^train\.jsonl:2: {reason}") as told:
        reading("jsonl", train_files=["train.jsonl"])
    assert "\n" not in str(told.value)


def test_malformed_records_that_are_skipped_are_counted_and_the_first_is_kept(
    reading: Read,
) -> None:
    good = {"prompt": "p", "completion": "c"}
    write_lines("train.jsonl", good, *(record for record, _ in MALFORMED), good)
    skipped = Skipped()
    found = reading("jsonl", skipped=skipped, train_files=["train.jsonl"], bad_records="skip")
    assert [document.place for document in found] == [
        "train.jsonl:1",
        f"train.jsonl:{len(MALFORMED) + 2}",
    ]
    assert skipped.count == len(MALFORMED)
    assert skipped.first.startswith("train.jsonl:2: not a JSON object")


def test_both_halves_of_a_surrogate_pair_are_a_character(reading: Read) -> None:
    write_lines("train.jsonl", '{"text": "\\ud83d\\ude00"}')
    assert texts(reading("jsonl", train_files=["train.jsonl"])) == ["😀"]


# Lists in JSON


PAIR = {"prompt": "2+2=", "completion": "4"}


def test_a_list_of_records_is_read_with_its_rows(reading: Read) -> None:
    Path("train.json").write_text(json.dumps([PAIR, {"text": "plain", "id": 7}], indent=2))
    found = reading("json", train_files=["train.json"])
    assert contents(found) == [PAIR, {"text": "plain"}]
    assert [document.place for document in found] == ["train.json:0", "train.json:1"]
    assert found[1].record == {"text": "plain", "id": 7}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[{"text": "a"},\n {"text"]', "train.json:2: not JSON (Expecting ':' delimiter"),
        ('{"text": "a"}\n{"text": "b"}', "train.json:2: not JSON (Extra data"),
        ('{"data": []}', "train.json: 'dict' given, allowed: a list of records; data=jsonl reads"),
        ('[{"text": "a"}, 7]', "train.json:1: 'int' given, allowed: {prompt, completion}"),
        ('[{"text": "\\ud83d"}]', "train.json:0: half of a surrogate pair"),
    ],
)
def test_what_is_no_list_of_records_is_told_by_its_line_or_row(
    text: str, line: str, reading: Read
) -> None:
    Path("train.json").write_text(text)
    with pytest.raises(UserError, match=f"^{re.escape(line)}") as told:
        reading("json", train_files=["train.json"])
    assert "\n" not in str(told.value)


# Tables


def test_a_table_is_read_as_text_with_the_first_line_of_each_row(reading: Read) -> None:
    table = 'prompt,completion,note\n007=,7,NA\n"two\nlines, ""quoted""",0.50,\n\nlast,1,null\n'
    Path("train.csv").write_bytes(b"\xef\xbb\xbf" + table.encode())
    found = reading("csv", train_files=["train.csv"])
    assert contents(found) == [
        {"prompt": "007=", "completion": "7"},
        {"prompt": 'two\nlines, "quoted"', "completion": "0.50"},
        {"prompt": "last", "completion": "1"},
    ]
    assert [document.record["note"] for document in found] == ["NA", "", "null"]
    places = ["train.csv:2", "train.csv:3", "train.csv:6"]
    assert [document.place for document in found] == places


def test_a_table_with_tabs_and_a_cell_longer_than_pythons_limit(reading: Read) -> None:
    Path("train.tsv").write_text(f"id\ttext\n1\t{'long, ' * 100_000}\n")
    assert texts(reading("csv", train_files=["train.tsv"])) == ["long, " * 100_000]


BAD_ROWS = [
    ("a", "1 values given, allowed: 2: prompt, completion"),
    ("a,b,c", "3 values given, allowed: 2: prompt, completion"),
    ('"a"b,c', "not a CSV row"),
]


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS)
def test_a_row_unlike_its_header_is_told_by_its_line(row: str, reason: str, reading: Read) -> None:
    Path("train.csv").write_text(f"prompt,completion\np,c\n{row}\n")
    with pytest.raises(UserError, match=rf"^train\.csv:3: '?{re.escape(reason)[:9]}"):
        reading("csv", train_files=["train.csv"])


def test_rows_unlike_their_header_can_be_skipped(reading: Read) -> None:
    rows = "\n".join(row for row, _ in BAD_ROWS)
    Path("train.csv").write_text(f"prompt,completion\np,c\n{rows}\nq,d\n")
    skipped = Skipped()
    found = reading("csv", skipped=skipped, train_files=["train.csv"], bad_records="skip")
    assert [document.place for document in found] == ["train.csv:2", "train.csv:6"]
    assert skipped.count == 3
    assert skipped.first.startswith("train.csv:3: '1 values' given")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("text,text\na,b\n", r"\['text'\] given"), ("\ntext\na\n", "'no column' given")],
)
def test_a_header_names_each_column_once(text: str, reason: str, reading: Read) -> None:
    Path("train.csv").write_text(text)
    with pytest.raises(UserError, match=rf"^train\.csv:1: {reason}.*names each column once$"):
        reading("csv", train_files=["train.csv"])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]))] * 2)))
def test_a_table_that_pandas_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    import csv

    import pandas as pd

    path = tmp_path_factory.mktemp("table") / "rows.csv"
    # By default pandas does not quote a lone carriage return, which ends a row for any reader.
    pd.DataFrame(rows, columns=["a", "b"]).to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    read: list[Any] = [record for _, record in csv_rows(path)]
    assert read == [{"a": a, "b": b} for a, b in rows]
