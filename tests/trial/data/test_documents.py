import codecs
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.trial.made import data_config
from ugro.errors import UserError
from ugro.trial.data.documents import Document, Skipped, read, sources

Read = Callable[..., list[Document]]


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """``reading("text", train_files=["*.txt"])`` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))

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


# Documents


def test_repeated_documents_have_one_identity_wherever_they_stand() -> None:
    one, again = (Document(place, {"prompt": "p", "completion": "c"}) for place in ("a:1", "b:7"))
    assert one.identity == again.identity
    moved = Document("a:1", {"completion": "p", "prompt": "c"})
    other = [moved, Document("a:1", {"prompt": "pc", "completion": ""})]
    assert len({one.identity, *(document.identity for document in other)}) == 3


def test_the_order_of_a_records_keys_does_not_matter() -> None:
    one = Document("a:1", {"prompt": "p", "completion": "c"})
    assert one.identity == Document("a:2", {"completion": "c", "prompt": "p"}).identity


def test_its_length_is_the_characters_of_its_texts_without_roles_and_keys() -> None:
    messages = [{"role": "user", "content": "Größe?"}, {"role": "assistant", "content": "12"}]
    assert Document("a:1", {"messages": messages}).length == 6 + 2
    assert Document("a:1", {"prompt": "2+2=", "completion": "4"}).length == 5
    parts = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    assert Document("a:1", {"messages": parts}).length == 2


def test_near_duplicates_differ_in_punctuation_white_space_and_case_alone() -> None:
    one = Document("a:1", {"text": "It is, after all, Done."})
    assert (
        one.normalised_digest
        == Document("a:2", {"text": "it is - after all:\n done"}).normalised_digest
    )
    assert (
        one.normalised_digest
        != Document("a:2", {"text": "it is after all undone"}).normalised_digest
    )


def test_what_has_neither_letters_nor_digits_is_near_nothing_but_itself() -> None:
    shrug, smile = (Document("a:1", {"text": text}) for text in ("¯\\_(-)_/¯", ":-)"))
    assert shrug.normalised_digest != smile.normalised_digest


def test_a_sum_is_no_near_duplicate_of_another_with_the_same_digits() -> None:
    sums = [("1+12=", "13"), ("11+2=", "13")]
    one, other = (Document("a:1", {"prompt": p, "completion": c}) for p, c in sums)
    assert one.normalised_digest != other.normalised_digest


# Python's own reference


def test_no_paragraph_of_the_reference_stands_in_two_topics(reading: Read) -> None:
    seen: set[str] = set()
    for text in texts(reading("pydocs")):
        own = {" ".join(p.split()) for p in re.split(r"\n\s*\n", text)}
        own = {paragraph for paragraph in own if len(paragraph) >= 40}
        assert not own & seen
        seen |= own
    assert len(seen) > 1000


def test_the_reference_is_most_of_what_python_prints_of_it(reading: Read) -> None:
    assert sum(document.length for document in reading("pydocs")) > 350_000


# Text files


def test_each_text_file_is_a_document_and_globs_are_read_in_order(reading: Read) -> None:
    Path("notes/deep").mkdir(parents=True)
    for name, text in (("b.txt", "bbb"), ("a.txt", "aaa"), ("deep/c.txt", "cc"), ("d.md", "d")):
        Path("notes", name).write_text(text)
    found = reading("text", train_files=["notes/*.txt"])
    assert texts(found) == ["aaa", "bbb"]
    assert [document.place for document in found] == ["notes/a.txt", "notes/b.txt"]
    assert sorted(texts(reading("text", train_files=["notes/**"]))) == ["aaa", "bbb", "cc", "d"]


def test_each_part_has_files_of_its_own(reading: Read) -> None:
    for part in ("train", "eval", "test"):
        Path(f"{part}.txt").write_text(f"of {part}")
    files = {f"{part}_files": [f"{part}.txt"] for part in ("train", "eval", "test")}
    for part in ("train", "eval", "test"):
        assert texts(reading("text", part, **files)) == [f"of {part}"]


def test_blank_files_are_no_documents(reading: Read) -> None:
    for name, text in (("a.txt", "text"), ("b.txt", " \n")):
        Path(name).write_text(text)
    assert texts(reading("text", train_files=["*.txt"])) == ["text"]


def test_a_text_is_read_whole_with_its_last_newline_and_one_kind_of_line_end(
    reading: Read,
) -> None:
    Path("a.txt").write_bytes(b"one\r\n\r\ntwo\r\n")
    Path("b.txt").write_bytes(b"one\n\ntwo\n")
    assert texts(reading("text", train_files=["*.txt"])) == ["one\n\ntwo\n"] * 2


@pytest.mark.parametrize("pattern", ["nothing/*.txt", "folder"])
def test_a_pattern_that_finds_no_file_is_told(pattern: str, reading: Read) -> None:
    Path("folder").mkdir()
    with pytest.raises(UserError, match=f"'{re.escape(pattern)}' given, allowed: files that exist"):
        reading("text", train_files=[pattern])


@pytest.mark.parametrize("source", ["text", "jsonl"])
def test_a_file_that_is_not_utf8_is_told_by_its_name_and_line(source: str, reading: Read) -> None:
    first = json.dumps({"text": "fine"})
    Path("latin.txt").write_bytes(f"{first}\n".encode() + "Größe".encode("latin-1"))
    with pytest.raises(UserError, match=r"^latin\.txt:2: not UTF-8 text") as told:
        reading(source, train_files=["latin.txt"])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("source", ["text", "jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_text(source: str, reading: Read) -> None:
    text = "Größe" if source == "text" else json.dumps({"text": "Größe"})
    Path("marked.txt").write_bytes(codecs.BOM_UTF8 + text.encode())
    assert texts(reading(source, train_files=["marked.txt"])) == ["Größe"]


# Records


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


USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
TOOLS = [{"type": "function", "function": {"name": "get_weather"}}]


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [USER, ANSWER]},
        {"messages": [USER, ANSWER], "tools": TOOLS},
        {"prompt": [USER], "completion": [ANSWER], "tools": TOOLS},
    ],
)
def test_a_conversation_keeps_its_tools(record: dict[str, Any], reading: Read) -> None:
    write_lines("train.jsonl", {**record, "id": 7})
    assert contents(reading("jsonl", train_files=["train.jsonl"])) == [record]


MALFORMED = [
    ("{not json", "not a JSON object"),
    ("[" * 100_000, "not a JSON object"),
    ([1, 2], "'list' given, allowed: {prompt, completion}, {messages"),
    ({"prompt": "p"}, r"\['prompt'\] given"),
    ({"prompt": "p", "completion": 4}, r"\['completion', 'prompt'\] given"),
    ({"messages": []}, r"\['messages'\] given"),
    ({"text": None}, r"\['text'\] given"),
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


def test_a_group_is_the_value_of_a_column_whatever_its_type(reading: Read) -> None:
    write_lines("train.jsonl", *({"text": "t", "user": user} for user in (7, "7", [1], 7)))
    groups = [one.group for one in reading("jsonl", train_files=["train.jsonl"], group_by="user")]
    assert groups[0] == groups[3]
    assert len(set(groups)) == 3
    assert reading("jsonl", train_files=["train.jsonl"])[0].group is None


def test_a_record_without_the_column_of_groups_is_malformed(reading: Read) -> None:
    write_lines("train.jsonl", {"text": "t", "user": 1}, {"text": "t"})
    with pytest.raises(UserError, match=r"^train\.jsonl:2: \['text'\] given.*data\.group_by=user"):
        reading("jsonl", train_files=["train.jsonl"], group_by="user")


# Data sets


@pytest.fixture
def data_set(reading: Read) -> str:
    """Return a folder with a data set of two splits."""
    Path("set").mkdir()
    train = datasets.Dataset.from_dict({"text": ["one", "", "two", None, "three"], "n": range(5)})
    train.to_parquet("set/train.parquet")
    datasets.Dataset.from_dict({"text": ["four", "two"], "n": [0, 1]}).to_parquet(
        "set/validation.parquet"
    )
    return "set"


def test_a_data_sets_splits_are_read_without_blank_rows(data_set: str, reading: Read) -> None:
    assert texts(reading("hub", path=data_set)) == ["one", "two", "three"]
    found = reading("hub", "eval", path=data_set, eval_split="validation")
    assert texts(found) == ["four", "two"]


def test_joined_rows_are_one_running_text(data_set: str, reading: Read) -> None:
    assert texts(reading("hub", path=data_set, join_rows=True)) == ["one\n\ntwo\n\nthree"]


def test_a_data_set_of_json_lines_with_another_text_column(reading: Read) -> None:
    Path("set").mkdir()
    write_lines("set/train.jsonl", {"body": "one"}, {"body": "two"})
    assert texts(reading("hub", path="set", text_column="body")) == ["one", "two"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"text_column": "body"}, r"^data\.text_column: 'body' given, allowed: text, n$"),
        ({"train_split": "dev"}, r"^data\.path: 'set' given.*dev"),
        ({"subset": "raw"}, r"^data\.path: 'set' given.*raw"),
    ],
)
def test_a_column_split_or_subset_that_is_not_there_is_told(
    given: dict[str, str], reason: str, data_set: str, reading: Read
) -> None:
    with pytest.raises(UserError, match=reason):
        reading("hub", path=data_set, **given)


# What would be read


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
