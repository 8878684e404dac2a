from collections.abc import Callable
from typing import Any

import numpy
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from tests.studies import in_memory
from ugro.analysis.importance.importance import Importances, importances_of
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study

A_AND_B: dict[str, BaseDistribution] = {
    "a": FloatDistribution(0.0, 1.0),
    "b": FloatDistribution(0.0, 1.0),
}


def searched(
    over: dict[str, BaseDistribution],
    value: Callable[[dict[str, Any]], float],
    count: int,
    direction: str = "minimize",
) -> Study:
    """Draw trials uniformly from a space."""
    study, draw = in_memory(direction), numpy.random.default_rng(1)
    for _ in range(count):
        parameters = {key: drawn(one, draw) for key, one in over.items()}
        begun = study.start(parameters, over, "sampler")
        study.tell(begun, Outcome.COMPLETE, TrialResult((value(parameters),), {}))
    return study


def drawn(over: BaseDistribution, draw: numpy.random.Generator) -> Any:
    match over:
        case CategoricalDistribution(choices=choices):
            return choices[draw.integers(len(choices))]
        case IntDistribution(low=low, high=high):
            return int(draw.integers(low, high + 1))
        case FloatDistribution(low=low, high=high, log=True):
            return float(numpy.exp(draw.uniform(numpy.log(low), numpy.log(high))))
        case FloatDistribution(low=low, high=high):
            return float(draw.uniform(low, high))
    raise TypeError(over)


def found(study: Study) -> tuple[Importances, Importances]:
    fanova, ped_anova = importances_of(study, tables_of(study))
    assert (fanova.method, ped_anova.method) == ("fANOVA", "PED-ANOVA")
    return fanova, ped_anova


def shares(importances: Importances) -> dict[str, float]:
    assert importances.why_not == ""
    return {one.key: one.share for one in importances.of}


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_shares_of_a_sum_are_those_of_its_parts_variances(direction: str) -> None:
    # Of 3 a + b over the unit square: 9/12 and 1/12, which is 0.9 and 0.1 of both.
    study = searched(A_AND_B, lambda one: 3 * one["a"] + one["b"], 120, direction)
    fanova, ped_anova = found(study)
    assert shares(fanova) == pytest.approx({"a": 0.9, "b": 0.1}, abs=0.05)
    assert fanova.basis == "value of the 120 complete trials"
    assert list(shares(ped_anova)) == ["a", "b"]
    for one in (*fanova.of, *ped_anova.of):
        assert 0 <= one.low <= one.share <= one.high <= 1


def test_a_key_searched_by_its_logarithm_counts_by_it() -> None:
    # With u and v even on 0..1, u + v has equal shares; by the rate itself (0.00001 to 0.1,
    # nine tenths of which have u above 0.75) the rate would seem to do little.
    over: dict[str, BaseDistribution] = {
        "rate": FloatDistribution(1e-5, 1e-1, log=True),
        "v": FloatDistribution(0.0, 1.0),
    }
    study = searched(over, lambda one: (numpy.log10(one["rate"]) + 5) / 4 + one["v"], 120)
    assert shares(found(study)[0]) == pytest.approx({"rate": 0.5, "v": 0.5}, abs=0.12)


def test_choices_and_whole_numbers_count_by_their_values() -> None:
    # Variances: of 0, 1, 2: 2/3; of a coin of 0 and 1: 1/4. Shares 8/11 and 3/11.
    over: dict[str, BaseDistribution] = {
        "modules": CategoricalDistribution(("none", "some", "all")),
        "layers": IntDistribution(1, 2),
    }
    worth = {"none": 0.0, "all": 1.0, "some": 2.0}
    study = searched(over, lambda one: worth[one["modules"]] + one["layers"], 120)
    assert shares(found(study)[0]) == pytest.approx({"modules": 8 / 11, "layers": 3 / 11}, abs=0.08)


def test_a_key_that_only_some_trials_search_counts_where_they_do() -> None:
    study, draw = in_memory(), numpy.random.default_rng(0)
    method = CategoricalDistribution(("plain", "dora"))
    for _ in range(80):
        chosen = ("plain", "dora")[draw.integers(2)]
        one = {"method": chosen, **({"scale": draw.uniform()} if chosen == "dora" else {})}
        over = {"method": method, "scale": FloatDistribution(0.0, 1.0)}
        begun = study.start(one, {key: over[key] for key in one}, "sampler")
        value = one.get("scale", 0.5)  # only under dora, where it is all that counts
        study.tell(begun, Outcome.COMPLETE, TrialResult((value,), {}))
    for importances in found(study):
        assert next(iter(shares(importances))) == "scale"


def test_the_same_trials_give_the_same_importances() -> None:
    study = searched(A_AND_B, lambda one: 3 * one["a"] + one["b"], 20)
    assert found(study) == found(study)


def test_trials_that_were_stopped_are_compared_too() -> None:
    study, draw = in_memory(objectives=["eval_loss"]), numpy.random.default_rng(0)
    for _ in range(60):
        one = {"a": draw.uniform(), "b": draw.uniform()}
        begun = study.start(one, A_AND_B, "sampler")
        study.report(begun, 100, 3 * one["a"] + one["b"])
        good = one["a"] < 0.2
        result = TrialResult((one["b"],), {}) if good else None
        study.tell(begun, Outcome.COMPLETE if good else Outcome.RUNG, result)
    fanova, ped_anova = found(study)
    assert fanova.basis == "eval_loss of 60 trials at 100 steps"
    assert next(iter(shares(fanova))) == "a"  # which complete trials alone would not show
    assert next(iter(shares(ped_anova))) == "a"


# Where the data cannot tell


@pytest.mark.parametrize(
    ("count", "why"),
    [
        (0, "No key had more than one value."),
        (1, "No key had more than one value."),
        (2, "It needs 12 comparable trials for 2 keys; there are 2."),
        (11, "It needs 12 comparable trials for 2 keys; there are 11."),
    ],
)
def test_too_few_trials_are_told(count: int, why: str) -> None:
    study = searched(A_AND_B, lambda one: one["a"], count)
    assert [(one.of, one.why_not) for one in found(study)] == [((), why), ((), why)]


def test_each_key_takes_four_trials() -> None:
    five = {key: FloatDistribution(0.0, 1.0) for key in "abcde"}
    study = searched(five, lambda one: one["a"], 19)
    assert found(study)[0].why_not == "It needs 20 comparable trials for 5 keys; there are 19."


def test_values_that_are_all_equal_are_told() -> None:
    fanova, ped_anova = found(searched(A_AND_B, lambda one: 2.0, 30))
    assert fanova.why_not == "All 30 trials have the same value."
    assert ped_anova.of == ()


@pytest.mark.parametrize("count", [12, 30, 100])
def test_noise_is_told(count: int) -> None:
    noise = numpy.random.default_rng(3)
    for importances in found(searched(A_AND_B, lambda one: noise.normal(), count)):
        assert importances.of == ()
        assert importances.why_not.endswith(("that is noise.", "drawn by chance."))


def test_a_few_trials_that_diverged_are_not_the_variance() -> None:
    # One in thirty at 1,000, for no reason that lies in a or b.
    fates = iter(range(90))
    study = searched(
        A_AND_B,
        lambda one: 1000.0 if next(fates) % 30 == 7 else 3 * one["a"] + one["b"],
        90,
    )
    fanova, _ = found(study)
    assert fanova.of[0].key == "a"
    assert fanova.of[0].share > 0.5
