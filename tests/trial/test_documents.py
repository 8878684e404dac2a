import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st

from ugro.config import DataConfig, Source
from ugro.errors import UserError
from ugro.trial.documents import Document, Segment, Split, hold_out, split_documents
from ugro.trial.tiny import byte_tokenizer

TOKENIZER = byte_tokenizer()
Read = Callable[..., Split]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """``read(Source.text, train_files=["*.txt"])`` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))

    def _read(source: Source, **given: Any) -> Split:
        how = {"eval_fraction": 0.5, "split_seed": 0, "block_size": 8, **given}
        return split_documents(DataConfig(source=source, **how), TOKENIZER)

    return _read


def plain(text: str) -> Document:
    return Document((Segment(text),))


def texts(documents: tuple[Document, ...]) -> list[str]:
    return ["".join(segment.text for segment in document.segments) for document in documents]


def write_lines(path: str, *records: object) -> None:
    lines = (record if isinstance(record, str) else json.dumps(record) for record in records)
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


# Python's own reference


def test_no_paragraph_of_the_reference_is_in_both_train_and_evaluation(read: Read) -> None:
    split = read(Source.pydocs, eval_fraction=0.1)

    def paragraphs(documents: tuple[Document, ...]) -> set[str]:
        found = (p for text in texts(documents) for p in re.split(r"\n\s*\n", text))
        return {normalised for p in found if len(normalised := " ".join(p.split())) >= 40}

    train, evaluation = paragraphs(split.train), paragraphs(split.evaluation)
    assert len(train) > 1000
    assert len(evaluation) > 50
    assert not train & evaluation


def test_a_tenth_of_the_reference_is_held_out_and_never_more(read: Read) -> None:
    split = read(Source.pydocs, eval_fraction=0.1)
    held_out = sum(document.length for document in split.evaluation)
    total = held_out + sum(document.length for document in split.train)
    assert total > 350_000
    assert 0.09 * total < held_out <= 0.1 * total


def test_another_split_seed_holds_out_other_documents(read: Read) -> None:
    first, second = (read(Source.pydocs, eval_fraction=0.1, split_seed=seed) for seed in (0, 1))
    assert first.evaluation != second.evaluation
    assert first == read(Source.pydocs, eval_fraction=0.1, split_seed=0)


# Held out

LENGTHS = st.lists(st.integers(1, 60), min_size=2, max_size=30)
FRACTIONS = st.floats(0.01, 0.99)


@property_settings(deadline=None, derandomize=True, max_examples=50)
@given(lengths=LENGTHS, fraction=FRACTIONS, seed=st.integers(0, 2**32))
def test_the_two_sides_are_disjoint_in_order_and_together_everything(
    lengths: list[int], fraction: float, seed: int
) -> None:
    documents = [plain(f"{index:03d}" + "x" * n) for index, n in enumerate(lengths)]
    split = hold_out(documents, fraction, seed)
    assert not set(split.train) & set(split.evaluation)
    assert sorted(texts(split.train + split.evaluation)) == texts(tuple(documents))
    for side in (split.train, split.evaluation):
        assert side
        assert texts(side) == sorted(texts(side))
    assert hold_out(documents, fraction, seed) == split


@property_settings(deadline=None, derandomize=True, max_examples=50)
@given(lengths=LENGTHS, fraction=FRACTIONS, seed=st.integers(0, 2**32))
def test_the_fraction_is_never_exceeded_unless_every_document_is_too_long(
    lengths: list[int], fraction: float, seed: int
) -> None:
    documents = [plain(f"{index:03d}" + "x" * n) for index, n in enumerate(lengths)]
    most = fraction * sum(document.length for document in documents)
    held_out = hold_out(documents, fraction, seed).evaluation
    shortest = min(document.length for document in documents)
    if shortest > most:
        assert [document.length for document in held_out] == [shortest]
    else:
        assert sum(document.length for document in held_out) <= most


def test_a_giant_among_small_documents_stays_in_the_training_set() -> None:
    # 100 + 3 * 10 = 130 characters, a quarter is 32.5: the three small ones, never the giant.
    documents = [plain("g" * 100), *(plain(letter * 10) for letter in "abc")]
    for seed in range(10):
        split = hold_out(documents, 0.25, seed)
        assert texts(split.train) == ["g" * 100]
        assert texts(split.evaluation) == ["a" * 10, "b" * 10, "c" * 10]


# Text files


def test_each_text_file_is_a_document_and_globs_are_read_in_order(read: Read) -> None:
    Path("notes/deep").mkdir(parents=True)
    for name, text in (("b.txt", "bbb"), ("a.txt", "aaa"), ("deep/c.txt", "cc"), ("d.md", "d")):
        Path("notes", name).write_text(text)
    Path("held.txt").write_text("held out")
    split = read(Source.text, train_files=["notes/*.txt"], eval_files=["held.txt"])
    assert split == Split((plain("aaa"), plain("bbb")), (plain("held out"),))
    everything = read(Source.text, train_files=["notes/**"], eval_files=["held.txt"])
    assert sorted(texts(everything.train)) == ["aaa", "bbb", "cc", "d"]


def test_blank_and_repeated_texts_count_once_or_not_at_all(read: Read) -> None:
    for name, text in (("a.txt", "same"), ("b.txt", "same"), ("c.txt", " \n"), ("d.txt", "other")):
        Path(name).write_text(text)
    split = read(Source.text, train_files=["*.txt", "a.txt"])
    assert sorted(texts(split.train + split.evaluation)) == ["other", "same"]


def test_what_stands_in_the_evaluation_files_is_removed_from_the_training_set(read: Read) -> None:
    for name, text in (("a.txt", "alone"), ("b.txt", "shared"), ("c.txt", "shared")):
        Path(name).write_text(text)
    split = read(Source.text, train_files=["a.txt", "b.txt"], eval_files=["c.txt"])
    assert split == Split((plain("alone"),), (plain("shared"),))


def test_a_set_that_is_evaluated_on_as_a_whole_leaves_nothing_to_train_on(read: Read) -> None:
    Path("a.txt").write_text("alone")
    with pytest.raises(UserError, match=r"^data: '0 documents to train, 1 to evaluate' given"):
        read(Source.text, train_files=["a.txt"], eval_files=["*.txt"])


def test_one_document_alone_cannot_be_split(read: Read) -> None:
    Path("a.txt").write_text("alone")
    with pytest.raises(UserError, match="1 documents to train, 0 to evaluate"):
        read(Source.text, train_files=["a.txt"])


@pytest.mark.parametrize("pattern", ["nothing/*.txt", "folder"])
def test_a_pattern_that_finds_no_file_is_told(pattern: str, read: Read) -> None:
    Path("folder").mkdir()
    with pytest.raises(UserError, match=f"'{re.escape(pattern)}' given, allowed: files that exist"):
        read(Source.text, train_files=[pattern])


@pytest.mark.parametrize("source", [Source.text, Source.jsonl])
def test_a_file_that_is_not_utf8_is_told_by_its_name(source: Source, read: Read) -> None:
    Path("latin.txt").write_bytes("Größe".encode("latin-1"))
    with pytest.raises(UserError, match=r"^latin\.txt: not UTF-8 text"):
        read(source, train_files=["latin.txt"])


# Records


def test_a_completion_carries_loss_and_its_prompt_does_not(read: Read) -> None:
    write_lines("train.jsonl", {"prompt": "2+2=", "completion": "4"}, "", {"a": 1})
    write_lines("eval.jsonl", {"prompt": "1+1=", "completion": "2"})
    with pytest.raises(UserError, match=r"^train\.jsonl:3: \['a'\] given"):  # blank lines count
        read(Source.jsonl, train_files=["train.jsonl"], eval_files=["eval.jsonl"])
    write_lines("train.jsonl", {"prompt": "2+2=", "completion": "4", "more": "is not read"})
    split = read(Source.jsonl, train_files=["train.jsonl"], eval_files=["eval.jsonl"])
    assert split.train == (Document((Segment("2+2=", trained=False), Segment("4"))),)
    assert split.evaluation == (Document((Segment("1+1=", trained=False), Segment("2"))),)


USER, ANSWER = {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}
AGAIN, BYE = {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "Ciao"}
FIRST_TURN = (
    Segment("<|user|>\nHi<|end|>\n<|assistant|>\n", trained=False),
    Segment("Hello<|end|>\n"),
)
SECOND_TURN = (
    Segment("<|user|>\nBye<|end|>\n<|assistant|>\n", trained=False),
    Segment("Ciao<|end|>\n"),
)


@pytest.mark.parametrize(
    ("record", "segments"),
    [
        ({"messages": [USER, ANSWER]}, FIRST_TURN),
        ({"messages": [USER, ANSWER, AGAIN, BYE]}, FIRST_TURN + SECOND_TURN),
        ({"messages": [USER, ANSWER, AGAIN]}, FIRST_TURN),  # nobody answered the last question
        ({"prompt": [USER], "completion": [ANSWER]}, FIRST_TURN),
    ],
)
def test_a_chat_is_rendered_by_the_template_with_loss_on_what_the_assistant_says(
    record: dict[str, Any], segments: tuple[Segment, ...], read: Read
) -> None:
    write_lines("train.jsonl", record)
    write_lines("eval.jsonl", {"prompt": "p", "completion": "c"})
    split = read(Source.jsonl, train_files=["train.jsonl"], eval_files=["eval.jsonl"])
    assert split.train == (Document(segments, rendered=True),)


def test_the_system_message_is_part_of_the_prompt(read: Read) -> None:
    system = {"role": "system", "content": "Be brief."}
    write_lines("train.jsonl", {"messages": [system, USER, ANSWER]})
    write_lines("eval.jsonl", {"prompt": "p", "completion": "c"})
    split = read(Source.jsonl, train_files=["train.jsonl"], eval_files=["eval.jsonl"])
    prompt, answer = split.train[0].segments
    assert prompt.text == "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\n"
    assert (prompt.trained, answer.trained) == (False, True)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("{not json", "not a JSON object"),
        ([1, 2], "'list' given, allowed: {prompt, completion} or {messages"),
        ({"prompt": "p"}, r"\['prompt'\] given"),
        ({"prompt": "p", "completion": 4}, r"\['completion', 'prompt'\] given"),
        ({"messages": []}, r"\['messages'\] given"),
        ({"messages": ["Hi"]}, r"\['Hi'\] given, allowed: messages of {role, content}"),
        ({"messages": [USER]}, "no assistant message to learn from"),
        ({"messages": [ANSWER]}, "the chat template refuses this record"),
    ],
)
def test_a_malformed_record_is_told_by_file_and_line(
    record: object, reason: str, read: Read
) -> None:
    write_lines("train.jsonl", {"prompt": "p", "completion": "c"}, record)
    with pytest.raises(UserError, match=rf"^train\.jsonl:2: {reason}") as told:
        read(Source.jsonl, train_files=["train.jsonl"])
    assert "\n" not in str(told.value)


def tokenizer_with_template(template: str | None) -> Any:
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (None, "no chat template"),
        ("{{ raise_exception('roles must alternate') }}", "roles must alternate"),
        ("{{ messages[-1]['content'] }}", "rewrites earlier turns"),
    ],
)
def test_a_tokenizer_whose_template_cannot_be_used_is_told(
    template: str | None, reason: str, read: Read
) -> None:
    write_lines("chat.jsonl", {"messages": [USER, ANSWER]})
    config = DataConfig(
        Source.jsonl, train_files=["chat.jsonl"], eval_fraction=0.5, split_seed=0, block_size=8
    )
    with pytest.raises(UserError, match=rf"^chat\.jsonl:1: .*{reason}"):
        split_documents(config, tokenizer_with_template(template))


# Data sets


@pytest.fixture
def data_set(read: Read) -> str:
    """A data set of two splits on disk, as one would lay it into a folder."""
    Path("set").mkdir()
    train = datasets.Dataset.from_dict({"text": ["one", "", "two", None, "three"], "n": range(5)})
    train.to_parquet("set/train.parquet")
    datasets.Dataset.from_dict({"text": ["four", "two"], "n": [0, 1]}).to_parquet(
        "set/validation.parquet"
    )
    return "set"


def test_a_data_set_with_its_own_evaluation_split_is_used_as_it_is(
    data_set: str, read: Read
) -> None:
    split = read(Source.hub, path=data_set, eval_split="validation")
    assert texts(split.train) == ["one", "three"]  # without blank rows, or "two" which is held out
    assert texts(split.evaluation) == ["four", "two"]


def test_rows_are_held_out_where_no_evaluation_split_is_named(data_set: str, read: Read) -> None:
    split = read(Source.hub, path=data_set)
    assert sorted(texts(split.train + split.evaluation)) == ["one", "three", "two"]


def test_joined_rows_are_one_running_text(data_set: str, read: Read) -> None:
    split = read(Source.hub, path=data_set, eval_split="validation", join_rows=True)
    assert texts(split.train) == ["one\n\ntwo\n\nthree"]
    assert texts(split.evaluation) == ["four\n\ntwo"]


def test_a_data_set_of_json_lines_with_another_text_column(read: Read) -> None:
    Path("set").mkdir()
    write_lines("set/train.jsonl", {"body": "one"}, {"body": "two"})
    split = read(Source.hub, path="set", text_column="body")
    assert sorted(texts(split.train + split.evaluation)) == ["one", "two"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"text_column": "body"}, r"^data\.text_column: 'body' given, allowed: text, n$"),
        ({"train_split": "dev"}, r"^data\.path: 'set' given.*dev"),
        ({"subset": "raw"}, r"^data\.path: 'set' given.*raw"),
    ],
)
def test_a_column_split_or_subset_that_is_not_there_is_told(
    given: dict[str, str], reason: str, data_set: str, read: Read
) -> None:
    with pytest.raises(UserError, match=reason):
        read(Source.hub, path=data_set, **given)
