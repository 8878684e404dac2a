"""The figures of searched keys: slices, the map of two, parallel coordinates, the contour."""

from collections.abc import Callable

import numpy
import pytest
from optuna.distributions import FloatDistribution

from ugro.analysis.figures import contour, key_map, parallel, slices
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView
from ugro.analysis.figures.surface import surface
from ugro.events.outcome import Outcome
from ugro.study.study import Study

from ...studies import in_memory
from .studies import RANK, RATE, SPACE, UNKNOWN, add, at, mixed, view


def test_a_slice_a_key_the_most_important_first_on_the_scale_of_its_space() -> None:
    data = slices.prepare(view(mixed()))
    ranks, rates = data.slices
    assert (ranks.axis.key, rates.axis.key) == (RANK, RATE)
    assert (ranks.axis.log, rates.axis.log) == (False, True)
    assert ranks.importance == 0.6
    assert at(rates.points, Kind.STOPPED.value) == [(1e-5, 5.0)]
    assert at(ranks.points, "best") == [(1.0, 3.0)]  # 8 is the second of 4, 8, 16
    assert data.finding == "lora.r mattered most: 60% of the importance by fANOVA"
    first, second = slices.draw(data)
    assert (first.title, first.subtitle) == (RANK, "importance 60%")
    assert second.figure.layout.xaxis.type == "log"


def test_a_choice_with_three_complete_trials_has_a_median() -> None:
    study = in_memory(objectives=["eval_loss"])
    for rank, value in ((4, 1.0), (4, 2.0), (4, 6.0), (8, 1.5), (8, 2.5)):
        add(study, Outcome.COMPLETE, value, given={RANK: rank, RATE: 1e-4})
    data = slices.prepare(view(study))
    assert data.slices[0].medians == ((0, 2.0),)
    (bar,) = slices.draw(data)[0].figure.layout.shapes
    assert (bar.x0, bar.x1, bar.y0, bar.y1) == (-slices.HALF, slices.HALF, 2.0, 2.0)


def test_trials_of_a_choice_are_moved_apart_but_for_best_and_baseline() -> None:
    (ranks, _) = slices.prepare(view(mixed())).slices
    ((stopped, _),) = at(ranks.points, Kind.STOPPED.value)
    assert 0 < abs(stopped - 0.0) <= 0.22
    assert at(ranks.points, "baseline") == [(2.0, 4.0)]


def test_the_map_is_of_learning_rate_and_rank() -> None:
    data = key_map.prepare(view(mixed()))
    assert (data.across.key, data.up.key, data.across.log) == (RATE, RANK, True)
    assert at(data.points, "best") == [(1e-3, 1.0)]
    assert data.values == {0: 4.0, 2: 3.0}
    assert data.finding == "Best at training.learning_rate = 1e-3, lora.r = 8: evaluation loss 3"
    layout = key_map.draw(data).figure.layout
    assert layout.coloraxis.colorbar.title.text == "evaluation loss (nats)"


def test_without_a_rank_the_map_is_of_the_two_most_important_keys() -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.COMPLETE, 1.0, space={"x": FloatDistribution(0, 1), RATE: SPACE[RATE]})
    data = key_map.prepare(view(study, UNKNOWN))
    assert (data.across.key, data.up.key) == (RATE, "x")


@pytest.mark.parametrize("prepare", [key_map.prepare, parallel.prepare, contour.prepare])
def test_of_a_single_key_there_is_none(prepare: Callable[[StudyView], object]) -> None:
    study = in_memory(objectives=["eval_loss"])
    for value in (1.0, 2.0):
        add(study, Outcome.COMPLETE, value, space={"x": FloatDistribution(0, 1)})
    with pytest.raises(NoDataError, match="fewer than two"):
        prepare(view(study))


def test_a_line_runs_over_the_keys_to_the_value_the_most_important_key_last() -> None:
    data = parallel.prepare(view(mixed()))
    by_label = {group.label: group.of for group in data.lines}
    assert [axis.key for axis in data.axes] == [RATE, RANK]
    # 1e-3 is the upper end of its axis, 8 the middle of three; the best value 3 is at the foot.
    low, high = 3 - 0.06, 4 + 0.06
    best = [[0, 1 - 0.03 / 1.06], [1, 0.5], [2, (3 - low) / (high - low)]]
    assert by_label["best"][2].tolist() == [pytest.approx(one) for one in best]
    assert list(by_label[Kind.STOPPED.value]) == [1]
    assert Kind.INFEASIBLE.value not in by_label


def test_a_key_that_was_not_searched_is_below_its_axis() -> None:
    study = mixed()
    add(study, Outcome.COMPLETE, 2.0, space={RATE: SPACE[RATE]})
    data = parallel.prepare(view(study))
    (best,) = [group for group in data.lines if group.label == "best"]
    assert best.of[6][1, 1] == parallel.BELOW
    assert data.gaps


def bowl(trials: int) -> Study:
    """Values that are lowest in the middle of both keys: at 0.5, and at 1e-4."""
    study = in_memory(objectives=["eval_loss"])
    space = {"x": FloatDistribution(0, 1), RATE: SPACE[RATE]}
    draw = numpy.random.default_rng(0)
    for x, y in draw.uniform(0, 1, (trials, 2)):
        value = 2 + (x - 0.5) ** 2 + (y - 0.5) ** 2
        add(study, Outcome.COMPLETE, value, space=space, given={"x": x, RATE: 10 ** (2 * y - 5)})
    return study


def test_the_contour_finds_the_bottom_of_a_bowl() -> None:
    data = contour.prepare(view(bowl(40), UNKNOWN))
    assert data.across.log
    rate, x = (float(one.split("=")[1]) for one in data.finding.split("near ")[1].split(","))
    assert rate == pytest.approx(1e-4, rel=0.15)
    assert x == pytest.approx(0.5, abs=0.05)
    assert len(data.places) == len(data.values) == 40
    drawn = contour.draw(data).figure.data
    (trials,) = [trace for trace in drawn if trace.customdata and len(trace.customdata) == 40]
    assert list(trials.y) == data.places["x"].tolist()


def test_a_surface_explains_a_bowl_and_not_noise() -> None:
    draw = numpy.random.default_rng(1)
    at = draw.uniform(0, 1, (40, 2))
    assert surface(at, ((at - 0.5) ** 2).sum(axis=1)).explained > 0.95
    assert surface(at, draw.normal(size=40)).explained < contour.EXPLAINED


def test_too_few_trials_have_no_contour() -> None:
    with pytest.raises(NoDataError, match="11 trials can be compared"):
        contour.prepare(view(bowl(11)))
