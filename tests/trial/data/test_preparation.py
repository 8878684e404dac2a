import dataclasses
import json
import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from tests.trial.made import EOS, data_config, tokens
from ugro.config import DataConfig
from ugro.errors import UserError
from ugro.trial.data import preparation as module
from ugro.trial.data import split
from ugro.trial.data.preparation import Data, prepare
from ugro.trial.data.rows import IGNORED, Rows
from ugro.trial.random_llama import END, PAD, byte_tokenizer

TOKENIZER = byte_tokenizer()
Make = Callable[..., DataConfig]


class CountingTokenizer(PreTrainedTokenizerFast):
    """The byte tokenizer, counting how many texts it is given."""

    texts = 0

    def __call__(self, texts: Any, **options: Any) -> Any:
        CountingTokenizer.texts += len(texts)
        return super().__call__(texts, **options)


def counting(eos: str = END) -> CountingTokenizer:
    backend = byte_tokenizer().backend_tokenizer
    CountingTokenizer.texts = 0
    return CountingTokenizer(tokenizer_object=backend, eos_token=eos, pad_token=PAD)


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


def line(one: Any) -> str:
    if isinstance(one, tuple):
        one = {"prompt": one[0], "completion": one[1]}
    return (
        one
        if isinstance(one, str) and one.startswith("{")
        else json.dumps({"text": one} if isinstance(one, str) else one)
    )


def rows(data: Data, part: str = "train") -> list[list[int]]:
    made = Rows(getattr(data, part))
    return [made[index].input_ids.tolist() for index in range(len(made))]


# The parts


def test_each_part_is_read_from_its_own_files(files: Make, tmp_path: Path) -> None:
    config = files(["abc"], eval=["def"], test=["ghi"], packing="wrapped")
    data = prepare(config, TOKENIZER, tmp_path)
    assert rows(data) == [[*tokens("abc"), EOS]]
    assert rows(data, "evaluation") == [[*tokens("def"), EOS]]
    assert rows(data, "test") == [[*tokens("ghi"), EOS]]
    assert set(data.fingerprints()) == {"train_data", "eval_data", "test_data"}
    assert len(set(data.fingerprints().values())) == 3


def test_a_test_part_is_held_out_by_default_where_there_are_enough(
    files: Make, tmp_path: Path
) -> None:
    texts = [f"{number:03d}" for number in range(40)]
    data = prepare(files(texts, eval_fraction=0.1), TOKENIZER, tmp_path)
    assert data.test is not None
    assert [part.summary.documents for part in (data.train, data.evaluation, data.test)] == [
        32,
        4,
        4,
    ]
    assert not [note for note in data.notes if "no test part" in note]


def test_too_few_documents_have_no_test_part_and_that_is_said(files: Make, tmp_path: Path) -> None:
    data = prepare(files(["a", "b", "c"]), TOKENIZER, tmp_path)
    assert data.test is None
    assert set(data.fingerprints()) == {"train_data", "eval_data"}
    assert data.notes == ("no test part: data.test_fraction or data.test_files hold one out",)


def test_what_is_trained_on_are_the_completions(files: Make, tmp_path: Path) -> None:
    data = prepare(files([("2+2=", "4")], eval=["x"]), TOKENIZER, tmp_path)
    labels = Rows(data.train)[0].labels.tolist()
    assert labels == [IGNORED] * 4 + [*tokens("4"), EOS]
    assert IGNORED == -100


@pytest.mark.parametrize("template", [None, "{% for m in messages %}{{ m.content }}!{% endfor %}"])
def test_a_chat_template_of_ones_own_is_used_for_this_trial_alone(
    template: str | None, files: Make, tmp_path: Path
) -> None:
    chat = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    tokenizer, own = byte_tokenizer(), tmp_path / "own.jinja"
    own.write_text("{% for m in messages %}{{ m.content }}~{% endfor %}")
    before = tokenizer.chat_template
    config = files([chat], eval=["x"], chat_template=str(own))
    assert rows(prepare(config, tokenizer, tmp_path)) == [[*tokens("q~a~"), EOS]]
    assert tokenizer.chat_template == before  # it is kept warm for the next trial
    if template is not None:
        own.write_text(template)
        assert rows(prepare(config, tokenizer, tmp_path)) == [[*tokens("q!a!"), EOS]]


