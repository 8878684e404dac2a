"""Sampled answers: distributed as transformers draws them, each by its own seed."""

from collections import Counter

import pytest
import torch
from scipy.stats import chi2_contingency
from transformers import GenerationConfig, LlamaForCausalLM

from ugro.config import RandomLlamaConfig
from ugro.trial.generation.generate import generate
from ugro.trial.generation.sampling import Sampling
from ugro.trial.model.random_llama import byte_tokenizer, random_llama

SHAPE = RandomLlamaConfig(16, 32, 2, 2, 1, 64, seed=0)
TOKENIZER = byte_tokenizer()
PROMPTS = [TOKENIZER(text).input_ids for text in ("2+2=", "a long prompt: ", "Größe", "no")]
NEW_TOKENS = 8


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    """A model whose next token is far from certain, and far from uniform."""
    made = random_llama(SHAPE, TOKENIZER).eval()
    made.lm_head.weight.data *= 20
    return made


def sampled(
    model: LlamaForCausalLM,
    prompts: list[list[int]],
    seeds: list[tuple[int, ...]],
    batch_size: int = 4,
    new_tokens: int = NEW_TOKENS,
    temperature: float = 1.0,
) -> list[str]:
    sampling = Sampling(temperature, None, seeds)
    ends = [TOKENIZER.eos_token_id]
    return generate(model, TOKENIZER, prompts, ends, new_tokens, batch_size, 64, sampling)


@pytest.mark.parametrize("top_p", [None, 0.6])
def test_tokens_are_distributed_as_transformers_draws_them(
    model: LlamaForCausalLM, top_p: float | None
) -> None:
    count, prompt = 4000, torch.tensor([PROMPTS[0]])
    torch.manual_seed(0)
    config = GenerationConfig(
        max_new_tokens=1, do_sample=True, temperature=0.7, top_p=top_p or 1.0, top_k=0
    )
    plain = model.generate(prompt, generation_config=config, num_return_sequences=count)
    with torch.no_grad():
        scores = model(prompt).logits[:, -1].repeat(count, 1)
    sampling = Sampling(0.7, top_p, [(0, number) for number in range(count)])
    processors = sampling.processors(range(count), prompt.shape[1], 1)
    ours = processors(prompt.repeat(count, 1), scores).argmax(-1)
    drawn = [Counter(tokens.tolist()) for tokens in (plain[:, -1], ours)]
    common = [token for token, times in (drawn[0] + drawn[1]).items() if times >= 10]
    assert len(common) > 3
    table = [[of[token] for token in common] for of in drawn]
    assert chi2_contingency(table).pvalue > 0.01
    if top_p is not None:
        likely, tokens = (scores[0] / 0.7).softmax(-1).sort(descending=True)
        kept = tokens[: 1 + int((likely.cumsum(0) < top_p).sum())]
        assert set(drawn[1]) == set(kept.tolist())


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_an_answer_is_the_same_in_every_batch(model: LlamaForCausalLM, batch_size: int) -> None:
    prompts = [prompt for prompt in PROMPTS for _ in range(2)]
    seeds = [(0, number, sample) for number in range(len(PROMPTS)) for sample in range(2)]
    alone = [
        sampled(model, [prompt], [seed])[0] for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    assert sampled(model, prompts, seeds, batch_size) == alone
    assert len(set(alone)) == len(alone)  # two answers to a prompt differ


def test_a_short_answer_is_the_start_of_a_long_one(model: LlamaForCausalLM) -> None:
    seeds = [(5, number) for number in range(len(PROMPTS))]
    short, long = (sampled(model, PROMPTS, seeds, new_tokens=length) for length in (3, 9))
    assert all(
        whole.startswith(start.rstrip("\ufffd")) for start, whole in zip(short, long, strict=True)
    )
    assert short != long


def test_the_global_random_state_is_left_as_it_is(model: LlamaForCausalLM) -> None:
    torch.manual_seed(1)
    wanted = torch.rand(3)
    torch.manual_seed(1)
    sampled(model, PROMPTS, [(0, number) for number in range(len(PROMPTS))])
    assert torch.equal(torch.rand(3), wanted)


def test_a_low_temperature_gives_the_greedy_answer(model: LlamaForCausalLM) -> None:
    ends = [TOKENIZER.eos_token_id]
    greedy = generate(model, TOKENIZER, PROMPTS, ends, NEW_TOKENS, 2, 64)
    seeds = [(0, number) for number in range(len(PROMPTS))]
    assert sampled(model, PROMPTS, seeds, temperature=1e-4) == greedy
    assert sampled(model, PROMPTS, seeds, temperature=2.0) != greedy


def test_a_diverged_model_gives_some_token() -> None:
    scores = torch.full((1, 5), torch.nan)
    processors = Sampling(1.0, None, [(0,)]).processors([0], 2, 1)
    assert 0 <= int(processors(torch.zeros(1, 2, dtype=torch.long), scores).argmax()) < 5
