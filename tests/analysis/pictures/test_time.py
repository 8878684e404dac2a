"""The pictures of time and cost: the slots' timeline, and what the best value took."""

from dataclasses import replace

import numpy
import pandas
import pytest
from ugro.analysis.pictures import cost, timeline
from ugro.analysis.pictures.lanes import clock_of, lanes_of
from ugro.analysis.pictures.style import COLOURS, CUT_OFF
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject, subject_of

from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome

from ...studies import in_memory
from .drawn import headline, legend, marks
from .studies import add, subject


def spans(*rows: tuple[int, str, float, float]) -> pandas.DataFrame:
    return pandas.DataFrame(rows, columns=["number", "worker", "began", "ended"])


def timed() -> Subject:
    """Two slots for 100 s: trial 0 fills one; 1 is cut off at 40 and goes on from 60 to 80."""
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.COMPLETE, 4.0, curve=[5.0, 4.0], source="baseline")
    add(study, Outcome.COMPLETE, 3.0, curve=[5.0, 3.0])
    tables = tables_of(study)
    tables.trials["ended"] = [100.0, 80.0]
    return subject_of(
        replace(
            tables,
            spans=spans((0, "a:1", 0, 100), (1, "a:2", 0, 40), (1, "a:2", 60, 80)),
            slots=pandas.DataFrame({"time": [0.0], "slots": [2]}),
            sessions=pandas.DataFrame({"by": ["a"], "began": [0.0], "ended": [100.0]}),
        ),
        (),
    )


def test_a_stay_is_a_bar_in_the_row_of_its_slot() -> None:
    figure = timeline.draw(timed())
    bars = {one.get_label(): one for one in figure.axes[0].collections}
    whole, cut = bars["complete stays"], bars["cut off, went on later stays"]
    boxes = [path.get_extents() for path in whole.get_paths()]
    assert [(box.x0, box.x1, round((box.y0 + box.y1) / 2)) for box in boxes] == [
        (0, 100, 0), (60, 80, 1),
    ]  # fmt: skip
    (box,) = [path.get_extents() for path in cut.get_paths()]
    assert (box.x0, box.x1) == (0, 40)
    assert legend(figure) == ["best", "baseline", "complete", "cut off, went on later", "idle"]
    assert CUT_OFF not in COLOURS.values()


def test_the_timelines_headline_is_the_utilisation() -> None:
    # 100 + 40 + 20 of 2 * 100 seconds.
    assert headline(timeline.draw(timed())) == (
        "2 slots busy 80% of the time: 2 trials in 1 min 40 s"
    )


def test_a_slot_is_a_row_of_its_machine_and_a_new_worker_takes_a_free_one() -> None:
    told = spans((0, "b:1", 0, 10), (1, "a:1", 0, 4), (2, "a:2", 1, 9), (3, "a:3", 5, 8))
    found = lanes_of(told)
    assert found.names == ("a 1", "a 2", "b 1")
    assert found.of == (2, 0, 1, 0)
    assert lanes_of(told[:1]).names == ("slot 1",)


def test_a_pause_between_two_drivers_is_cut_out() -> None:
    clock = clock_of(spans((0, "", 0, 50), (1, "", 1050, 1100), (2, "", 1101, 1110)))
    assert clock.pauses == ((50, 1050),)
    assert clock.at(numpy.array([0.0, 50.0, 1050.0, 1100.0])).tolist() == [0, 50, 50, 100]


def test_the_best_value_against_all_that_was_spent_until_then() -> None:
    figure = cost.draw(timed())
    tokens, seconds = figure.axes
    # Untimed reports count when their trial ended: trial 1 first, with 200 of 400 tokens.
    assert marks(tokens, "best") == [(200.0, 3.0)]
    assert marks(tokens, "baseline") == [(400.0, 4.0)]
    # Until 80: 80 s of trial 0, 40 + 20 of trial 1; in all 160.
    assert marks(seconds, "best") == [(140.0, 3.0)]
    assert marks(seconds, "baseline") == [(160.0, 4.0)]
    (line,) = [one for one in seconds.lines if one.get_drawstyle() == "steps-post"]
    assert line.get_xydata().tolist() == [[140, 3], [160, 3]]  # type: ignore[union-attr]
    assert headline(figure) == "The best, evaluation loss 3, came after 50% of the cost"


def test_without_a_complete_trial_there_is_no_cost_of_the_best() -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.RUNG, curve=[2.0])
    with pytest.raises(NothingToDrawError, match="no trial is complete"):
        cost.draw(subject(study))


def test_what_never_ran_has_no_timeline() -> None:
    with pytest.raises(NothingToDrawError, match="nobody knows when"):
        timeline.draw(subject(in_memory()))


def test_every_kind_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == set(Kind)
    assert len(set(COLOURS.values())) == len(Kind)
