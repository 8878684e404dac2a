"""Figures as files: with a browser one each, without one a line that says so."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from ugro.analysis.figures.catalog import Section, sections_of
from ugro.analysis.figures.static import NoBrowserError, standalone, write_static

from .studies import mixed, view

BROWSER = importlib.util.find_spec("kaleido") and (
    shutil.which("chromium") or shutil.which("google-chrome")
)
needs_browser = pytest.mark.skipif(not BROWSER, reason="kaleido or a browser is not installed")


def sections(*names: str) -> tuple[Section, ...]:
    return sections_of(view(mixed()), None, names)


def test_a_figure_has_its_finding_as_the_title_and_its_notes_below() -> None:
    figure = standalone(sections("progression")[0])
    title = figure.layout.title.text
    assert title == "<b>Best of 6 trials: evaluation loss 3, 25% below the baseline</b>"
    assert figure.layout.annotations[-1].text == "Stopped trials are shown at their last value."


def test_panels_are_laid_out_in_one_figure_with_one_legend() -> None:
    figure = standalone(sections("slices")[0])
    layout = figure.layout
    assert (layout.xaxis.type, layout.xaxis2.type) == (None, "log")
    assert layout.xaxis.domain[1] < layout.xaxis2.domain[0]
    titles = [one.text for one in layout.annotations[:2]]
    assert titles == ["<b>lora.r (importance 60%)</b>",
                      "<b>training.learning_rate (importance 20%)</b>"]  # fmt: skip
    explained = [trace.name for trace in figure.data if trace.showlegend]
    assert sorted(explained) == sorted(set(explained))
    assert {"best", "baseline", "complete", "stopped or paused"} <= set(explained)


def test_without_kaleido_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NoBrowserError) as error:
        write_static(sections("cost"), tmp_path)
    assert str(error.value) == (
        "PNG files of figures need kaleido, which is not installed; "
        "run: pip install 'ugro[figures]'"
    )


@needs_browser
def test_each_figure_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "contour.svg").touch()  # of an earlier time
    written = write_static(sections("progression", "contour"), tmp_path, "svg")
    assert [path.name for path in written] == ["progression.svg"]
    assert [path.name for path in tmp_path.iterdir()] == ["progression.svg"]
    assert "Best of 6 trials" in written[0].read_text(encoding="utf-8")


@needs_browser
def test_without_a_browser_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "nothing"))
    with pytest.raises(NoBrowserError, match=r"^PNG files of figures need Chrome or Chromium"):
        write_static(sections("progression"), tmp_path)
