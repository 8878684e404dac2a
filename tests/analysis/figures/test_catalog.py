"""Which figures are drawn: what the data support, for any study."""

import json
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.analysis.reported import searched
from ugro.analysis.confirmation.candidates import Candidate
from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.figures import overview
from ugro.analysis.figures.catalog import NAMES, sections_of
from ugro.analysis.figures.static import standalone
from ugro.analysis.figures.study_view import NoDataError, study_view
from ugro.analysis.importance.importance import Importance, Importances
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.study.study import Study

from ...studies import in_memory
from ..random_studies import studies
from .studies import KNOWN, UNKNOWN, add, mixed, view

CONFIRMED = Confirmation((1,), (Candidate(1, "best", (2.0,), 2.0, float("nan"), 2.1),), ())


def test_figures_are_drawn_where_the_data_support_them() -> None:
    sections = sections_of(view(mixed()), None)
    assert [one.name for one in sections if one.panels] == [
        "progression", "curves", "importance", "slices", "map", "parallel", "timeline", "cost",
    ]  # fmt: skip
    assert {one.name: one.why_not for one in sections if not one.panels} == {
        "contour": "5 trials can be compared, not 12",
        "trade-offs": "one objective, and fewer than five trials are complete",
    }


def test_a_study_without_trials_has_a_reason_for_each_figure() -> None:
    sections = sections_of(study_view(tables_of(in_memory()), ()), None)
    assert not any(one.panels for one in sections)
    assert all(one.why_not for one in sections)


def test_only_failed_trials_have_a_timeline() -> None:
    study = in_memory(objectives=["eval_loss"])
    for _ in range(3):
        add(study, Outcome.FAILED)
    sections = sections_of(view(study, UNKNOWN), None)
    assert [one.name for one in sections if one.panels] == ["timeline"]


def test_every_name_of_the_catalogue_has_a_section() -> None:
    sections = sections_of(view(mixed()), CONFIRMED)
    assert {one.name for one in sections} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_can_be_drawn_by_itself(name: str) -> None:
    (section,) = sections_of(view(mixed()), CONFIRMED, [name])
    assert section.name == name


def test_several_objectives_have_their_front_first() -> None:
    study = searched(8, "minimize", "minimize", objectives=["eval_loss", "latency_ms"])
    assert sections_of(view(study, ()), None)[0].name == "trade-offs"


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(studies(), st.booleans())
def test_any_study_is_drawn_without_a_warning(study: Study, known: bool) -> None:
    tables = tables_of(study)
    of = tuple(Importance(key, 0.4, 0.1, 0.9) for key in tables.searched) if known else ()
    shown = study_view(tables, (Importances("fANOVA", of, "" if of else "Too few."),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for section in sections_of(shown, CONFIRMED):
            assert bool(section.panels) != bool(section.why_not)
            for panel in section.panels:
                json.loads(panel.figure.to_json(engine="json"), parse_constant=refused)
            if section.panels:
                assert standalone(section).layout.title.text
        try:
            data = overview.prepare(shown)
        except NoDataError as reason:
            assert str(reason)  # noqa: PT017
        else:
            overview.draw(data).draw_without_rendering()


def refused(constant: str) -> float:
    raise AssertionError(f"{constant} is no JSON")


def test_the_findings_are_stated_once_per_figure() -> None:
    shown = study_view(tables_of(mixed()), KNOWN)
    assert {one.name: one.finding for one in sections_of(shown, None, ["importance", "map"])} == {
        "importance": "lora.r mattered most: 60% of the importance by fANOVA",
        "map": "Best at training.learning_rate = 1e-3, lora.r = 8: evaluation loss 3",
    }