def test_a_chat_template_that_is_not_there_is_told(files: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.chat_template: 'nowhere' given, allowed: a file"):
        prepare(files(["a"], eval=["b"], chat_template="nowhere"), TOKENIZER, tmp_path)


# The cache


def folders(cache: Path) -> set[str]:
    return {path.name for path in (cache / "examples").iterdir() if path.is_dir()}


def test_a_second_preparation_neither_reads_nor_tokenises(
    files: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, tokenizer = files(["abc", "de"], eval=["fg"]), counting()
    first = prepare(config, tokenizer, tmp_path)
    assert CountingTokenizer.texts == 3
    Path(config.train_files[0]).chmod(0)
    opened: list[object] = []
    monkeypatch.setattr(split, "read", lambda *given: opened.append(given))
    second = prepare(config, tokenizer, tmp_path)
    assert CountingTokenizer.texts == 3
    assert opened == []
    assert second.fingerprints() == first.fingerprints()
    assert second.notes == first.notes
    for part in ("train", "evaluation"):
        assert rows(first, part) == rows(second, part)
        assert getattr(first, part).summary == getattr(second, part).summary


def test_examples_found_in_the_cache_cost_no_new_file(files: Make, tmp_path: Path) -> None:
    config = files(["abc"], eval=["de"])
    prepare(config, TOKENIZER, tmp_path)
    made = sorted((tmp_path / "examples").rglob("*"))
    assert [path.name for path in made if path.suffix == ".arrow"] == [
        "eval.arrow",
        "test.arrow",
        "train.arrow",
    ]
    prepare(config, TOKENIZER, tmp_path)
    assert sorted((tmp_path / "examples").rglob("*")) == made


@pytest.mark.parametrize(
    "later",
    [
        {"block_size": 8},
        {"eval_block_size": 8},
        {"packing": "none"},
        {"too_long": "drop"},
        {"max_train_examples": 1},
        {"max_eval_examples": 1},
        {"max_test_examples": 1},
    ],
    ids=str,
)
def test_how_examples_are_laid_out_does_not_matter_to_the_cache(
    later: dict[str, Any], files: Make, tmp_path: Path
) -> None:
    config, tokenizer = files(["abc", "de"], eval=["fg"], test=["hi"]), counting()
    prepare(config, tokenizer, tmp_path)
    assert CountingTokenizer.texts == 4
    named = {key: getattr(data_config(**later), key) for key in later}
    prepare(dataclasses.replace(config, **named), tokenizer, tmp_path)
    assert CountingTokenizer.texts == 4


def test_a_changed_file_key_or_tokenizer_makes_new_examples(files: Make, tmp_path: Path) -> None:
    texts = [f"{number:03d}" for number in range(30)]
    prepare(files(texts), TOKENIZER, tmp_path)
    seen = folders(tmp_path)
    assert len(seen) == 1
    changes: list[tuple[dict[str, Any], PreTrainedTokenizerFast]] = [
        ({}, counting(eos=PAD)),
        ({"split_seed": 1}, TOKENIZER),
        ({"eval_fraction": 0.3}, TOKENIZER),
        ({"test_fraction": 0.2}, TOKENIZER),
        ({"deduplicate": True}, TOKENIZER),
        ({"bad_records": "skip"}, TOKENIZER),
    ]
    for given, tokenizer in changes:
        path = tmp_path / "train.jsonl"
        before = path.stat()
        config = files(texts, **given)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        prepare(config, tokenizer, tmp_path)
        assert len(folders(tmp_path)) == len(seen) + 1, given
        seen = folders(tmp_path)
    prepare(files([*texts, "another"]), TOKENIZER, tmp_path)
    assert len(folders(tmp_path)) == len(seen) + 1


def test_a_changed_file_of_one_part_leaves_the_others_fingerprints(
    files: Make, tmp_path: Path
) -> None:
    before = prepare(files(["abc"], eval=["de"]), TOKENIZER, tmp_path).fingerprints()
    after = prepare(files(["abC"], eval=["de"]), TOKENIZER, tmp_path).fingerprints()
    assert after["train_data"] != before["train_data"]
    assert after["eval_data"] == before["eval_data"]


def _race(config: DataConfig, cache: Path, start: Any, told: Any) -> None:
    tokenizer = counting()
    start.wait()
    data = prepare(config, tokenizer, cache)
    told.put((CountingTokenizer.texts, rows(data), rows(data, "evaluation")))


def test_two_processes_racing_for_one_cache_tokenise_once_and_read_the_same(
    files: Make, tmp_path: Path
) -> None:
    config = files([f"{number:05d}" * 8 for number in range(3000)], eval=["xyz"])
    context = multiprocessing.get_context("spawn")  # a fork inherits locks
    start, told = context.Barrier(2), context.Queue()
    racers = [
        context.Process(target=_race, args=(config, tmp_path, start, told), daemon=True)
        for _ in range(2)
    ]
    for racer in racers:
        racer.start()
    (texts, *found), (more_texts, *same) = told.get(timeout=120), told.get(timeout=120)
    for racer in racers:
        racer.join()
    assert texts + more_texts == 3001
    assert found == same


def test_examples_that_could_not_be_written_leave_nothing_half_done(
    files: Make, tmp_path: Path
) -> None:
    config = files(["abc", "{}"], eval=["de"])
    with pytest.raises(UserError, match=r"train\.jsonl:2: \[\] given"):
        prepare(config, TOKENIZER, tmp_path)
    assert folders(tmp_path) == set()


# Fingerprints


def one_token_a_character() -> PreTrainedTokenizerFast:
    """Another vocabulary over the same text: pairs of "a" are one token."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {character: index for index, character in enumerate([*alphabet, "aa"])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "a")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD)


def test_where_nothing_is_cut_fingerprints_depend_on_neither_rows_nor_tokenizer(
    files: Make, tmp_path: Path
) -> None:
    records = [("a" * number, "aab") for number in range(1, 31)]
    found, by_tokens = set(), set()
    for tokenizer in (TOKENIZER, one_token_a_character()):
        for packing in ("bfd", "wrapped", "none"):
            for size in (40, 64):
                config = files(records, eval_fraction=0.2, packing=packing, block_size=size)
                data = prepare(config, tokenizer, tmp_path)
                found.add(tuple(sorted(data.fingerprints().items())))
                by_tokens.add(data.evaluation.tokens)
    assert len(found) == 1
    assert len(by_tokens) == 2  # what the base model's evaluation is kept by


def test_which_records_are_evaluated_is_part_of_the_fingerprint(
    files: Make, tmp_path: Path
) -> None:
    records = [("a" * number, "b") for number in range(1, 31)]
    found = {
        prepare(files(records, **given), TOKENIZER, tmp_path).fingerprints()["eval_data"]
        for given in ({}, {"split_seed": 1}, {"max_eval_examples": 2}, {"eval_fraction": 0.3})
    }
    assert len(found) == 4


# Notes


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
        "1 training record left out, held out as well",
        "1 test document evaluated on as well",
        "1 held-out document like one that is trained on but for punctuation, spaces or case",
    }
    kept = prepare(files(texts, **others), TOKENIZER, tmp_path)
    often = "2 repeated records, trained on as often as they stand there"
    assert set(kept.notes) == {*shared, often}
    assert kept.train.summary.examples == 4
    once = prepare(files(texts, **others, deduplicate=True), TOKENIZER, tmp_path)
    assert set(once.notes) == {*shared, "2 repeated records, used once"}
    assert once.train.summary.examples == 2


def test_records_whose_prompt_ends_within_a_token_are_said(files: Make, tmp_path: Path) -> None:
    config = files([("xa", "ab"), ("xa", "b")], eval=["y"], test=["z"])
    (note,) = prepare(config, one_token_a_character(), tmp_path).notes
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


def test_the_format_of_the_cache_is_part_of_its_key(
    files: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = files(["a"], eval=["b"])
    prepare(config, TOKENIZER, tmp_path)
    monkeypatch.setattr(module, "FORMAT", "another")
    prepare(config, TOKENIZER, tmp_path)
    assert len(folders(tmp_path)) == 2


def test_offsets_beyond_a_batch_are_right(files: Make, tmp_path: Path) -> None:
    texts = [f"{number:04d}" for number in range(2500)]
    data = prepare(files(texts, eval=["x"], packing="none", test_fraction=0.0), TOKENIZER, tmp_path)
    found = rows(data)
    assert [found[index] for index in (0, 999, 1000, 2499)] == [
        [*tokens(texts[index]), EOS] for index in (0, 999, 1000, 2499)
    ]
    assert np.unique(data.train.layout.lengths).tolist() == [5]


def test_a_data_set_is_tokenised_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    (tmp_path / "set").mkdir()
    rows_of = datasets.Dataset.from_dict({"text": ["one", "two", "three"]})
    rows_of.to_parquet(tmp_path / "set" / "train.parquet")
    config = data_config(source="hub", path=str(tmp_path / "set"))
    tokenizer = counting()
    first = prepare(config, tokenizer, tmp_path)
    assert CountingTokenizer.texts == 3
    assert prepare(config, tokenizer, tmp_path).fingerprints() == first.fingerprints()
    assert CountingTokenizer.texts == 3
    assert len(folders(tmp_path)) == 1
