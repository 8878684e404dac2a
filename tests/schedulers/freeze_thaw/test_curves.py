"""What of learning curves the model is fitted to."""

import numpy
import pytest

from ugro.schedulers.freeze_thaw.curves import (
    MAX_OBSERVATIONS,
    Curve,
    Prediction,
    State,
    missed_by,
    observations,
)


def curve(number: int, *changes: float, of: int | None = None) -> Curve:
    """Curve with equally spaced reports, of ``of`` in a whole run."""
    count = of or len(changes)
    progress = [(index + 1) / count for index in range(len(changes))]
    return Curve(number, numpy.array([number / 10]), progress=progress, changes=list(changes))


def test_nothing_is_fitted_without_a_report() -> None:
    assert observations([curve(0), curve(1)], 0.0) is None


def test_observations_are_those_of_each_curve_scaled_to_a_deviation_of_1() -> None:
    found = observations([curve(0, -1.0, -2.0), curve(1, -3.0, of=2)], 0.0)
    assert found is not None
    seen, scale = found
    assert seen.trials.tolist() == [0, 0, 1]
    assert seen.points.tolist() == [[0.0], [0.0], [0.1]]
    assert seen.progress.tolist() == [0.5, 1.0, 0.5]
    assert seen.values * scale == pytest.approx([-1, -2, -3])
    assert seen.values.std() == pytest.approx(1)


def test_reports_are_thinned_to_geometric_spacing_but_the_last_remains() -> None:
    """Of reports at 1, 2, ... 20 of 40, each is a quarter later than the one before."""
    found = observations([curve(0, *[-1.0 - i / 20 for i in range(20)], of=40)], 0.0)
    assert found is not None
    steps = (found[0].progress * 40).round().astype(int).tolist()
    assert steps == [1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 20]


def test_many_reports_are_thinned_further() -> None:
    curves = [curve(n, *[-1.0 - i / 20 for i in range(20)]) for n in range(200)]
    found = observations(curves, 0.0)
    assert found is not None
    assert len(found[0].values) <= MAX_OBSERVATIONS
    last = found[0].progress == 1
    assert found[0].trials[last].tolist() == list(range(200))


def test_reports_from_before_a_trial_has_learnt_anything_are_left_out_but_not_its_end() -> None:
    learning, stuck = curve(0, -0.5, -1.0, -1.5, -2.0), curve(1, 0.001, -0.002, 0.001, 0.002)
    found = observations([learning, stuck], 0.0)
    assert found is not None
    assert found[0].progress[found[0].trials == 1].tolist() == [1.0]
    noisy = observations([learning, curve(1, -0.1, -0.1, of=4)], noise=0.05)
    assert noisy is not None
    assert 1 not in noisy[0].trials


def test_early_predictions_are_checked_by_the_ends_of_complete_trials() -> None:
    """By hand: the root mean square of 1, 2 and 2 standard deviations is the root of 3."""
    checked = []
    for number, (mean, deviation) in enumerate([(-1.1, 0.1), (-1.4, 0.2), (-0.6, 0.2)]):
        one = curve(number, -0.5, -1.0)
        one.state, one.early = State.COMPLETE, Prediction(mean, deviation)
        checked.append(one)
    unfinished = curve(3, -0.5)
    unfinished.early = Prediction(5.0, 0.1)
    assert missed_by([*checked[:2], unfinished]) == 1.0  # too few
    assert missed_by([*checked, unfinished]) == pytest.approx(3**0.5)
    for one in checked:
        one.early = Prediction(-1.0, 0.1)
    assert missed_by(checked) == 1.0  # better than expected is no reason to trust more
    checked[0].early = Prediction(9.0, 0.1)
    assert missed_by(checked) == 3.0
