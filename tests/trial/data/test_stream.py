"""A stream of training documents is read as far as a trial needs it."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.trial.made import EOS, data_config
from ugro.config import DataConfig, TaskConfig, TaskName
from ugro.errors import UserError
from ugro.trial.data.preparation import Data, prepare
from ugro.trial.data.reading import sources

from .data_files import TOKENIZER, Make, rows

HELD_OUT = {"eval": ["held out"], "test": ["tested"]}


def prepared(config: DataConfig, cache: Path, max_tokens: int, **task: Any) -> Data:
    given = TaskConfig(task.pop("name", TaskName.language_modeling), **task)
    return prepare(config, TOKENIZER, cache, (), given, max_tokens)


def numbered(count: int) -> list[str]:
    return [f"document number {number:05}" for number in range(count)]  # 22 tokens with the end


def test_documents_behind_the_needed_tokens_are_not_read(files: Make, tmp_path: Path) -> None:
    config = files([*numbered(2500), {"no": "text"}], **HELD_OUT, streaming=True)
    data = prepared(config, tmp_path, 22 * 1500)
    assert data.train.summary.documents == 2000  # texts are tokenised in thousands
    assert data.train.summary.tokens >= 22 * 1500
    with pytest.raises(UserError, match=r"train.jsonl:2501: \['no'\] given"):
        prepared(config, tmp_path, 22 * 2400)


@pytest.mark.parametrize("packing", ["bfd", "wrapped", "none"])
def test_the_documents_that_are_read_are_laid_out_as_ever(
    packing: str, files: Make, tmp_path: Path
) -> None:
    stream = files(numbered(2000), **HELD_OUT, streaming=True, packing=packing)
    read = prepared(stream, tmp_path, 22 * 900)
    all_of_them = files(numbered(1000), **HELD_OUT, packing=packing)
    assert rows(read) == rows(prepare(all_of_them, TOKENIZER, tmp_path))


def test_only_tokens_that_rows_hold_count(files: Make, tmp_path: Path) -> None:
    texts = ["a" * 100] * 3000
    truncated = files(texts, **HELD_OUT, streaming=True, block_size=10, too_long="truncate")
    assert prepared(truncated, tmp_path, 15_000).train.summary.documents == 2000
    mixed = [text for number in range(1500) for text in ("a" * 100, f"{number:04}")]
    dropped = files(mixed, **HELD_OUT, streaming=True, block_size=10, too_long="drop")
    data = prepared(dropped, tmp_path, 5 * 700)  # a short text has five tokens
    assert (data.train.summary.documents, data.train.summary.dropped_examples) == (2000, 1000)


def test_texts_without_a_target_in_a_row_do_not_count(files: Make, tmp_path: Path) -> None:
    long = [("a" * 50, "b")] * 1500  # the prompt alone fills a row
    config = files([*long, *numbered(1500)], **HELD_OUT, streaming=True, block_size=32)
    data = prepared(config, tmp_path, 22 * 900)
    assert data.train.summary.documents == 3000
    assert data.train.summary.tokens >= 22 * 900


def test_held_out_documents_are_left_out_and_counted(files: Make, tmp_path: Path) -> None:
    config = files(["held out", *numbered(10), "tested"], **HELD_OUT, streaming=True)
    data = prepared(config, tmp_path, 10_000)
    assert data.train.summary.documents == 10
    assert "2 training records left out: also held out" in data.notes
    (said,) = [note for note in data.notes if "streaming" in note]
    assert said.startswith("10 training documents read")


def test_a_pair_is_never_read_by_half(tmp_path: Path) -> None:
    pairs = [{"prompt": f"{number}?", "chosen": "yes", "rejected": "no"} for number in range(1200)]
    for part, some in (("train", pairs[2:]), ("eval", pairs[:2])):
        (tmp_path / f"{part}.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in some))
    config = data_config(
        train_files=[str(tmp_path / "train.jsonl")],
        eval_files=[str(tmp_path / "eval.jsonl")],
        test_fraction=0.0,
        streaming=True,
    )
    data = prepared(config, tmp_path, 100, name=TaskName.dpo, beta=0.1)
    assert data.train.summary.documents == 500
    assert data.train.examples.documents.tolist() == [n // 2 for n in range(1000)]


def test_a_stream_of_held_out_documents_alone_is_refused(files: Make, tmp_path: Path) -> None:
    config = files(["held out"], **HELD_OUT, streaming=True)
    with pytest.raises(UserError, match="at least one document that is not held out"):
        prepared(config, tmp_path, 100)


def test_a_data_set_is_streamed_and_a_change_of_its_files_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    folder = tmp_path / "set"
    folder.mkdir()
    for split, texts in (("train", numbered(3000)), ("validation", ["held out"])):
        datasets.Dataset.from_dict({"text": texts}).to_parquet(str(folder / f"{split}.parquet"))
    config = data_config(
        source="hub",
        path=str(folder),
        eval_split="validation",
        test_fraction=0.0,
        streaming=True,
        train_files=[],
    )
    data = prepared(config, tmp_path, 100)
    assert data.train.summary.documents == 1000
    assert rows(data)[0][-1] == EOS
    assert not list((tmp_path / "datasets").rglob("*.arrow"))  # nothing was converted
    before = sources(config)
    assert sources(config) == before
    datasets.Dataset.from_dict({"text": numbered(9)}).to_parquet(str(folder / "train.parquet"))
    assert sources(config) != before
