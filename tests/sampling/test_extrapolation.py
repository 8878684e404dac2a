"""Trials that were stopped are foretold from those that went on."""

import math
from collections.abc import Sequence

import numpy
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from tests.spaces import Feasible
from ugro.events.outcome import Outcome
from ugro.sampling.extrapolation import MIN_TRIALS, Curve, ExtrapolatedStudy, extrapolated
from ugro.sampling.sampler import Sampler

COUNTED = (TrialState.COMPLETE, TrialState.RUNNING)
finite = st.floats(-1e3, 1e3)


def decaying(end: float, until: int = 4) -> Curve:
    """Reports at 1, 2, ... of 4, each closer to the end by half."""
    values = [end + 8.0 * 0.5**step for step in range(1, until + 1)]
    return Curve(range(1, until + 1), values, end if until == 4 else None)


def test_where_all_curves_have_one_shape_the_end_is_foretold_to_the_digit() -> None:
    curves = [decaying(end) for end in numpy.linspace(1, 2, MIN_TRIALS)]
    curves += [decaying(5.0, 2), decaying(0.5, 1), decaying(3.0, 3)]
    assert extrapolated(curves)[MIN_TRIALS:] == pytest.approx([5.0, 0.5, 3.0])


def test_differences_that_grow_are_foretold_to_grow() -> None:
    whole = [Curve([1, 2], [0.5 * end, end], end) for end in numpy.linspace(1, 2, MIN_TRIALS)]
    assert extrapolated([*whole, Curve([1], [2.0])])[-1] == pytest.approx(4.0)


def test_of_two_that_went_on_the_change_alone_is_taken() -> None:
    whole = [Curve([1, 2], [3.0, 1.0], 1.0), Curve([1, 2], [5.0, 1.0], 1.0)]
    assert extrapolated([*whole, Curve([1], [4.5])])[-1] == pytest.approx(1.5)


def test_who_went_half_the_way_tells_of_who_went_a_quarter() -> None:
    half = Curve([1, 2], [4.0, 2.0])
    assert extrapolated([Curve([1], [5.0]), half]) == [3.0, 2.0]


@given(
    st.lists(
        st.tuples(st.lists(finite, min_size=1, max_size=5), st.one_of(st.none(), finite)),
        max_size=12,
    )
)
@settings(deadline=None)
def test_every_trial_has_a_finite_value_and_a_complete_one_its_own(
    made: Sequence[tuple[list[float], float | None]],
) -> None:
    curves = [Curve(range(1, len(told) + 1), told, end) for told, end in made]
    found = extrapolated(curves)
    assert all(math.isfinite(value) for value in found)
    assert all(c.end in (None, value) for c, value in zip(curves, found, strict=True))


def stored(*trials: FrozenTrial, direction: str = "minimize") -> dict[int, float | None]:
    """What a sampler that asks for complete and running trials sees of each."""
    study = optuna.create_study(storage=ExtrapolatedStudy(), direction=direction)
    study.add_trials(trials)
    seen = study._storage.get_all_trials(study._study_id, states=COUNTED)
    return {one.number: one.value if one.state.is_finished() else None for one in seen}


def trial(state: TrialState, told: dict[int, float], reason: Outcome | None = None) -> FrozenTrial:
    value = told[max(told)] if state is TrialState.COMPLETE else None
    return create_trial(
        state=state,
        value=value,
        intermediate_values=told,
        user_attrs={"reason": reason.value} if reason else {},
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
    )


@pytest.mark.parametrize(("direction", "worst"), [("minimize", 7.0), ("maximize", 3.0)])
def test_what_was_stopped_counts_and_what_diverged_is_the_worst(
    direction: str, worst: float
) -> None:
    seen = stored(
        trial(TrialState.COMPLETE, {0: 9.0, 1: 5.0, 2: 3.0}, Outcome.COMPLETE),
        trial(TrialState.PRUNED, {0: 9.0, 1: 9.0}, Outcome.RUNG),
        trial(TrialState.PRUNED, {0: 9.0, 1: 4.0}, Outcome.DIVERGED),
        trial(TrialState.PRUNED, {0: 9.0, 1: 4.0}, Outcome.OUT_OF_MEMORY),
        trial(TrialState.PRUNED, {0: 9.0, 1: 6.0}),  # by another program's pruner
        trial(TrialState.PRUNED, {0: 9.0}, Outcome.RUNG),
        trial(TrialState.FAIL, {0: 9.0, 1: 4.0}, Outcome.FAILED),
        trial(TrialState.RUNNING, {0: 9.0, 1: 5.5}),
        trial(TrialState.RUNNING, {0: 9.0}),
        direction=direction,
    )
    assert seen == {0: 3.0, 1: 7.0, 2: worst, 4: 4.0, 7: 3.5, 8: None}


def test_who_asks_for_stopped_trials_alone_sees_them_so() -> None:
    study = optuna.create_study(storage=ExtrapolatedStudy())
    study.add_trial(trial(TrialState.PRUNED, {1: 4.0}, Outcome.RUNG))
    [seen] = study.get_trials(states=[TrialState.PRUNED])
    assert seen.value is None
    assert not study.get_trials(states=[TrialState.WAITING])


def test_a_gaussian_process_learns_of_trials_that_were_stopped(feasible: Feasible) -> None:
    """The rank's optimum is 40; every trial is stopped half way, and none is complete."""
    space = feasible("lora.r=interval(1,64)")
    sampler = optuna.samplers.GPSampler(seed=0, n_startup_trials=6)
    sampling = Sampler(sampler, ["minimize"], space, [])
    asked = []
    for _ in range(14):
        asked.append(one := sampling.ask())
        sampling.report(one, 512, (one.parameters["lora.r"] / 40 - 1) ** 2)
        sampling.tell(one, Outcome.RUNG)
    near = [abs(one.parameters["lora.r"] - 40) <= 4 for one in asked]
    assert sum(near[6:]) >= 4
