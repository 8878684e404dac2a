"""The pictures of searched keys: slices, the map of two, parallel coordinates, the contour."""

import numpy
import pytest
from matplotlib.collections import LineCollection
from optuna.distributions import FloatDistribution
from ugro.analysis.pictures import contour, parallel, rate_rank, slices
from ugro.analysis.pictures.subject import Kind, NothingToDrawError
from ugro.analysis.pictures.surface import surface

from ugro.events.outcome import Outcome
from ugro.study.study import Study

from ...studies import in_memory
from .drawn import headline, legend, lines, marks
from .studies import RANK, RATE, SPACE, UNKNOWN, add, mixed, subject


def test_a_slice_a_key_the_most_important_first_on_the_scale_of_its_space() -> None:
    ranks, rates = slices.draw(subject(mixed())).axes
    assert (ranks.get_xlabel(), rates.get_xlabel()) == (RANK, RATE)
    assert (ranks.get_xscale(), rates.get_xscale()) == ("linear", "log")
    assert ranks.get_title(loc="left") == "importance 60%"
    assert marks(rates, Kind.STOPPED.value) == [(1e-5, 5.0)]
    assert marks(ranks, "best") == [(1.0, 3.0)]  # 8 is the second of 4, 8, 16


def test_a_choice_with_three_complete_trials_has_a_median() -> None:
    study = in_memory(objectives=["eval_loss"])
    for rank, value in ((4, 1.0), (4, 2.0), (4, 6.0), (8, 1.5), (8, 2.5)):
        add(study, Outcome.COMPLETE, value, given={RANK: rank, RATE: 1e-4})
    figure = slices.draw(subject(study))
    bars = [one for one in figure.axes[0].collections if isinstance(one, LineCollection)]
    (median,) = bars[0].get_segments()
    assert numpy.asarray(median).tolist() == [[-0.32, 2.0], [0.32, 2.0]]
    assert "median of complete trials" in legend(figure)


def test_the_map_is_of_learning_rate_and_rank() -> None:
    figure = rate_rank.draw(subject(mixed()))
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == (RATE, RANK, "log")
    assert marks(axes, "best") == [(1e-3, 1.0)]
    assert (
        headline(figure) == "Best at training.learning_rate = 1e-3, lora.r = 8: evaluation loss 3"
    )
    assert figure.axes[1].get_ylabel() == "evaluation loss (nats per token)"


def test_without_a_rank_the_map_is_of_the_two_most_important_keys() -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.COMPLETE, 1.0, space={"x": FloatDistribution(0, 1), RATE: SPACE[RATE]})
    axes = rate_rank.draw(subject(study, UNKNOWN)).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (RATE, "x")


@pytest.mark.parametrize("draw", [rate_rank.draw, parallel.draw, contour.draw])
def test_of_a_single_key_there_is_none(draw) -> None:  # type: ignore[no-untyped-def]
    study = in_memory(objectives=["eval_loss"])
    for value in (1.0, 2.0):
        add(study, Outcome.COMPLETE, value, space={"x": FloatDistribution(0, 1)})
    with pytest.raises(NothingToDrawError, match="fewer than two"):
        draw(subject(study))


def test_a_line_runs_over_the_keys_to_the_value_the_most_important_key_last() -> None:
    (axes,) = parallel.draw(subject(mixed())).axes
    by_label = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}  # type: ignore[union-attr]
    # 1e-3 is the upper end of its axis, 8 the middle of three; the best value 3 is at the foot.
    low, high = 3 - 0.06, 4 + 0.06
    best = [[0, 1 - 0.03 / 1.06], [1, 0.5], [2, (3 - low) / (high - low)]]
    assert by_label["best"] == [pytest.approx(one) for one in best]
    assert len(lines(axes, Kind.STOPPED.value)) == 1


def test_a_key_that_was_not_searched_is_below_its_axis() -> None:
    study = mixed()
    add(study, Outcome.COMPLETE, 2.0, space={RATE: SPACE[RATE]})
    (axes,) = parallel.draw(subject(study)).axes
    (best,) = [line for line in axes.lines if line.get_label() == "best"]
    assert numpy.asarray(best.get_ydata())[1] == parallel.LEFT_OUT


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
    figure = contour.draw(subject(bowl(40), UNKNOWN))
    assert figure.axes[0].get_xscale() == "log"
    rate, x = (float(one.split("=")[1]) for one in headline(figure).split("near ")[1].split(","))
    assert rate == pytest.approx(1e-4, rel=0.15)
    assert x == pytest.approx(0.5, abs=0.05)
    assert len(marks(figure.axes[0], "trials")) == 40


def test_a_surface_explains_a_bowl_and_not_noise() -> None:
    draw = numpy.random.default_rng(1)
    at = draw.uniform(0, 1, (40, 2))
    assert surface(at, ((at - 0.5) ** 2).sum(axis=1)).explained > 0.95
    assert surface(at, draw.normal(size=40)).explained < contour.EXPLAINED


def test_too_few_trials_have_no_contour() -> None:
    with pytest.raises(NothingToDrawError, match="11 trials can be compared"):
        contour.draw(subject(bowl(11)))
