import math

import pytest
import torch
from transformers import LlamaForCausalLM

from ugro.config import RandomLlamaConfig
from ugro.trial.blocks import IGNORED, Blocks
from ugro.trial.evaluation import eval_loss, perplexity
from ugro.trial.tiny import byte_tokenizer, random_llama

SHAPE = RandomLlamaConfig(16, 32, 1, 2, 1, 64, seed=0)


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return random_llama(SHAPE, byte_tokenizer())


@pytest.fixture(scope="module")
def blocks() -> Blocks:
    """Three blocks of eight tokens: all with loss, one token with loss, none with loss."""
    ids = torch.randint(0, 256, (3, 8), generator=torch.Generator().manual_seed(1))
    labels = ids.clone()
    labels[1, :7] = IGNORED
    labels[2] = IGNORED
    return Blocks(ids.int(), labels.int(), "test")


def loss_by_hand(model: LlamaForCausalLM, blocks: Blocks) -> float:
    """One block, one position at a time: -log of the softmax at the token that follows."""
    total, count = 0.0, 0
    for ids, labels in zip(blocks.input_ids.tolist(), blocks.labels.tolist(), strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0].double()
        for position in range(1, len(ids)):
            if labels[position] != IGNORED:
                scores = logits[position - 1].tolist()
                largest = max(scores)
                normaliser = largest + math.log(sum(math.exp(s - largest) for s in scores))
                total += normaliser - scores[ids[position]]
                count += 1
    assert count == 7 + 1
    return total / count


def test_every_predicted_token_weighs_the_same(model: LlamaForCausalLM, blocks: Blocks) -> None:
    assert eval_loss(model, blocks, batch_size=2) == pytest.approx(
        loss_by_hand(model, blocks), abs=1e-6
    )


@pytest.mark.parametrize("batch_size", [1, 2, 3, 50])
def test_the_batch_size_does_not_matter(
    batch_size: int, model: LlamaForCausalLM, blocks: Blocks
) -> None:
    assert eval_loss(model, blocks, batch_size) == pytest.approx(
        eval_loss(model, blocks, 1), abs=1e-6
    )


def test_a_model_in_training_goes_on_training(model: LlamaForCausalLM, blocks: Blocks) -> None:
    model.train()
    eval_loss(model, blocks, 2)
    assert model.training
    model.eval()


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    assert perplexity(0.0) == 1.0
    assert perplexity(math.log(20)) == pytest.approx(20)
    assert perplexity(1e6) == math.inf
    assert math.isnan(perplexity(math.nan))
