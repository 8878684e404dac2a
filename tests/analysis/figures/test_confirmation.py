import pytest

from ugro.analysis.confirmation.candidates import Candidate
from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.figures.confirmation import draw, prepare
from ugro.analysis.figures.study_view import NoDataError

NAN = float("nan")
BEST = Candidate(7, "best", (2.0, 2.2), 2.1, 0.14, 1.9)
BASELINE = Candidate(0, "baseline", (NAN, 3.0), 3.0, NAN, NAN)


def test_a_candidate_has_a_value_per_seed_their_mean_and_the_value_of_the_search() -> None:
    best, baseline = prepare(Confirmation((1, 2), (BEST, BASELINE), ())).rows
    assert (best.values, best.mean, best.found) == (((1, 2.0), (2, 2.2)), 2.1, 1.9)
    assert (baseline.values, baseline.mean, baseline.found) == (((2, 3.0),), 3.0, None)


def test_the_best_is_on_top() -> None:
    figure = draw(prepare(Confirmation((1, 2), (BEST, BASELINE), ()))).figure
    assert figure.layout.yaxis.ticktext == ("baseline, trial 0", "best, trial 7")
    assert [(shape.x0, shape.y0) for shape in figure.layout.shapes] == [(3.0, -0.3), (2.1, 0.7)]


def test_a_confirmation_without_a_value_has_no_figure() -> None:
    nothing = Candidate(7, "best", (NAN,), NAN, NAN, 1.9)
    with pytest.raises(NoDataError, match="no training of the confirmation"):
        prepare(Confirmation((1,), (nothing,), ()))
