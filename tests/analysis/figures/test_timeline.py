"""The figures of time and cost: the slots' timeline, and what the best value took."""

from dataclasses import replace

import numpy
import pandas
import pytest

from ugro.analysis.figures import cost, timeline
from ugro.analysis.figures.drawing.theme import COLOURS, RETRIED
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView, study_view
from ugro.analysis.figures.timeline_rows import clock_of, rows_of
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome

from ...studies import in_memory
from .studies import add, view


def spans(*rows: tuple[int, str, float, float]) -> pandas.DataFrame:
    return pandas.DataFrame(rows, columns=["number", "worker", "began", "ended"])


def timed() -> StudyView:
    """Two slots for 100 s: trial 0 fills one; 1 is cut off at 40 and goes on from 60 to 80."""
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.COMPLETE, 4.0, curve=[5.0, 4.0], source="baseline")
    add(study, Outcome.COMPLETE, 3.0, curve=[5.0, 3.0])
    tables = tables_of(study)
    tables.trials["ended"] = [100.0, 80.0]
    return study_view(
        replace(
            tables,
            spans=spans((0, "a:1", 0, 100), (1, "a:2", 0, 40), (1, "a:2", 60, 80)),
            slots=pandas.DataFrame({"time": [0.0], "slots": [2]}),
            sessions=pandas.DataFrame({"by": ["a"], "began": [0.0], "ended": [100.0]}),
        ),
        (),
    )


def test_a_stay_is_a_bar_in_the_row_of_its_slot() -> None:
    data = timeline.prepare(timed())
    whole, cut = data.bars
    assert (data.unit, data.end, data.rows) == ("seconds", 100, ("slot 1", "slot 2"))
    assert (whole.label, whole.numbers, whole.rows) == ("complete", (0, 1), (0, 1))
    assert (whole.began, whole.ended) == ((0, 60), (100, 80))
    assert (cut.label, cut.numbers, cut.began, cut.ended) == (
        "cut off or paused, resumed later", (1,), (0,), (40,),
    )  # fmt: skip
    assert [(one.label, one.x, one.y) for one in data.highlights] == [
        ("baseline", (50,), (0,)), ("best", (70,), (1,)),
    ]  # fmt: skip
    assert RETRIED not in COLOURS.values()


def test_the_number_of_busy_slots_changes_with_each_stay() -> None:
    data = timeline.prepare(timed())
    # At 0 two begin; at 40 the one is cut off, from 60 to 80 it goes on; at 100 all is over.
    assert data.busy.tolist() == [[0, 1], [0, 2], [40, 1], [60, 2], [80, 1], [100, 0]]
    assert data.slots.tolist() == [[0, 2]]
    drawn = {trace.name: trace for trace in timeline.draw(data).figure.data}
    assert list(drawn["slots"].y) == [2, 2]
    assert list(drawn["complete"].x) == [100, 20]


def test_the_timelines_finding_is_the_utilisation() -> None:
    # 100 + 40 + 20 of 2 * 100 seconds.
    assert timeline.prepare(timed()).finding == (
        "2 slots busy 80% of the time: 2 trials in 1 min 40 s"
    )


def test_a_slot_is_a_row_of_its_machine_and_a_new_worker_takes_a_free_one() -> None:
    told = spans((0, "b:1", 0, 10), (1, "a:1", 0, 4), (2, "a:2", 1, 9), (3, "a:3", 5, 8))
    found = rows_of(told)
    assert found.names == ("a 1", "a 2", "b 1")
    assert found.of == (2, 0, 1, 0)
    assert rows_of(told[:1]).names == ("slot 1",)


def test_a_pause_between_two_drivers_is_cut_out() -> None:
    clock = clock_of(spans((0, "", 0, 50), (1, "", 1050, 1100), (2, "", 1101, 1110)))
    assert clock.pauses == ((50, 1050),)
    assert clock.at(numpy.array([0.0, 50.0, 1050.0, 1100.0])).tolist() == [0, 50, 50, 100]


def test_the_best_value_against_all_that_was_spent_until_then() -> None:
    data = cost.prepare(timed())
    tokens, seconds = data.curves
    # Untimed reports count when their trial ended: trial 1 first, with 200 of 400 tokens.
    assert (tokens.numbers, tokens.spent, tokens.values) == ((1, 0), (200.0, 400.0), (3.0, 4.0))
    # Until 80: 80 s of trial 0, 40 + 20 of trial 1; in all 160.
    assert (seconds.numbers, seconds.spent, seconds.total) == ((1, 0), (140.0, 160.0), 160.0)
    assert seconds.best_so_far == ((140.0, 3.0), (160.0, 3.0))
    assert (data.best, data.baseline) == (1, 4.0)
    assert data.finding == "The best, evaluation loss 3, came after 50% of the cost"


def test_the_drawing_of_the_cost_has_the_data() -> None:
    panels = cost.draw(cost.prepare(timed()))
    assert [panel.title for panel in panels] == ["400 steps", "2 min 40 s in slots"]
    drawn = {trace.name: trace for trace in panels[1].figure.data}
    assert (list(drawn["best"].x), list(drawn["best"].y)) == ([140.0], [3.0])
    assert (list(drawn["best so far"].x), drawn["best so far"].line.shape) == ([140, 160], "hv")


def test_tokens_are_charged_when_they_are_reported_not_when_their_trial_ends() -> None:
    shown = timed()
    times = [90.0, 100.0, 70.0, 80.0]  # of trial 0 and of trial 1
    tables = replace(shown.tables, reports=shown.tables.reports.assign(time=times))
    early = tables.reports.assign(time=[10.0, 100.0, 70.0, 80.0])
    spent = cost.prepare(study_view(tables, ())).curves[0].spent
    assert spent == (200.0, 400.0)
    # The first 100 tokens of trial 0 had been trained on when trial 1 ended.
    spent = cost.prepare(study_view(replace(tables, reports=early), ())).curves[0].spent
    assert spent == (300.0, 400.0)


def test_without_a_complete_trial_there_is_no_cost_of_the_best() -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.RUNG, curve=[2.0])
    with pytest.raises(NoDataError, match="no trial is complete"):
        cost.prepare(view(study))


def test_what_never_ran_has_no_timeline() -> None:
    with pytest.raises(NoDataError, match="not known when"):
        timeline.prepare(view(in_memory()))


def test_every_kind_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == set(Kind)
    assert len(set(COLOURS.values())) == len(Kind)
