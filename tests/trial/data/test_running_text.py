import codecs
import json
import re
from pathlib import Path

import pytest

from ugro.errors import UserError

from .conftest import Read, texts


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


def test_a_record_of_running_text_is_its_text(reading: Read) -> None:
    Path("a.txt").write_text("text")
    for document in (*reading("text", train_files=["a.txt"]), *reading("pydocs")):
        assert document.record == document.content == {"text": document.content["text"]}
        assert document.format == "text"
