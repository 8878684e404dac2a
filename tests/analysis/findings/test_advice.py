from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tests.studies import ended, in_memory, start
from ugro.analysis.confirmation.confirmation import Candidate, Confirmation
from ugro.analysis.findings.advice import Advice, advice_of
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study

RATE = FloatDistribution(1e-4, 1e-2, log=True)
COMMAND = ("search_space=lora", "study.name=s")
AGAIN = "python train.py -m search_space=lora study.name=s"


def advice(
    study: Study, confirmation: Confirmation | None = None, **told: Any
) -> tuple[Advice, ...]:
    """Return tables of a study whose driver has ended, by default with all its trials."""
    said = {"overrides": COMMAND, "finished_because": "all trials are done", **told}
    return advice_of(study, replace(tables_of(study), **said), (), confirmation)


def valued(values: Sequence[float], *curves: dict[int, float]) -> Study:
    """Return complete trials from the middle of a continuous space."""
    study = in_memory()
    for number, value in enumerate(values):
        begun = study.start({"rate": 1e-3}, {"rate": RATE}, "sampler")
        for tokens, loss in (curves[number] if curves else {}).items():
            study.report(begun, tokens, loss)
        study.tell(begun, Outcome.COMPLETE, TrialResult((value,), {}))
    return study


def test_a_study_without_a_trial_has_no_advice() -> None:
    assert advice(in_memory()) == ()


def test_two_complete_trials_are_worth_confirming_until_they_were() -> None:
    study = valued([2.0, 2.1])
    (only,) = advice(study)
    assert only.overrides == ("study.confirm=3",)
    assert only.command == f"{AGAIN} study.confirm=3"
    candidates = (Candidate(0, "best", (2.0,), 2.0, 0.1), Candidate(1, "second", (2.1,), 2.1, 0.1))
    confirmation = Confirmation((1,), candidates, ())
    assert advice(study, confirmation) == ()
    (only,) = advice(study, replace(confirmation, preferred=1))
    assert only.why.startswith("With other seeds trial 1 is clearly better than the best")
    assert only.command == "python train.py search_space=lora rate=0.001"


def test_a_study_that_was_stopped_half_way_goes_on() -> None:
    study = valued([2.0])
    start(study, {})
    first = advice(study, total=10, finished_because="interrupted")[0]
    assert first == Advice("1 of 10 trials are done: the same command resumes.", (), AGAIN)
    assert advice(study, total=10, finished_because=None) == ()  # it runs


def test_trials_that_fail_are_to_be_run_one_by_itself() -> None:
    study = in_memory()
    for error in ("ValueError: no data\nmore", "ValueError: no data", "OSError: full"):
        begun = study.start({"rate": 1e-3}, {"rate": RATE}, "sampler")
        study.tell(begun, Outcome.FAILED, error=error)
    (only,) = advice(study)
    assert only.why == (
        "3 trials failed (2 times ValueError: no data): run a single trial to see why."
    )
    assert only.command == "python train.py search_space=lora rate=0.001"


@pytest.mark.parametrize(
    ("how", "word"),
    [
        (Outcome.DIVERGED, "learning rates"),
        (Outcome.OUT_OF_MEMORY, "batch_size"),
        (Outcome.TIMED_OUT, "stoppers.max_seconds"),
        (Outcome.BUDGET, "stoppers.max_tokens"),
        (Outcome.INFEASIBLE, "constraints"),
        (Outcome.STUDY_LIMIT, "limits"),
    ],
)
def test_a_way_to_end_that_is_no_chance_has_its_remedy(how: Outcome, word: str) -> None:
    study = valued([2.0, 2.1, 2.2, 2.3, 2.4])
    assert not any(word in one.why for one in advice(study))
    for _ in range(2):
        ended(study, {}, how)
    assert any(one.why.startswith("2 of 7 trials") and word in one.why for one in advice(study))


def test_where_all_were_stopped_they_are_to_be_stopped_later() -> None:
    study = in_memory()
    for _ in range(3):
        ended(study, {}, Outcome.RUNG)
    (only,) = advice(study)
    assert only.command == f"{AGAIN} scheduler.grace_period=0.5"


def test_a_best_that_came_late_asks_for_more_trials() -> None:
    study = valued([3.0, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.0])
    late = advice(study, total=8)[-1]
    assert late.why.startswith("The best came late, as number 8 of 8 to end")
    assert late.command == f"{AGAIN} hydra.sweeper.n_trials=12"


def test_a_best_that_came_long_ago_asks_for_none() -> None:
    study = valued([2.0, *(3.0 + number for number in range(19))])
    assert "The last 19 trials found nothing better than trial 0" in advice(study)[-1].why
    assert len(advice(valued([2.0, *[3.0] * 10]))) == 1  # of eleven that says nothing


def test_a_space_that_was_run_through_needs_no_more_trials() -> None:
    study = in_memory()
    over = {"lora.r": CategoricalDistribution((1, 2, 3, 4, 5, 6, 7, 8))}
    for r in range(1, 9):
        ended(study, over, Outcome.COMPLETE, 9.0 - r if r < 8 else 3.5, given={"lora.r": r})
    assert not any("n_trials" in override for one in advice(study) for override in one.overrides)


def test_curves_that_never_cross_could_have_been_stopped() -> None:
    values = [2.0 + number / 10 for number in range(8)]
    study = valued(values, *({25: one + 1, 100: one} for one in values))
    early = advice(study)[-1]
    assert early.overrides == ("scheduler=asha",)
    assert "(rank correlation 1)" in early.why
    crossing = valued(values, *({25: 5 - one, 100: one} for one in values))
    assert not any("scheduler=asha" in one.overrides for one in advice(crossing))


def test_where_nobody_knows_how_a_study_was_begun_the_change_alone_is_told() -> None:
    (only,) = advice(valued([2.0, 2.1]), overrides=(), finished_because=None)
    assert (only.overrides, only.command) == (("study.confirm=3",), "")


def test_another_programs_study_is_not_told_of_our_keys() -> None:
    study = in_memory()
    for number in range(8):
        trial = study.record.ask({"rate": RATE})
        trial.report(3.0 + number, 25)
        trial.report(2.0 + number, 100)
        study.record.tell(trial, 2.0 + number)
    assert [one.overrides for one in advice(study, overrides=())] == [()]


def test_several_objectives_are_not_confirmed() -> None:
    study = in_memory("minimize", "minimize")
    for value in (1.0, 2.0):
        ended(study, {}, Outcome.COMPLETE, value, -value)
    assert advice(study) == ()
