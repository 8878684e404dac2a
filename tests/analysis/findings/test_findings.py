from collections.abc import Callable

import numpy
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from tests.studies import ended, in_memory, start
from ugro.analysis.findings.findings import Findings, findings_of
from ugro.analysis.importance.importance import importances_of
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study

R = {"lora.r": CategoricalDistribution((4, 8, 16))}


def found(study: Study) -> Findings:
    tables = tables_of(study)
    return findings_of(study, tables, importances_of(study, tables), None)


def said(study: Study) -> dict[str, str]:
    """Return the answer to each question as a single line."""
    return {one.question: " ".join(one.said) for one in found(study).answers}


def with_trials(*hows: Outcome) -> Callable[[], Study]:
    def make() -> Study:
        study = in_memory(objectives=["eval_loss"])
        for how in hows:
            ended(study, R, how, 2.0)
        return study

    return make


@pytest.mark.parametrize(
    ("study", "best"),
    [
        (with_trials(), "No trial was started yet."),
        (
            with_trials(Outcome.FAILED, Outcome.FAILED),
            "No trial is complete, so none is the best: 2 failed.",
        ),
        (
            with_trials(Outcome.RUNG, Outcome.RUNG, Outcome.DIVERGED),
            "No trial is complete, so none is the best: 2 stopped at rung and 1 diverged.",
        ),
        (with_trials(Outcome.COMPLETE), "Trial 0: eval_loss 2. As overrides: lora.r=4"),
        (
            with_trials(Outcome.COMPLETE, Outcome.COMPLETE),
            "Trial 0: eval_loss 2. As overrides: lora.r=4",
        ),
    ],
    ids=["none", "all failed", "all stopped", "one", "two"],
)
def test_every_study_has_six_answers(study: Callable[[], Study], best: str) -> None:
    answers = said(study())
    assert list(answers) == [
        "What is best?",
        "How sure is that?",
        "How much better is it?",
        "What mattered?",
        "What did it cost?",
        "What to try next?",
    ]
    assert answers["What is best?"] == best
    assert all(answers.values())


def test_a_study_of_failures_says_what_they_were_and_what_to_do() -> None:
    study = in_memory()
    for _ in range(4):
        study.tell(start(study, R), Outcome.FAILED, error="RuntimeError: no kernel")
    answers = said(study)
    assert answers["How sure is that?"] == "There is no result yet."
    assert answers["What did it cost?"].endswith("4 trials failed.")
    assert "4 times RuntimeError: no kernel" in answers["What to try next?"]
    assert found(study).counts == {"failed": 4}


def test_the_gain_and_what_the_base_model_had_are_told() -> None:
    study = in_memory(objectives=["eval_loss"])
    measured = {"eval_loss": 2.0, "base_eval_loss": 4.0}
    ended(study, R, Outcome.COMPLETE, 2.0, source="baseline", measured=measured)
    assert said(study)["How much better is it?"] == (
        "In eval_loss nothing was better than the configuration as it was. "
        "The untrained base model has eval_loss 4."
    )
    ended(study, R, Outcome.COMPLETE, 1.5, measured={**measured, "eval_loss": 1.5})
    assert said(study)["How much better is it?"] == (
        "eval_loss 1.5 (trial 1) is better by 0.5 (25%) than the 2 of the configuration as it was, "
        "trial 0. The untrained base model has eval_loss 4."
    )


def test_a_baseline_that_was_stopped_is_told() -> None:
    study = in_memory()
    ended(study, R, Outcome.RUNG, source="baseline")
    ended(study, R, Outcome.COMPLETE, 1.5)
    assert said(study)["How much better is it?"].startswith(
        "The configuration as it was, trial 0, has no value: stopped at rung."
    )


def test_several_objectives_have_a_front_and_a_gain_each() -> None:
    study = in_memory("minimize", "maximize", objectives=["loss", "speed"])
    ended(study, R, Outcome.COMPLETE, 2.0, 10.0, source="baseline")
    ended(study, R, Outcome.COMPLETE, 1.0, 5.0)
    ended(study, R, Outcome.COMPLETE, 3.0, 4.0)
    answers, findings = said(study), found(study)
    assert [one.number for one in findings.front] == [1, 0]
    assert answers["What is best?"].startswith(
        "Trial 1: loss 1, speed 5. It is the best in loss alone: "
        "2 trials are beaten by no other in every objective."
    )
    assert answers["How much better is it?"] == (
        "loss 1 (trial 1) is better by 1 (50%) than the 2 of the configuration as it was, trial 0. "
        "In speed nothing was better than the configuration as it was."
    )


def test_what_mattered_comes_with_its_interval_or_a_reason() -> None:
    study, draw = in_memory(), numpy.random.default_rng(0)
    over = {key: FloatDistribution(0.0, 1.0) for key in "ab"}
    for a, b in draw.uniform(size=(40, 2)):
        begun = study.start({"a": float(a), "b": float(b)}, over, "sampler")
        study.tell(begun, Outcome.COMPLETE, TrialResult((float(a),), {}))
        if len(study.trials()) == 4:
            assert said(study)["What mattered?"] == (
                "fANOVA: not computed. It needs 12 comparable trials for 2 keys; there are 4. "
                "PED-ANOVA: not computed. "
                "It needs 12 comparable trials for 2 keys; there are 4."
            )
    told = said(study)["What mattered?"]
    assert told.startswith("By fANOVA: a 100% (99% to 100%); b ")
    assert "By PED-ANOVA: a " in told


def test_without_importances_it_is_said_how_to_have_them() -> None:
    study = with_trials(Outcome.COMPLETE)()
    findings = findings_of(study, tables_of(study), (), None)
    assert findings.answers[3].said == ("Not computed: make analyze computes it.",)


def test_another_programs_study_is_read_as_far_as_it_goes() -> None:
    study = in_memory("maximize", "minimize")
    for value in (0.25, 0.5):
        trial = study.record.ask({"x": FloatDistribution(0.0, 1.0)})
        trial.set_user_attr("reason", "because")
        trial.set_user_attr("metrics", [1, 2])
        study.record.tell(trial, [value, 1.0])
    study.record.ask()
    findings = found(study)
    assert findings.counts == {"complete": 2, "running": 1}
    assert findings.best is not None
    assert (findings.best.number, findings.baseline, findings.total) == (1, None, None)
    assert findings.cost.tokens is None
    assert all(one.command == "" for one in findings.advice)
