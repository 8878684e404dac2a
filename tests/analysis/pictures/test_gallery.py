"""Which pictures are written: what the data support, nothing stale, for any study."""

import logging
import warnings
from pathlib import Path

import matplotlib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.image import imread
from ugro.analysis.pictures import write_pictures
from ugro.analysis.pictures.gallery import PICTURES
from ugro.analysis.pictures.style import DPI, new_figure, save
from ugro.analysis.pictures.subject import NothingToDrawError, subject_of

from ugro.analysis.importance.importance import Importance, Importances
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.study.study import Study

from ...studies import in_memory
from ..random_studies import studies
from .studies import KNOWN, UNKNOWN, add, mixed


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_pictures_are_written_and_nothing_else_is_changed(tmp_path: Path) -> None:
    folder, before = tmp_path / "analysis", dict(matplotlib.rcParams)
    written = write_pictures(tables_of(mixed()), KNOWN, folder)
    assert names(written) == [
        "overview.png", "curves.png", "slices.png", "rate_rank.png", "parallel.png",
        "timeline.png", "cost.png",
    ]  # fmt: skip
    assert sorted(names(list(folder.iterdir()))) == sorted(names(written))
    assert dict(matplotlib.rcParams) == before
    assert imread(written[1]).shape[1] == 12 * DPI


def test_what_is_not_drawn_is_told_and_taken_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "contour.png").touch()
    (tmp_path / "own.png").touch()
    with caplog.at_level(logging.INFO):
        assert write_pictures(tables_of(in_memory()), (), tmp_path) == []
    assert names(list(tmp_path.iterdir())) == ["own.png"]
    assert "No overview.png: no trial has come to a value yet" in caplog.text
    assert caplog.text.count("No ") == len(PICTURES)


def test_only_failed_trials_have_a_timeline(tmp_path: Path) -> None:
    study = in_memory(objectives=["eval_loss"])
    for _ in range(3):
        add(study, Outcome.FAILED)
    assert names(write_pictures(tables_of(study), UNKNOWN, tmp_path)) == ["timeline.png"]


def test_a_name_that_the_font_has_not_does_not_warn(tmp_path: Path) -> None:
    figure = new_figure()
    figure.subplots().set_title("名前")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(figure, tmp_path / "name.png")


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(studies(), st.booleans())
def test_any_study_is_drawn_without_a_warning(study: Study, known: bool) -> None:
    tables = tables_of(study)
    of = tuple(Importance(key, 0.4, 0.1, 0.9) for key in tables.searched) if known else ()
    subject = subject_of(tables, (Importances("fANOVA", of, "" if of else "Too few."),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for draw in PICTURES.values():
            try:
                figure = draw(subject)
            except NothingToDrawError as reason:
                assert str(reason)  # noqa: PT017
                continue
            figure.draw_without_rendering()
            assert figure.texts[0].get_text()
