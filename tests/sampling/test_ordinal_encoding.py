"""Ordinal encoding of numeric choices."""

from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial

from tests.spaces import Feasible
from ugro.events.outcome import Outcome
from ugro.sampling.optuna_sampler import OptunaSampler
from ugro.sampling.ordinal_encoding import OrdinalEncoding

NUMBERS = st.one_of(st.integers(-100, 100), st.floats(-100, 100))


@given(st.lists(NUMBERS, min_size=3, max_size=8, unique=True))
def test_ranks_keep_the_order_and_decode_to_the_numbers(numbers: list[float]) -> None:
    over = CategoricalDistribution(numbers)
    ordinals = OrdinalEncoding({"key": over})
    assert ordinals.distribution("key", over) == IntDistribution(0, len(numbers) - 1)
    ranks = [ordinals.encode({"key": number})["key"] for number in sorted(numbers)]
    assert ranks == list(range(len(numbers)))
    for number in numbers:
        assert ordinals.decode(ordinals.encode({"key": number})) == {"key": number}


@pytest.mark.parametrize(
    "over",
    [
        CategoricalDistribution(["a", "b", "c"]),
        CategoricalDistribution([None, 1, 2]),
        CategoricalDistribution([True, False, 2]),
        CategoricalDistribution([8, 16]),
        FloatDistribution(0.0, 1.0),
    ],
)
def test_unordered_choices_and_numeric_distributions_are_unchanged(over: Any) -> None:
    ordinals = OrdinalEncoding({"key": over})
    assert ordinals.distribution("key", over) is over
    assert ordinals.encode({"key": "x"}) == ordinals.decode({"key": "x"}) == {"key": "x"}


def test_encoding_refuses_a_number_that_is_no_choice() -> None:
    with pytest.raises(ValueError, match="12"):
        OrdinalEncoding({"key": CategoricalDistribution([8, 16, 32])}).encode({"key": 12})


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_gaussian_process_sees_ranks_and_the_study_numbers(feasible: Feasible) -> None:
    space = feasible("lora.r=32,8,16")
    over = space.space.distributions["lora.r"]
    before = create_trial(value=1.0, params={"lora.r": 16}, distributions={"lora.r": over})
    sampling = OptunaSampler(optuna.samplers.GPSampler(seed=0), ["minimize"], space, [before])
    assert [one.params for one in sampling._study.trials] == [{"lora.r": 1}]
    asked = sampling.ask({"lora.r": 32})
    assert asked.parameters == {"lora.r": 32}
    assert asked.distributions == {"lora.r": over}
    assert sampling._study.trials[-1].params == {"lora.r": 2}
    sampling.tell(asked, Outcome.COMPLETE, [0.5])
    assert {sampling.ask().parameters["lora.r"] for _ in range(9)} <= {8, 16, 32}
