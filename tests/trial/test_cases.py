"""Inputs from bug reports with their correct values."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial.data.preparation import Data, prepare
from ugro.trial.data.rows import IGNORED, Rows
from ugro.trial.model.base_models import BaseModel, base_model, evict_base_model
from ugro.trial.model.random_llama import byte_tokenizer
from ugro.trial.tasks.language_modeling import evaluate

from ..conftest import ROOT
from .conftest import Run
from .made import data_config, sentencepiece_like, tokens

CASES = ROOT / "tests" / "cases"
TOKENIZER = byte_tokenizer()


def case(name: str) -> list[str]:
    return [str(CASES / f"{name}.jsonl")]


def records(name: str) -> list[dict[str, Any]]:
    text = (CASES / f"{name}.jsonl").read_text(encoding="utf-8-sig")
    return [json.loads(line) for line in text.splitlines()]


# Records evaluated alone: LLaMA-Factory#3957, trl#1850, trl#5075


@pytest.fixture(scope="module")
def smollm2(settings: Callable[..., Config], cache_dir: Path) -> Iterator[BaseModel]:
    yield base_model(settings().model, torch.float32, cache_dir)
    evict_base_model()


def copied(base: BaseModel, cache_dir: Path, **given: Any) -> Data:
    files = {"train_files": case("copy_train"), "eval_files": case("copy_eval")}
    return prepare(data_config(**files, **given), base.tokenizer, cache_dir)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("block_size", "packing", "batch_size"),
    [
        *((64, packing, 1) for packing in ("bfd", "wrapped", "none")),
        *((128, packing, 8) for packing in ("bfd", "wrapped", "none")),
        *((512, packing, 32) for packing in ("bfd", "wrapped", "none")),
        (64, "bfd", 32),
        (512, "none", 1),
    ],
)
def test_the_base_loss_of_records_is_that_of_each_alone_however_they_are_laid_out(
    block_size: int, packing: str, batch_size: int, smollm2: BaseModel, cache_dir: Path
) -> None:
    data = copied(smollm2, cache_dir, block_size=block_size, packing=packing)
    found = evaluate(smollm2.model, data.evaluation, batch_size)
    assert found.loss == pytest.approx(1.157767, abs=1e-5)
    assert found.targets.sum() == 505


@pytest.mark.long
def test_each_record_has_the_loss_of_plain_transformers(
    smollm2: BaseModel, cache_dir: Path
) -> None:
    losses, tokenizer = [], smollm2.tokenizer
    for one in records("copy_eval"):
        encoded = tokenizer(one["prompt"] + one["completion"], return_offsets_mapping=True)
        ids = torch.tensor([encoded["input_ids"] + [tokenizer.eos_token_id]])
        starts = [start for start, _ in encoded["offset_mapping"]]
        trained = torch.tensor([start >= len(one["prompt"]) for start in starts] + [True])
        with torch.no_grad():
            log_p = smollm2.model(ids).logits[0, :-1].double().log_softmax(-1)
        losses.append(-log_p.gather(1, ids[0, 1:, None])[trained[1:]].sum().item())
    data = copied(smollm2, cache_dir, block_size=64)  # at which no record is cut
    found = evaluate(smollm2.model, data.evaluation, 8)
    assert found.losses == pytest.approx(losses, abs=1e-4)


# Long prompts: trl#6668, NeMo-Automodel#3796


def test_no_step_is_spent_on_prompts_alone_and_the_trained_share_is_said(
    run: Run, tmp_path: Path
) -> None:
    files = [f"data.train_files={case('longprompt')}", "data.source=jsonl", "data=jsonl"]
    cut = ["data.packing=wrapped", "data.block_size=128", "data.eval_block_size=2048"]
    result, _ = run(*files, *cut, "data.max_eval_examples=2")
    # Of a record's 600 to 800 tokens a tenth or less carries loss.
    assert 0 < result.metrics["trained_token_share"] < 0.5
    config = data_config(train_files=case("longprompt"), packing="wrapped", block_size=128)
    config.eval_block_size = 2048
    rows = Rows(prepare(config, TOKENIZER, tmp_path).train)
    trained = [int((rows[index].labels != IGNORED).sum()) for index in range(len(rows))]
    assert min(trained) > 0


def test_rows_for_prompts_alone_are_refused_in_a_line(tmp_path: Path) -> None:
    config = data_config(train_files=case("longprompt"), packing="bfd", block_size=128)
    with pytest.raises(UserError, match="no token of the train part carries loss") as told:
        prepare(config, TOKENIZER, tmp_path)
    assert "\n" not in str(told.value)


# Prompt and completion as one text: transformers#26273, #28622, #29625


def test_no_space_comes_between_prompt_and_completion(tmp_path: Path) -> None:
    tokenizer = sentencepiece_like()
    held_out = tmp_path / "eval.jsonl"
    held_out.write_text('{"prompt": "1 + 1 =", "completion": "2"}\n')
    config = data_config(train_files=case("prefix_space"), eval_files=[str(held_out)])
    row = Rows(prepare(config, tokenizer, tmp_path).train)[0]
    pieces = tokenizer.convert_ids_to_tokens(row.input_ids.tolist())
    assert pieces == ["▁", "2", "▁", "+", "▁", "2", "▁", "=", "4", "</s>"]
    assert row.input_ids.tolist() == [*tokenizer("2 + 2 =4")["input_ids"], tokenizer.eos_token_id]
    carries = row.labels != IGNORED
    assert tokenizer.convert_ids_to_tokens(row.labels[carries].tolist()) == ["4", "</s>"]


# A byte order mark: jsonlines#68


def test_a_file_with_a_byte_order_mark_is_the_file_without(tmp_path: Path) -> None:
    assert (CASES / "bom.jsonl").read_bytes().startswith(b"\xef\xbb\xbf")
    marked, plain = (
        prepare(data_config(train_files=case(name), block_size=128), TOKENIZER, tmp_path)
        for name in ("bom", "plain")
    )
    assert marked.train.summary.documents + marked.evaluation.summary.documents > 20
    assert marked.fingerprints() == plain.fingerprints()
    assert marked.train.tokens == plain.train.tokens


# A record twenty times: fastai#43


@pytest.mark.parametrize("split_seed", range(5))
def test_a_record_that_stands_there_twenty_times_is_kept_on_one_side_and_said(
    split_seed: int, tmp_path: Path
) -> None:
    file = tmp_path / "repeated.jsonl"
    lines = [f'{{"prompt": "{letter}", "completion": "{letter}"}}' for letter in "bcdef"]
    file.write_text("\n".join([*lines, *['{"prompt": "a", "completion": "a"}'] * 20]) + "\n")
    config = data_config(
        train_files=[str(file)], eval_fraction=0.1, packing="none", split_seed=split_seed
    )
    data = prepare(config, TOKENIZER, tmp_path)
    held_out = {int(Rows(data.evaluation)[index].input_ids[0]) for index in range(1)}
    rows = Rows(data.train)
    trained = Counter(int(rows[index].input_ids[0]) for index in range(len(rows)))
    assert not held_out & set(trained)
    (a,) = tokens("a")
    assert trained[a] in (0, 20)
    assert any(note.startswith("19 repeated records") for note in data.notes)
