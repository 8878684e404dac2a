"""What is known of a study? Optuna's record of its trials. Only the driver writes it."""

from enum import Enum
from typing import cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ugro.report import TrialResult


class Ending(Enum):
    """How a trial ended; the value is the reason that the study keeps."""

    COMPLETE = "complete"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    DUPLICATE = "duplicate"  # proposed a second time, so not run


STATES = {
    Ending.COMPLETE: TrialState.COMPLETE,
    Ending.DIVERGED: TrialState.PRUNED,  # FAIL would tell the sampler nothing
    Ending.FAILED: TrialState.FAIL,
    Ending.INTERRUPTED: TrialState.FAIL,
    Ending.DUPLICATE: TrialState.FAIL,
}


class Study:
    """An Optuna study in UGRO's terms: what was run, how it ended, what is best."""

    def __init__(self, record: optuna.Study) -> None:
        self.record = record

    def trials(self) -> list[FrozenTrial]:
        """Every trial that was started, by number."""
        every = self.record.get_trials(deepcopy=False)
        return [
            trial
            for trial in every
            if trial.state is not TrialState.WAITING and ending(trial) is not Ending.DUPLICATE
        ]

    def finished(self) -> list[FrozenTrial]:
        """The trials that ended by themselves: an interrupted one is still to be done."""
        return [
            trial
            for trial in self.trials()
            if trial.state.is_finished() and ending(trial) is not Ending.INTERRUPTED
        ]

    def failed(self) -> list[FrozenTrial]:
        """The trials that ended in an error."""
        return [trial for trial in self.trials() if ending(trial) is Ending.FAILED]

    def best(self) -> FrozenTrial | None:
        """The complete trial with the best value; None before there is one."""
        complete = [trial for trial in self.trials() if trial.state is TrialState.COMPLETE]
        sign = -1 if self.record.direction is StudyDirection.MAXIMIZE else 1
        return min(complete, key=lambda trial: sign * cast(float, trial.value), default=None)

    def searched(self) -> dict[str, BaseDistribution]:
        """The keys that the trials searched, in order of first appearance, and over what."""
        return {key: over for trial in self.trials() for key, over in trial.distributions.items()}

    def tell(
        self, trial: optuna.Trial, how: Ending, result: TrialResult | None = None, error: str = ""
    ) -> None:
        """Write down how a trial ended, what it measured or what went wrong."""
        trial.set_user_attr("reason", how.value)
        if error:
            trial.set_user_attr("error", error)
        if result is not None:
            trial.set_user_attr("metrics", result.metrics)
        value = result.objective if result and how is Ending.COMPLETE else None
        self.record.tell(trial, value, state=STATES[how])

    def close_abandoned(self) -> None:
        """Mark trials that a killed driver left running; their configurations are still to do."""
        for trial in self.record.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self.record.tell(trial.number, state=TrialState.FAIL)


def ending(trial: FrozenTrial) -> Ending | None:
    """How a trial ended; None while it runs. A failure without a reason was left running."""
    reason = trial.user_attrs.get("reason")
    if reason:
        return Ending(reason)
    return Ending.INTERRUPTED if trial.state is TrialState.FAIL else None


def metrics(trial: FrozenTrial) -> dict[str, float]:
    """What a trial measured; nothing where it did not end well."""
    return dict(trial.user_attrs.get("metrics", {}))


def create_or_continue(name: str, storage: str, direction: StudyDirection) -> Study:
    """The study of this name, new or as it was left."""
    record = optuna.create_study(
        study_name=name, storage=storage, direction=direction, load_if_exists=True
    )
    study = Study(record)
    study.close_abandoned()
    return study


def read(name: str, storage: str) -> Study:
    """A study that exists.

    Raises:
        KeyError: there is none of this name.
    """
    return Study(optuna.load_study(study_name=name, storage=storage))
