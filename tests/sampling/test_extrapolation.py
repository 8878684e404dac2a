"""Extrapolation of stopped trials from longer ones."""

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
from ugro.sampling.optuna_sampler import OptunaSampler

COUNTED = (TrialState.COMPLETE, TrialState.RUNNING)
finite = st.floats(-1e3, 1e3)


def decaying(end: float, until: int = 4) -> Curve:
    """Curve with reports at 1, 2, ... of 4 that halves the distance to its end each time."""
    values = [end + 8.0 * 0.5**step for step in range(1, until + 1)]
    return Curve(range(1, until + 1), values, end if until == 4 else None)


def test_curves_of_the_same_shape_are_predicted_exactly() -> None:
    curves = [decaying(end) for end in numpy.linspace(1, 2, MIN_TRIALS)]
    curves += [decaying(5.0, 2), decaying(0.5, 1), decaying(3.0, 3)]
    assert extrapolated(curves)[MIN_TRIALS:] == pytest.approx([5.0, 0.5, 3.0])


def test_growing_differences_are_extrapolated() -> None:
    complete = [Curve([1, 2], [0.5 * end, end], end) for end in numpy.linspace(1, 2, MIN_TRIALS)]
    assert extrapolated([*complete, Curve([1], [2.0])])[-1] == pytest.approx(4.0)


def test_with_two_longer_trials_only_the_mean_change_is_added() -> None:
    complete = [Curve([1, 2], [3.0, 1.0], 1.0), Curve([1, 2], [5.0, 1.0], 1.0)]
    assert extrapolated([*complete, Curve([1], [4.5])])[-1] == pytest.approx(1.5)


def test_predicted_trials_contribute_to_shorter_ones() -> None:
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
    curves = [Curve(range(1, len(values) + 1), values, end) for values, end in made]
    found = extrapolated(curves)
    assert all(math.isfinite(value) for value in found)
    assert all(c.end in (None, value) for c, value in zip(curves, found, strict=True))


def stored(*trials: FrozenTrial, direction: str = "minimize") -> dict[int, float | None]:
    """Values that a sampler sees when it requests complete and running trials."""
    study = optuna.create_study(storage=ExtrapolatedStudy(), direction=direction)
    study.add_trials(trials)
    seen = study._storage.get_all_trials(study._study_id, states=COUNTED)
    return {one.number: one.value if one.state.is_finished() else None for one in seen}


def trial(
    state: TrialState, values: dict[int, float], reason: Outcome | None = None
) -> FrozenTrial:
    value = values[max(values)] if state is TrialState.COMPLETE else None
    return create_trial(
        state=state,
        value=value,
        intermediate_values=values,
        user_attrs={"reason": reason.value} if reason else {},
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
    )


@pytest.mark.parametrize(("direction", "worst"), [("minimize", 7.0), ("maximize", 3.0)])
def test_stopped_trials_are_extrapolated_and_diverged_ones_are_the_worst(
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
        trial(TrialState.PRUNED, {0: 9.0, 1: 2.0}, Outcome.INFEASIBLE),
        trial(TrialState.PRUNED, {}),  # a rejected draw
        direction=direction,
    )
    assert seen == {0: 3.0, 1: 7.0, 2: worst, 4: 4.0, 7: 3.5, 8: None, 9: worst, 10: worst}


def test_stopped_trials_requested_alone_are_unchanged() -> None:
    study = optuna.create_study(storage=ExtrapolatedStudy())
    study.add_trial(trial(TrialState.PRUNED, {1: 4.0}, Outcome.RUNG))
    [seen] = study.get_trials(states=[TrialState.PRUNED])
    assert seen.value is None
    assert not study.get_trials(states=[TrialState.WAITING])


def test_a_gaussian_process_learns_from_stopped_trials(feasible: Feasible) -> None:
    """The optimal rank is 40; every trial stops half way, and none is complete."""
    space = feasible("lora.r=interval(1,64)")
    sampler = optuna.samplers.GPSampler(seed=0, n_startup_trials=6)
    sampling = OptunaSampler(sampler, ["minimize"], space, [])
    asked = []
    for _ in range(14):
        asked.append(one := sampling.ask())
        sampling.report(one, 512, (one.parameters["lora.r"] / 40 - 1) ** 2)
        sampling.tell(one, Outcome.RUNG)
    near = [abs(one.parameters["lora.r"] - 40) <= 4 for one in asked]
    assert sum(near[6:]) >= 4
