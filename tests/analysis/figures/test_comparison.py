from dataclasses import replace

import pandas
import pytest

from tests.studies import ended, in_memory
from ugro.analysis.comparison.comparison import Comparison, Side, comparison_of, side_of
from ugro.analysis.figures.catalog import comparison_section
from ugro.analysis.figures.comparison import draw, prepare
from ugro.analysis.figures.study_view import NoDataError
from ugro.analysis.findings.anytime import Spent
from ugro.analysis.importance.importance import Importance, Importances
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome


def side(name: str, *values: float, tokens: tuple[float, ...] = (), total: float = 0.0) -> Side:
    """A study whose trials ended when so many tokens had been spent."""
    study = in_memory(objectives=["eval_loss"])
    for value in values:
        ended(study, {}, Outcome.COMPLETE, value)
    spent = Spent(pandas.Series(values, dtype="float64"), pandas.Series(tokens).to_numpy(), total)
    return replace(side_of(name, study, tables_of(study)), tokens=spent, seconds=spent)


def compared() -> Comparison:
    """Study a comes to 2.0 in 400 tokens; b to 2.5 in 200, which a reaches at 300."""
    return comparison_of(
        [
            side("a", 3.0, 3.5, 2.5, 2.0, tokens=(100, 200, 300, 400), total=400.0),
            side("b", 2.5, tokens=(150,), total=200.0),
        ]
    )


def test_the_best_value_of_each_study_is_a_staircase() -> None:
    data = prepare(compared())
    tokens, seconds = data.axes
    a, b = tokens.curves
    assert a.corners == ((100, 3.0), (300, 2.5), (400, 2.0), (400, 2.0))
    assert b.corners == ((150, 2.5), (200, 2.5))
    assert (a.best, b.best) == ((400, 2.0), (150, 2.5))
    assert (data.target, a.reached, b.reached) == (2.5, 300, 150)
    assert (seconds.text, seconds.curves[0].corners[0]) == ("minutes on the clock", (100 / 60, 3.0))


def test_the_finding_names_the_best_study() -> None:
    assert prepare(compared()).finding == "a is best: evaluation loss 2, against 2.5 of b"


def test_a_much_longer_study_makes_the_axis_logarithmic() -> None:
    found = comparison_of(
        [
            side("a", 3.0, 2.0, tokens=(10, 1000), total=1000.0),
            side("b", 2.5, tokens=(50,), total=100.0),
        ]
    )
    tokens, seconds = prepare(found).axes
    assert (tokens.log, tokens.places, tokens.texts) == (
        True, (10, 30, 100, 300, 1000), ("10", "30", "100", "300", "1k"),
    )  # fmt: skip
    assert seconds.texts == ("10 s", "30 s", "1 min", "3 min", "10 min")


def test_importances_are_drawn_where_all_studies_know_them() -> None:
    known = (Importances("fANOVA", (Importance("x", 0.5, 0.4, 0.7),), ""),)
    found = compared()
    found = comparison_of([replace(one, importances=known) for one in found.sides])
    data = prepare(found)
    assert (data.method, data.keys) == ("fANOVA", ("x",))
    panels = draw(data)
    assert [panel.title for panel in panels] == [
        "Best so far against steps", "Best so far against time", "Importance by fANOVA",
    ]  # fmt: skip
    first, second = panels[2].figure.data
    assert (list(first.x), first.name, second.name) == ([0.5], "a", "b")
    assert first.y[0] > second.y[0]


def test_a_curve_is_drawn_with_its_best_and_the_target() -> None:
    panel = draw(prepare(compared()))[0]
    line, star, ring = panel.figure.data[:3]
    assert (line.name, list(line.x), line.line.shape) == ("a", [100, 300, 400, 400], "hv")
    assert (star.marker.symbol, list(star.x), list(star.y)) == ("star", [400], [2.0])
    assert (ring.marker.symbol, list(ring.x), list(ring.y)) == ("circle-open", [300], [2.5])


def test_without_a_complete_trial_there_is_nothing_to_compare() -> None:
    nothing = comparison_of([side("a"), side("b")])
    with pytest.raises(NoDataError, match="no study has a complete trial"):
        prepare(nothing)
    section = comparison_section(nothing)
    assert (section.panels, section.why_not) == ((), "no study has a complete trial")
