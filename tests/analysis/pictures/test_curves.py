import pandas
import pytest
from ugro.analysis.pictures.curves import draw, rungs
from ugro.analysis.pictures.subject import Kind, NothingToDrawError

from ugro.events.outcome import Outcome

from ...studies import in_memory
from .drawn import headline, legend, lines, words
from .studies import add, mixed, subject


def test_each_trial_is_a_line_over_its_reports() -> None:
    (axes,) = draw(subject(mixed())).axes
    assert lines(axes, Kind.STOPPED.value) == [[[100.0, 5.0]]]
    assert lines(axes, Kind.INFEASIBLE.value) == [[[100.0, 4.0], [200.0, 3.5]]]
    by_label = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}  # type: ignore[union-attr]
    assert by_label["best"] == [[100.0, 4.5], [200.0, 3.0]]
    assert by_label["baseline"] == [[100.0, 6.0], [200.0, 4.0]]


def test_stopped_ones_are_marked_where_they_were_stopped() -> None:
    figure = draw(subject(mixed()))
    ends = [one.get_offsets().tolist() for one in figure.axes[0].collections]  # type: ignore[union-attr]
    assert [[100.0, 5.0]] in ends
    assert legend(figure) == [
        "complete (the darker, the better)", "stopped early", "infeasible", "running",
    ]  # fmt: skip


def test_best_and_baseline_are_named_with_their_values() -> None:
    said = words(draw(subject(mixed())))
    assert "best, trial 2: 3" in said
    assert "baseline, trial 0: 4" in said


def test_the_headline_counts_who_was_stopped() -> None:
    assert headline(draw(subject(mixed()))) == "1 of 6 trials stopped early"


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
    with pytest.raises(NothingToDrawError, match="more than once"):
        draw(subject(study))
