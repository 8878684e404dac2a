"""The loop when the data of a trial differ from those of earlier trials."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from ugro.events.events import Event, StudyFinished, TrialReported
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report, TrialResult
from ugro.executors.simulated_executor import SimulatedTrial
from ugro.sweep.fingerprints import DataChangedError, Fingerprints

from ..studies import in_memory
from .scripted import Ran, Run, Script, Scripted

THEN = {"train_data": "a", "eval_data": "b"}
NOW = {"train_data": "a", "eval_data": "changed"}


@dataclass
class OfData(Script):
    """Script that reports its data with the first report, or only with the result."""

    data: Mapping[str, str] = field(default_factory=lambda: THEN)
    at_the_end: bool = False

    def course(self) -> SimulatedTrial:
        course = super().course()
        first, *others = course.reports
        data = {} if self.at_the_end else self.data
        return replace(course, reports=[replace(first, data=data), *others])

    def _result(self, reports: Sequence[Report]) -> TrialResult:
        return replace(super()._result(reports), provenance={**self.data, "torch": "2.13"})


def ran_with(scripts: Callable[[int], Script], slots: int = 1) -> Ran:
    return Ran(in_memory(), Scripted(scripts, lambda now: slots), [])


def known() -> Fingerprints:
    """Fingerprints of a driver that resumes a study."""
    return Fingerprints("s", 0, {"{}": THEN})


def reports_of(number: int, events: Sequence[Event]) -> list[Event]:
    return [one for one in events if isinstance(one, TrialReported) and one.number == number]


@pytest.mark.parametrize("at_the_end", [False, True], ids=["by a report", "by the result"])
def test_changed_data_end_the_study_before_the_trial_is_ranked(at_the_end: bool, run: Run) -> None:
    ran = ran_with(lambda number: OfData(data=NOW if number == 2 else THEN, at_the_end=at_the_end))
    run(ran=ran, interrupted=lambda now: now >= 6)  # after two trials of three seconds
    before = [(trial.number, trial.values, trial.user_attrs) for trial in ran.study.finished()]
    assert len(before) == 2
    with pytest.raises(DataChangedError, match="evaluation data of trial 2 is not what") as error:
        run(ran=ran, fingerprints=known())
    assert error.value.from_earlier_run
    after = [(trial.number, trial.values, trial.user_attrs) for trial in ran.study.finished()]
    assert after == before
    [left] = ran.study.unfinished()
    assert (left.number, left.user_attrs.get("metrics")) == (2, None)
    assert bool(reports_of(2, ran.events)) == at_the_end
    last = ran.events[-1]
    assert isinstance(last, StudyFinished)
    assert last.reason.startswith("data: the evaluation data of trial 2 is not what the trials")


def test_trials_of_the_same_command_must_have_the_same_data(run: Run) -> None:
    ran = ran_with(lambda number: OfData(data=NOW if number == 1 else THEN))
    with pytest.raises(DataChangedError, match="of trial 1 is not") as error:
        run(ran=ran)
    assert not error.value.from_earlier_run
    assert [trial.number for trial in ran.study.ranked()] == [0]


def test_concurrent_trials_are_interrupted_and_resume_with_the_old_data(run: Run) -> None:
    long, short = [5.0, 4.0, 3.0, 2.0, 1.0], [5.0, 4.0]
    other = {2: NOW}
    ran = ran_with(
        lambda number: OfData(losses=short if number == 1 else long, data=other.get(number, THEN)),
        slots=2,
    )
    with pytest.raises(DataChangedError):
        run(ran=ran, slots=2)
    assert [trial.number for trial in ran.study.unfinished()] == [0, 2]
    assert [trial.number for trial in ran.study.finished()] == [1]
    other.clear()
    run(ran=ran, slots=2, fingerprints=known())
    assert ran.endings() == [Outcome.COMPLETE] * 6
