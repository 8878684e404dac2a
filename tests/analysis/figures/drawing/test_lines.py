"""Lines of many trials in few traces, and the sample that is drawn of very many."""

import numpy

from tests.analysis.reported import searched
from ugro.analysis.figures.downsampling import downsampled, sampling_note
from ugro.analysis.figures.drawing.lines import lines_of, traces
from ugro.analysis.figures.drawing.theme import SHADES
from ugro.analysis.figures.drawing.window import window_of

from ..studies import view


def test_complete_trials_are_grouped_by_value_the_better_on_top() -> None:
    shown = view(searched(30), ())
    places = {number: numpy.array([[0.0, 1.0], [1.0, 2.0]]) for number in range(30)}
    groups = lines_of(shown, places, window_of(shown))
    shades = [group.shade for group in groups if group.shade is not None]
    assert shades == sorted(shades, reverse=True)  # the highest loss first
    assert [group.label for group in groups][-2:] == ["baseline", "best"]
    assert sorted(number for group in groups for number in group.of) == list(range(30))


def test_a_complete_trial_with_an_infinite_value_has_the_colour_of_the_worst() -> None:
    """The figures have no place for such a value: it is NaN in them."""
    shown = view(searched(12), ())
    shown.trials.loc[5, "value"] = numpy.nan
    places = {number: numpy.array([[0.0, 1.0], [1.0, 2.0]]) for number in range(12)}
    (group,) = [one for one in lines_of(shown, places, window_of(shown)) if 5 in one.of]
    assert group.shade == len(SHADES) - 1
    assert next(traces([group], shown.minimised, "")).name == "complete"


def test_the_lines_of_a_trace_are_parted_by_gaps() -> None:
    shown = view(searched(3), ())
    shown.trials["value"] = [2.0, 1.0, 2.0]
    places = {number: numpy.array([[0.0, number], [1.0, numpy.nan]]) for number in (0, 2)}
    (trace,) = [one for one in traces(lines_of(shown, {2: places[2]}, window_of(shown)), True, "")
                if one.name == "complete"]  # fmt: skip
    assert (trace.x, trace.y, trace.customdata) == ((0, 1), (2, None), (2, 2))


def test_a_sample_keeps_best_baseline_and_every_improvement() -> None:
    shown = view(searched(100), ())
    part = downsampled(shown, 20)
    assert len(part.trials) == 20
    assert (part.best, part.baseline) == (shown.best, shown.baseline)
    better = shown.improvements(shown.trials["value"].dropna())
    assert set(better.index) <= set(part.trials.index)
    assert sampling_note(shown, part).startswith("Of 100 trials the figures draw 20: the best 2,")
    assert sampling_note(shown, downsampled(shown, 100)) == ""
