import math

import numpy
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tests.studies import ended, in_memory
from ugro.analysis.confirmation.certainty import Certainty, Noise, certainty_of
from ugro.analysis.confirmation.confirmation import Candidate, Confirmation
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study

R = CategoricalDistribution((4, 8))


def sure(study: Study, confirmation: Confirmation | None = None) -> Certainty:
    return certainty_of(study, tables_of(study), confirmation)


def test_before_a_second_trial_there_is_nothing_to_be_sure_of() -> None:
    study = in_memory()
    assert sure(study).said == ()
    ended(study, {}, Outcome.COMPLETE, 2.0)
    found = sure(study)
    assert (found.second, found.gap, found.near, found.noise) == (None, None, 0, None)
    assert found.said == ("It is the only complete trial: there is nothing to compare it with.",)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_how_far_the_second_is_behind_and_how_many_are_near(direction: str) -> None:
    study = in_memory(direction, objectives=["eval_loss"])
    for value in (2.0, 2.015, 1.985, 1.0, 3.0):
        ended(study, {}, Outcome.COMPLETE, value if direction == "maximize" else -value)
    ended(study, {}, Outcome.COMPLETE, 3.02 if direction == "maximize" else -3.02)
    found = sure(study)
    # The best is 3.02 from 0; 3.0 is within 0.0302 of it, 2.015 is not.
    assert (found.second, found.near) == (4, 1)
    assert found.gap == pytest.approx(0.02)
    assert found.said[0] == (
        "The second, trial 4, is 0.02 behind in eval_loss; "
        "1 of the 5 others lies within 1% of the best."
    )
    assert "study.confirm=3" in found.said[-1]


def test_configurations_that_were_run_again_tell_the_noise() -> None:
    study = in_memory()
    for r, value in ((4, 2.0), (4, 2.2), (8, 3.0), (8, 3.1), (8, 3.2)):
        ended(study, {"lora.r": R}, Outcome.COMPLETE, value, given={"lora.r": r})
    # Squares: 2 * 0.1**2 and 2 * 0.1**2, with 1 and 2 degrees of freedom: sqrt(0.04 / 3).
    found = sure(study)
    assert found.noise == Noise(pytest.approx(math.sqrt(0.04 / 3)), "repeats")
    assert found.within_noise == 1  # 0.2 from the best, under twice 0.115; the next is 1.0 from it
    assert "1 other trial cannot be distinguished from the best" in found.said[1]


def test_repeats_that_agree_exactly_share_a_seed_and_tell_nothing() -> None:
    study = in_memory()
    for _ in range(3):
        ended(study, {"lora.r": R}, Outcome.COMPLETE, 2.0)
    assert sure(study).noise is None


def test_what_the_keys_do_not_explain_is_at_least_the_noise() -> None:
    study, draw = in_memory(), numpy.random.default_rng(0)
    over = {"a": FloatDistribution(0.0, 1.0)}
    for a in draw.uniform(size=80):
        begun = study.start({"a": float(a)}, over, "sampler")
        value = 2.0 + (a - 0.5) ** 2 + draw.normal(0, 0.02)
        study.tell(begun, Outcome.COMPLETE, TrialResult((float(value),), {}))
    noise = sure(study).noise
    assert noise is not None
    assert noise.of == "residuals"
    assert 0.015 < noise.deviation < 0.05


def test_a_confirmation_says_it_and_its_seeds_tell_the_noise() -> None:
    study = in_memory()
    for value in (2.0, 2.05, 2.3):
        ended(study, {}, Outcome.COMPLETE, value)
    candidates = (
        Candidate(0, "best", (2.0, 2.1), 2.05, 0.03),
        Candidate(1, "second", (2.0, 2.2), 2.1, 0.05),
        Candidate(2, "baseline", (2.3,), 2.3, math.nan),
    )
    found = sure(study, Confirmation((1, 2), candidates, ("The best cannot be told apart.",)))
    assert found.confirmed
    assert found.said == ("The best cannot be told apart.",)
    # The root of the mean of 0.03**2 and 0.05**2; a candidate with one seed has no spread.
    assert found.noise == Noise(pytest.approx(math.sqrt(0.0034 / 2)), "seeds")
    assert found.within_noise == 1
