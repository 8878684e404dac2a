"""Tokenised examples are cached once for all trials."""

import dataclasses
import multiprocessing
import os
from pathlib import Path
from typing import Any

import datasets
import pytest
from transformers import PreTrainedTokenizerFast

from tests.trial.made import data_config
from ugro.config import DataConfig
from ugro.errors import UserError
from ugro.trial.data import preparation as module
from ugro.trial.data import split
from ugro.trial.data.preparation import prepare
from ugro.trial.model.random_llama import PAD

from .data_files import TOKENIZER, CountingTokenizer, Make, counting, folders, rows


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


def test_the_format_of_the_cache_is_part_of_its_key(
    files: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = files(["a"], eval=["b"])
    prepare(config, TOKENIZER, tmp_path)
    monkeypatch.setattr(module, "FORMAT", "another")
    prepare(config, TOKENIZER, tmp_path)
    assert len(folders(tmp_path)) == 2


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
