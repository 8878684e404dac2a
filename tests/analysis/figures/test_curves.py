import pandas
import pytest

from ugro.analysis.figures.curves import draw, prepare, rungs
from ugro.analysis.figures.study_view import Kind, NoDataError
from ugro.events.outcome import Outcome

from ...studies import in_memory
from .studies import add, mixed, view


def test_each_trial_is_a_line_over_its_reports() -> None:
    groups = {group.label: group.of for group in prepare(view(mixed())).lines}
    lines = {label: {n: line.tolist() for n, line in of.items()} for label, of in groups.items()}
    assert lines[Kind.STOPPED.value] == {1: [[100.0, 5.0]]}
    assert lines[Kind.INFEASIBLE.value] == {4: [[100.0, 4.0], [200.0, 3.5]]}
    assert lines["best"] == {2: [[100.0, 4.5], [200.0, 3.0]]}
    assert lines["baseline"] == {0: [[100.0, 6.0], [200.0, 4.0]]}


def test_stopped_ones_are_marked_where_they_were_stopped() -> None:
    data = prepare(view(mixed()))
    assert data.ends == {
        Kind.STOPPED: {1: (100.0, 5.0)},
        Kind.INFEASIBLE: {4: (200.0, 3.5)},
        Kind.RUNNING: {5: (100.0, 4.2)},
    }
    assert data.note == "A ring is where a trial was stopped or paused."


def test_the_drawing_has_a_trace_per_group_and_one_for_the_line_under_the_pointer() -> None:
    traces = draw(prepare(view(mixed()))).figure.data
    assert [trace.name for trace in traces if trace.mode != "markers"] == [
        "stopped or paused", "infeasible", "running", "baseline", "best", None,
    ]  # fmt: skip
    assert traces[-1].meta == "highlight"
    (best,) = [trace for trace in traces if trace.name == "best"]
    assert (list(best.x), list(best.y), set(best.customdata)) == ([100, 200], [4.5, 3.0], {2})


def test_the_finding_counts_who_was_stopped() -> None:
    assert prepare(view(mixed())).finding == "1 of 6 trials stopped or paused"


def reports(*rows: tuple[int, int, int]) -> pandas.DataFrame:
    return pandas.DataFrame(rows, columns=["number", "tokens_seen", "rung"])


def test_a_rung_is_at_the_fewest_tokens_with_which_a_trial_has_come_to_it() -> None:
    told = reports((0, 50, 0), (0, 100, 1), (0, 400, 2), (1, 120, 1), (1, 380, 1))
    assert rungs(told) == [100.0, 400.0]


def test_rungs_by_another_resource_than_tokens_are_not_drawn() -> None:
    assert rungs(reports((0, 100, 1), (1, 150, 0))) == []
    assert rungs(pandas.DataFrame({"number": [0], "tokens_seen": [5]})) == []


def test_trials_that_reported_once_have_no_curves() -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.COMPLETE, 2.0, curve=[2.0])
    with pytest.raises(NoDataError, match="more than once"):
        prepare(view(study))
