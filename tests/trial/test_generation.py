"""Generations equal those of plain transformers, a prompt at a time."""

from collections.abc import Sequence

import pytest
import torch
from transformers import LlamaForCausalLM

from ugro.config import RandomLlamaConfig
from ugro.trial.data.texts import Prompt
from ugro.trial.generation import generate
from ugro.trial.random_llama import byte_tokenizer, random_llama

SHAPE = RandomLlamaConfig(16, 32, 2, 2, 1, 64, seed=0)
TEXTS = ["2+2=", "a long prompt, before a short one: ", "no", "Größe: ", ""]


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    return random_llama(SHAPE, byte_tokenizer()).eval()


def prompts(texts: Sequence[str]) -> list[Prompt]:
    return [Prompt(text, False, "", "{}") for text in texts]


def alone(model: LlamaForCausalLM, text: str, new_tokens: int) -> str:
    """The answer of plain transformers to a single prompt, without padding."""
    tokenizer = byte_tokenizer()
    ids = tokenizer(text, add_special_tokens=False).input_ids or [tokenizer.eos_token_id]
    made = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.long),
        max_new_tokens=new_tokens,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
    )
    return str(tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True))


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_each_prompt_has_the_answer_that_it_has_alone(
    model: LlamaForCausalLM, batch_size: int
) -> None:
    given = generate(model, byte_tokenizer(), prompts(TEXTS), 12, batch_size, (), 64)
    assert given == [alone(model, text, 12) for text in TEXTS]
    assert len(set(given)) > 1


def test_a_stop_token_ends_the_answer(model: LlamaForCausalLM) -> None:
    [whole] = generate(model, byte_tokenizer(), prompts(["2+2="]), 12, 1, (), 64)
    tokenizer = byte_tokenizer()
    ids = model.generate(
        torch.tensor([tokenizer("2+2=").input_ids]), max_new_tokens=12, do_sample=False
    )[0, 4:].tolist()
    stop = next(token for at, token in enumerate(ids) if at and token not in ids[:at])
    [cut] = generate(model, tokenizer, prompts(["2+2="]), 12, 1, (stop,), 64)
    assert cut == tokenizer.decode(ids[: ids.index(stop) + 1], skip_special_tokens=True)
    assert len(cut) < len(whole)


def test_a_prompt_too_long_for_the_model_loses_its_start(
    model: LlamaForCausalLM, caplog: pytest.LogCaptureFixture
) -> None:
    text = "x" * 70 + "2+2="
    with caplog.at_level("WARNING"):
        [given] = generate(model, byte_tokenizer(), prompts([text]), 12, 1, (), 64)
    assert given == alone(model, text[-52:], 12)
    assert "1 prompts are cut to their last 52 tokens" in caplog.text


def test_the_training_mode_is_restored(model: LlamaForCausalLM) -> None:
    model.train()
    generate(model, byte_tokenizer(), prompts(["2+2="]), 2, 1, (), 64)
    assert model.training
    model.eval()
