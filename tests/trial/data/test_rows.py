import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from tests.trial.made import EOS, PAD, part_of, record, tokens
from ugro.config import Config, Packing, RandomLlamaConfig
from ugro.trial.data.layout import Part
from ugro.trial.data.rows import IGNORED, Batch, Row, Rows, Schedule, collate, schedule
from ugro.trial.data.texts import Text
from ugro.trial.loss import token_losses
from ugro.trial.model.random_llama import byte_tokenizer, random_llama

# Rows


def test_labels_are_the_tokens_that_carry_loss_but_an_examples_first(tmp_path: Path) -> None:
    row = Rows(part_of([record("ab", "c"), record("", "de")], tmp_path, block_size=8))[0]
    (a, b, c, d, e) = tokens("abcde")
    assert row.input_ids.tolist() == [a, b, c, EOS, d, e, EOS]
    assert row.labels.tolist() == [IGNORED, IGNORED, c, EOS, IGNORED, e, EOS]
    assert row.position_ids.tolist() == [0, 1, 2, 3, 0, 1, 2]


def test_positions_restart_where_a_document_is_cut(tmp_path: Path) -> None:
    rows = Rows(part_of(["abcde", "f"], tmp_path, "wrapped", block_size=4))
    assert [rows[index].position_ids.tolist() for index in (0, 1)] == [[0, 1, 2, 3], [0, 1, 0, 1]]
    assert rows[1].labels.tolist() == [IGNORED, EOS, IGNORED, EOS]


def test_rows_come_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    part = part_of([record("", "ab"), record("", "cd")], tmp_path, "none")
    rows = Rows(part, np.array([1, 0, 1]))
    assert [rows[index].input_ids[0] for index in range(len(rows))] == tokens("cac")


# Batches


def collated(part: Part) -> Batch:
    rows = Rows(part)
    return collate([rows[index] for index in range(len(rows))], PAD)


def test_rows_are_padded_on_the_right_without_loss(tmp_path: Path) -> None:
    batch = collated(part_of([record("a", "b"), record("", "cdef")], tmp_path, "none"))
    assert batch["input_ids"].tolist() == [
        [*tokens("ab"), EOS, PAD, PAD],
        [*tokens("cdef"), EOS],
    ]
    assert batch["labels"].tolist() == [
        [IGNORED, *tokens("b"), EOS, IGNORED, IGNORED],
        [IGNORED, *tokens("def"), EOS],
    ]
    assert batch["input_ids"].dtype == batch["labels"].dtype == torch.int64
    assert set(batch) == {"input_ids", "labels"}  # an example a row needs no positions


def test_positions_go_with_rows_of_several_examples_and_restart_at_padding(tmp_path: Path) -> None:
    texts = [record("", "ab"), record("", "cd"), record("", "e")]
    batch = collated(part_of(texts, tmp_path, block_size=6))
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2], [0, 1, 0, 0, 0, 0]]


def test_examples_of_a_token_each_are_several_all_the_same() -> None:
    ids, positions = np.array([5, 6]), np.array([0, 0])
    assert "position_ids" in collate([Row(ids, np.array([IGNORED, IGNORED]), positions)], PAD)


# A packed row is its examples


TEXTS = [record("ab", "cdef"), record("", "ghi"), record("jkl", "m"), record("n", "opqrstuv")]


def llama(attention: str) -> PreTrainedModel:
    shape = RandomLlamaConfig(32, 64, 2, 4, 2, 64, seed=0)
    model = random_llama(shape, byte_tokenizer())
    model.set_attn_implementation(attention)
    return model


def gpt2(attention: str) -> PreTrainedModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        no_dropout = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
        shape = GPT2Config(
            vocab_size=258, n_positions=64, n_embd=32, n_layer=2, n_head=4, **no_dropout
        )
        shape.bos_token_id = shape.eos_token_id = EOS
        model = GPT2LMHeadModel(shape)
    model.set_attn_implementation(attention)
    return model


def logits_alone(model: PreTrainedModel, part: Part) -> dict[int, Tensor]:
    """Return the logits of each example, [tokens, vocabulary], in a separate forward pass."""
    found = {}
    for example in range(len(part.examples)):
        ids = part.examples.input_ids(example, 0, int(part.examples.lengths[example]))
        found[example] = model(torch.tensor([ids.tolist()])).logits[0]
    return found


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("make", [llama, gpt2])
def test_the_logits_of_packed_rows_are_those_of_the_examples_alone(
    make: Callable[[str], PreTrainedModel], attention: str, training: bool, tmp_path: Path
) -> None:
    part = part_of(TEXTS, tmp_path, block_size=12)
    assert part.layout.lengths.tolist() == [10, 7 + 5, 4]
    batch = collated(part)
    assert "position_ids" in batch
    assert (batch["input_ids"] == PAD).any()
    model = make(attention).train(training)
    with torch.no_grad():
        packed = model(
            input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False
        ).logits
        alone = logits_alone(model, part)
    compared = 0
    for row in range(len(part.layout)):
        at = 0
        for piece in range(*part.layout.pieces(row).indices(len(part.layout.examples))):
            wanted = alone[int(part.layout.examples[piece])]
            torch.testing.assert_close(
                packed[row, at : at + len(wanted)], wanted, rtol=0, atol=1e-5
            )
            at += len(wanted)
            compared += len(wanted)
    assert compared == part.examples.lengths.sum() == 26


