import pytest

from ugro.analysis.figures.importance import draw, prepare
from ugro.analysis.figures.study_view import NoDataError
from ugro.analysis.importance.importance import Importance, Importances

from .studies import KNOWN, RANK, RATE, UNKNOWN, mixed, view

BOTH = (*KNOWN, Importances("PED-ANOVA", (Importance(RATE, 0.9, 0.7, 1.0),), ""))


def test_keys_come_by_the_first_method_the_most_important_first() -> None:
    data = prepare(view(mixed(), BOTH))
    assert data.keys == (RANK, RATE)
    assert [method for method, _ in data.methods] == ["fANOVA", "PED-ANOVA"]
    assert data.finding == "lora.r mattered most: 60% of the importance by fANOVA"


def test_a_dot_is_the_median_and_its_line_the_interval() -> None:
    first, second = draw(prepare(view(mixed(), BOTH))).figure.data
    assert list(first.x) == [0.6, 0.2]
    assert list(first.error_x.array) == pytest.approx([0.1, 0.1])
    assert list(second.error_x.arrayminus) == pytest.approx([0.2])
    # The most important key is on top; the methods lie beside each other in its row.
    assert list(first.y) == pytest.approx([1.14, 0.14])
    assert list(second.y) == pytest.approx([-0.14])


def test_without_an_importance_there_is_no_figure() -> None:
    with pytest.raises(NoDataError, match="do not tell which keys mattered"):
        prepare(view(mixed(), UNKNOWN))
