import numpy
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tests.studies import in_memory
from ugro.analysis.findings.space_advice import changes_of
from ugro.analysis.importance.importance import Importance, Importances
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult

RATE = FloatDistribution(1e-4, 1e-2, log=True)


def ranked(over: dict[str, BaseDistribution], *columns: list[object]):  # type: ignore[no-untyped-def]
    """Return trials with these values of their keys, the best first."""
    study = in_memory()
    for value, parameters in enumerate(zip(*columns, strict=True)):
        begun = study.start(dict(zip(over, parameters, strict=True)), over, "sampler")
        study.tell(begun, Outcome.COMPLETE, TrialResult((float(value),), {}))
    return study.ranked()


def by(method: str, **shares: float) -> Importances:
    """Return importances with intervals of a thousandth."""
    of = [Importance(key, one, one - 0.001, one + 0.001) for key, one in shares.items()]
    return Importances(method, tuple(of), "", "x of 20 trials")


def test_a_best_at_the_edge_of_a_range_asks_for_a_wider_one() -> None:
    rates = [9.5e-3, 9e-3, 8e-3, 7e-3, 6e-3, 5e-3, 1e-3, 1e-3, 5e-4, 1e-4]
    (change,) = changes_of(ranked({"rate": RATE}, rates), ())
    # Two decades, and a quarter of them beyond: 1e-2 times the root of 10.
    assert change.overrides == ("rate=tag(log,interval(0.0001,0.032))",)
    assert change.why == (
        "The best trial's rate, 0.0095, is at the upper edge of what was searched, "
        "and so are 5 of the best 5: look beyond."
    )


def test_one_trial_at_the_edge_among_others_elsewhere_says_nothing() -> None:
    rates = [9.5e-3, 1e-3, 2e-3, 5e-4, 6e-4, 5e-3, 1e-3, 1e-3, 5e-4, 1e-4]
    assert changes_of(ranked({"rate": RATE}, rates), ()) == ()


@pytest.mark.parametrize(
    ("over", "values", "wider"),
    [
        (CategoricalDistribution((8, 16, 32)), [32] * 5 + [8] * 5, "choice(8,16,32,64)"),
        (CategoricalDistribution((8, 16, 32)), [8] * 5 + [32] * 5, "choice(4,8,16,32)"),
        (CategoricalDistribution((3, 2, 4)), [4] * 5 + [2] * 5, "choice(3,2,4,5)"),
        (CategoricalDistribution((0.0, 0.01, 0.1)), [0.0] * 5 + [0.1] * 5, None),
        (CategoricalDistribution((1, 2, 3)), [1] * 5 + [3] * 5, None),  # half of 1 is no whole one
        (CategoricalDistribution(("a", "b", "c")), list("aaaaabbccc"), None),  # in no order
        (FloatDistribution(0.0, 0.2), [0.2] * 5 + [0.1] * 5, "interval(0.0,0.3)"),
        (FloatDistribution(0.0, 0.9), [0.9] * 5 + [0.1] * 5, "interval(0.0,0.95)"),  # under 1
        (FloatDistribution(0.0, 0.2), [0.0] * 5 + [0.1] * 5, None),  # nothing below 0
        (IntDistribution(4, 32), [32] * 5 + [8] * 5, "int(interval(4,46))"),
        (IntDistribution(4, 32), [4] * 5 + [8] * 5, "int(interval(1,32))"),
        (IntDistribution(1, 32), [1] * 5 + [8] * 5, None),
    ],
)
def test_a_range_goes_on_as_it_is_laid_out_and_not_beyond_sense(
    over: BaseDistribution, values: list[object], wider: str | None
) -> None:
    found = changes_of(ranked({"key": over}, values), ())
    assert [one.overrides for one in found] == ([] if wider is None else [(f"key={wider}",)])


def test_where_the_best_are_together_the_rest_need_not_be_searched() -> None:
    rates = [1e-3, 1.1e-3, 9e-4, 1.2e-3, 8e-4, 1e-4, 1e-4, 1e-2, 1e-2, 2e-4]
    modules = ["all"] * 5 + ["q", "v"] * 2 + ["all"]
    over = {"rate": RATE, "modules": CategoricalDistribution(("q", "v", "all"))}
    trials = ranked(over, rates, modules)
    matters = by("fANOVA", rate=0.6, modules=0.2)
    narrower, kept = changes_of(trials, (matters,))
    assert narrower.overrides == ("rate=tag(log,interval(0.00052,0.0019))",)
    assert kept.overrides == ("modules=all",)
    assert kept.why == "The best 5 trials have modules at all: keep it."
    assert changes_of(trials, ()) == ()  # nobody says that they matter


def test_of_several_choices_the_bad_ones_are_left_out() -> None:
    over = {"r": CategoricalDistribution((4, 8, 16, 32, 64))}
    trials = ranked(over, [8, 16, 8, 16, 8, 64, 4, 32, 64, 4])
    (change,) = changes_of(trials, (by("PED-ANOVA", r=0.9),))
    assert change.overrides == ("r=choice(8,16)",)


def test_a_key_that_does_not_matter_is_fixed_where_the_best_has_it() -> None:
    draw = numpy.random.default_rng(0)
    rates = [float(one) for one in 10 ** draw.uniform(-4, -2, 20)]
    dropouts = [0.123456, *map(float, draw.uniform(0, 0.2, 19))]
    over = {"rate": RATE, "dropout": FloatDistribution(0.0, 0.2)}
    trials = ranked(over, rates, dropouts)
    said = by("fANOVA", rate=0.9, dropout=0.01), by("PED-ANOVA", rate=0.9, dropout=0.05)
    (change,) = changes_of(trials, said)
    assert change.overrides == ("dropout=0.123",)
    assert change.why.startswith("dropout hardly mattered (under 5% of the variance, x of 20")
    assert changes_of(trials, said[1:]) == ()  # by PED-ANOVA alone
    assert changes_of(trials[:15], said) == ()  # ten trials a key
    doubts = by("PED-ANOVA", rate=0.6, dropout=0.3)
    assert changes_of(trials, (said[0], doubts)) == ()


def test_of_fewer_than_ten_trials_nothing_is_said() -> None:
    assert changes_of(ranked({"rate": RATE}, [1e-2] * 8 + [1e-4]), ()) == ()
    assert changes_of([], ()) == ()
