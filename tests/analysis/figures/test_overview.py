import warnings
from pathlib import Path

import matplotlib
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread

from ugro.analysis.figures import overview
from ugro.analysis.figures.drawing.overview_style import DPI, new_figure, save
from ugro.analysis.figures.overview import prepare, write_overview
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView
from ugro.events.outcome import Outcome

from ...studies import in_memory
from .drawn_overview import headline, marks, words
from .studies import RANK, UNKNOWN, add, mixed, view


def draw(of: StudyView) -> Figure:
    return overview.draw(prepare(of))


def panels(**given: object) -> list[Axes]:
    return draw(view(mixed(), **given)).axes  # type: ignore[arg-type]


def test_the_headline_states_the_gain() -> None:
    assert headline(draw(view(mixed()))) == (
        "Best of 6 trials: evaluation loss 3, 25% below the baseline"
    )
    assert headline(draw(view(mixed("maximize")))) == (
        "Best of 6 trials: evaluation loss 4, no better than the baseline"
    )


def test_each_ending_has_its_mark_at_its_value() -> None:
    progress = panels()[0]
    assert marks(progress, Kind.COMPLETE.value) == [(0.0, 4.0), (2.0, 3.0)]
    assert marks(progress, Kind.STOPPED.value) == [(1.0, 5.0)]
    assert marks(progress, Kind.INFEASIBLE.value) == [(4.0, 3.5)]
    assert marks(progress, Kind.RUNNING.value) == [(5.0, 4.2)]
    assert marks(progress, Kind.FAILED.value) == [(3.0, 0.02)]  # no value: at the foot
    assert marks(progress, "best") == [(2.0, 3.0)]
    assert marks(progress, "baseline") == [(0.0, 4.0)]


def test_the_best_so_far_is_a_staircase_over_complete_trials() -> None:
    (line,) = [one for one in panels()[0].lines if one.get_drawstyle() == "steps-post"]
    assert line.get_xydata().tolist() == [[0, 4], [2, 3], [5, 3]]  # type: ignore[union-attr]


def test_the_most_important_key_has_its_panel_and_its_choices() -> None:
    key = panels()[1]
    assert key.get_xlabel() == RANK
    assert [one.get_text() for one in key.get_xticklabels()] == ["4", "8", "16"]
    assert key.get_title(loc="left") == "Best at lora.r = 8"
    assert marks(key, "best") == [(1.0, 3.0)]


def test_importance_is_drawn_with_its_interval() -> None:
    bars = panels()[3]
    assert [bar.get_width() for bar in bars.patches] == pytest.approx([60, 20])
    (interval, _) = bars.containers[0].lines[2][0].get_segments()  # type: ignore[union-attr]
    assert interval[:, 0].tolist() == pytest.approx([50, 70])
    assert bars.get_title(loc="left") == "lora.r mattered most: 60%"


def test_without_an_importance_the_panel_says_why() -> None:
    assert "It needs 12 comparable trials for 2 keys; there are 5." in words(
        panels(importances=UNKNOWN)[3]
    )


def test_the_distribution_counts_complete_and_stopped_ones() -> None:
    values = panels()[2]
    assert sum(bar.get_height() for bar in values.containers[0]) == 2  # type: ignore[union-attr]
    assert sum(bar.get_height() for bar in values.containers[1]) == 1  # type: ignore[union-attr]
    told = "1 of 1 other complete trial is better than the baseline"
    assert values.get_title(loc="left") == told


def test_what_is_far_worse_is_an_arrow_at_the_edge() -> None:
    study = in_memory(objectives=["eval_loss"])
    for value in (1.0, 2.0, 3.0, 4.0, 5.0, 20.0):
        add(study, Outcome.COMPLETE, value)
    figure = draw(view(study))
    assert len(marks(figure.axes[0], Kind.COMPLETE.value)) == 5
    edge = 12.25 + 0.06 * 11.25
    assert any(
        one.get_offsets().tolist() == [pytest.approx([5.0, edge])]  # type: ignore[union-attr]
        for one in figure.axes[0].collections
    )
    assert "1 worse value beyond the axis" in words(figure)


def test_trials_without_any_value_give_no_overview() -> None:
    study = in_memory(objectives=["eval_loss"])
    add(study, Outcome.FAILED)
    with pytest.raises(NoDataError, match="no trial has come to a value"):
        draw(view(study))


def test_it_is_written_and_nothing_else_is_changed(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    write_overview(view(mixed()), tmp_path / "analysis" / "overview.png")
    assert [path.name for path in (tmp_path / "analysis").iterdir()] == ["overview.png"]
    assert dict(matplotlib.rcParams) == before
    assert imread(tmp_path / "analysis" / "overview.png").shape[1] == 14 * DPI


def test_a_stale_overview_is_removed(tmp_path: Path) -> None:
    (tmp_path / "overview.png").touch()
    (tmp_path / "own.png").touch()
    with pytest.raises(NoDataError, match="no trial has come to a value yet"):
        write_overview(view(in_memory()), tmp_path / "overview.png")
    assert [path.name for path in tmp_path.iterdir()] == ["own.png"]


def test_a_name_that_the_font_has_not_does_not_warn(tmp_path: Path) -> None:
    figure = new_figure(12.0, 6.75)
    figure.subplots().set_title("名前")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(figure, tmp_path / "name.png")
