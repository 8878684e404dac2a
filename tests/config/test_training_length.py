import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from ugro.config import TaskName
from ugro.config.training_length import max_steps, max_tokens, tokens_per_step


def config(
    steps: int | None, tokens: int | None, stopper: int | None = None, batch_size: int = 4
) -> DictConfig:
    return OmegaConf.create(
        {
            "training": {
                "max_steps": steps,
                "max_tokens": tokens,
                "batch_size": batch_size,
                "gradient_accumulation_steps": 2,
            },
            "data": {"block_size": 32},
            "task": {"name": TaskName.language_modeling},
            "stoppers": {"max_tokens": stopper},
        }
    )


@pytest.mark.parametrize(
    ("given_", "steps", "tokens"),
    [
        (config(10, None), 10, 2560),
        (config(10, 99), 10, 2560),  # max_steps goes first
        (config(None, 1000), 3, 768),  # whole steps of 256 tokens
        (config(None, 1), 1, 256),  # at least one
        (config(None, None), None, None),
        (config(None, None, 500), None, 500),
        (config(10, None, 500), 10, 500),
    ],
)
def test_by_hand(given_: DictConfig, steps: int | None, tokens: int | None) -> None:
    assert tokens_per_step(given_) == 256
    assert max_steps(given_) == steps
    assert max_tokens(given_) == tokens


def test_a_row_of_a_preference_holds_two_texts() -> None:
    pairs = OmegaConf.merge(config(10, None), {"task": {"name": TaskName.dpo}})
    assert isinstance(pairs, DictConfig)
    assert (tokens_per_step(pairs), max_tokens(pairs)) == (512, 5120)


@given(st.integers(1, 10**9), st.integers(1, 512))
def test_max_tokens_are_used_up_to_less_than_a_step(tokens: int, batch_size: int) -> None:
    of = config(None, tokens, batch_size=batch_size)
    used, step = max_tokens(of), tokens_per_step(of)
    assert used == step if tokens < step else 0 <= tokens - (used or 0) < step