@pytest.mark.parametrize("make", [llama, gpt2])
def test_neighbours_in_a_row_do_not_change_a_loss(
    make: Callable[[str], PreTrainedModel], tmp_path: Path
) -> None:
    model = make("sdpa").train()

    def losses(packing: str) -> list[float]:
        batch = collated(part_of(TEXTS, tmp_path, packing, block_size=12))
        with torch.no_grad():
            return sorted(token_losses(model, **batch).tolist())

    assert losses("bfd") == pytest.approx(losses("none"), abs=1e-5)


# The schedule


@pytest.fixture(scope="module")
def base(settings: Callable[..., Config]) -> Config:
    return settings("model=tiny", "training.batch_size=2", "training.max_steps=null")


def planned(
    base: Config, part: Part, packing: str = "bfd", seed: int = 0, **given: Any
) -> Schedule:
    """Return the schedule with these keys of ``training``."""
    training, data = replace(base.training, **given), replace(base.data, packing=Packing[packing])
    return schedule(replace(base, training=training, data=data, seed=seed), part)


@pytest.fixture
def five(tmp_path: Path) -> Part:
    """Return rows of 2, 3, 4, 5 and 6 tokens, 20 in total."""
    return part_of([record("", "x" * n) for n in (1, 2, 3, 4, 5)], tmp_path, "none")


def test_max_steps_are_as_many_steps_of_as_many_rows(base: Config, five: Part) -> None:
    plan = planned(base, five, max_steps=7, gradient_accumulation_steps=3)
    assert plan.steps == 7
    assert len(plan.order) == 7 * 2 * 3
    lengths = five.layout.lengths[plan.order]
    assert plan.tokens.tolist() == [0, *np.cumsum(lengths.reshape(7, 6).sum(axis=1))]


def test_each_pass_goes_through_every_row_once_before_the_next(base: Config, five: Part) -> None:
    for packing in ("bfd", "none"):
        plan = planned(base, five, max_steps=10, packing=packing)
        passes = plan.order.reshape(4, 5).tolist()
        assert all(sorted(one) == [0, 1, 2, 3, 4] for one in passes)
        assert len({tuple(one) for one in passes}) > 1
        assert plan.tokens[-1] == 4 * 20


@pytest.mark.parametrize(("epochs", "steps"), [(1, 3), (2, 5), (0.4, 1), (0.5, 2), (0.01, 1)])
def test_epochs_are_steps_enough_to_go_through_so_many_rows(
    epochs: float, steps: int, base: Config, five: Part
) -> None:
    # 5 rows, 2 a step: 5, 10, 2, 2.5 and 0.05 rows.
    assert planned(base, five, epochs=epochs).steps == steps


@pytest.mark.parametrize(("tokens", "steps"), [(80, 8), (79, 7), (16, 1), (15, 1), (1, 1), (8, 1)])
def test_max_tokens_end_with_the_last_step_within_them(
    tokens: int, steps: int, base: Config, tmp_path: Path
) -> None:
    # Four rows of 5 tokens, 10 a step; the first step is taken anyway.
    part = part_of([record("", "abcd")] * 4, tmp_path, "none")
    plan = planned(base, part, max_tokens=tokens)
    assert plan.steps == steps
    assert plan.tokens.tolist() == [10 * step for step in range(steps + 1)]
    assert len(plan.order) == 2 * steps


@pytest.mark.parametrize("tokens", [33, 100, 1000])
def test_a_budget_of_tokens_is_met_within_a_step_under_any_packing(
    tokens: int, base: Config, tmp_path: Path
) -> None:
    texts = [record("p" * (n % 5), "c" * (1 + n % 7)) for n in range(40)]
    for packing, size in itertools.product(("bfd", "wrapped", "none"), (16, 32)):
        part = part_of(texts, tmp_path, packing, block_size=size)
        plan = planned(base, part, max_tokens=tokens, packing=packing)
        longest = 2 * int(part.layout.lengths.max())
        assert tokens - longest < plan.tokens[-1] <= max(tokens, longest)


def test_the_order_depends_on_the_seed(base: Config, five: Part) -> None:
    first, again, other = (
        planned(base, five, max_steps=20, seed=seed).order.tolist() for seed in (0, 0, 9)
    )
    assert first == again
    assert first != other


def test_a_longer_training_begins_like_a_shorter_one(base: Config, five: Part) -> None:
    for packing in ("bfd", "none"):
        short, long = (planned(base, five, max_steps=n, packing=packing).order for n in (3, 20))
        assert long[:6].tolist() == short.tolist()


def test_rows_of_like_length_share_a_batch_where_rows_are_not_packed(
    base: Config, tmp_path: Path
) -> None:
    lengths = np.random.default_rng(0).integers(1, 60, size=400)
    part = part_of([record("", "x" * int(n)) for n in lengths], tmp_path, "none", block_size=64)
    how = {"batch_size": 8, "epochs": 1}
    grouped = planned(base, part, **how, packing="none").padding_share
    shuffled = planned(base, part, **how, packing="bfd").padding_share
    assert grouped < 0.1 < 0.3 < shuffled


def test_the_shares_of_padding_and_trained_tokens_are_those_of_the_batches(
    base: Config, tmp_path: Path
) -> None:
    texts: list[Text] = [record("aa", "b"), record("", "cdefg")]
    part = part_of(texts, tmp_path, "none")  # rows of 4 and 6 tokens; 2 and 5 with loss
    plan = planned(base, part, epochs=1)
    assert plan.padding_share == pytest.approx(2 / 12)
    assert plan.trained_token_share == pytest.approx(7 / 10)
    labels: Any = collated(part)["labels"]
    assert int((labels != IGNORED).sum()) == 7
