"""What is done about a trial that returned nothing, and when too many have failed."""

from dataclasses import dataclass, field

from filelock import Timeout

from ugro.errors import StudyFailed
from ugro.events.channel import TrialInterruptedError
from ugro.events.outcome import Outcome
from ugro.executors.executor import RayLostError, TrialTimeoutError, WorkerLostError
from ugro.paths import LOG, trial_subdir
from ugro.retries import is_disk_trouble


@dataclass(frozen=True)
class Answer:
    """What is done about one kind of error."""

    error: type[BaseException]
    ending: Outcome
    again: bool = False  # run again, elsewhere and from its checkpoint, up to study.max_retries
    waits: bool = False  # however often, until the trouble is over


# The disk is full, or a network folder is gone for a while.
NO_DISK = Answer(OSError, Outcome.FAILED, again=True, waits=True)
# The first that fits. docs/resume.md has this table in words.
ANSWERS = (
    Answer(Timeout, Outcome.FAILED, again=True, waits=True),  # its folder is still in use
    Answer(TrialInterruptedError, Outcome.INTERRUPTED),  # the next command continues it
    Answer(RayLostError, Outcome.FAILED, again=True, waits=True),  # it is started again
    Answer(WorkerLostError, Outcome.FAILED, again=True),
    Answer(MemoryError, Outcome.OUT_OF_MEMORY),  # its worker process is replaced
    Answer(FloatingPointError, Outcome.DIVERGED),
    Answer(TrialTimeoutError, Outcome.TIMED_OUT),  # its worker process was killed
    Answer(BaseException, Outcome.FAILED),  # an error in the code or the data
)


def answer_to(error: BaseException) -> Answer:
    """What is done about an error."""
    if is_disk_trouble(error):
        return NO_DISK
    return next(answer for answer in ANSWERS if isinstance(error, answer.error))


@dataclass
class Failures:
    """The trials that failed and how many may.

    Args:
        allowed: failed trials of the whole study
        fail_fast: as many at its beginning with one and the same error end it at once
        before: failed trials of the study when this command began
        others: trials that had ended in another way by then
    """

    allowed: float
    fail_fast: int
    before: int = 0
    others: int = 0
    _errors: list[tuple[int, str]] = field(default_factory=list)

    def ended(self, number: int, how: Outcome, error: str) -> None:
        """Count a trial that ended."""
        if how is Outcome.FAILED:
            self._errors.append((number, error))
        elif how is not Outcome.INTERRUPTED:
            self.others += 1

    @property
    def nothing_worked(self) -> bool:
        """Whether no trial has ended in any other way: what is wrong may be wrong with all."""
        return not self.others

    def check(self) -> None:
        """Raise StudyFailed where going on is of no use."""
        if not self._errors:
            return
        number, error = self._errors[0]
        log = f"(trial {number}; its log: {trial_subdir(number)}/{LOG} in the study's folder)"
        same = {text for _, text in self._errors} == {error}
        first = len(self._errors) == self.fail_fast and not self.before and self.nothing_worked
        if first and same:
            raise StudyFailed(f"the first {self.fail_fast} trials all failed. {error} {log}")
        count = self.before + len(self._errors)
        if count > self.allowed:
            allows = "more than hydra.sweeper.max_failure_rate allows"
            raise StudyFailed(f"{count} trials failed, {allows}. {error} {log}")

    def check_at_the_end(self) -> None:
        """Raise StudyFailed where every single trial has failed."""
        if self._errors and self.nothing_worked:
            number, error = self._errors[0]
            raise StudyFailed(f"every trial failed. Trial {number}: {error}")
