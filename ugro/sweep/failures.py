"""Handling of failed trials: retries by kind of error, and limits on failures."""

from dataclasses import dataclass, field

from filelock import Timeout

from ugro.errors import StudyFailed
from ugro.events.channel import TrialInterruptedError
from ugro.events.outcome import Outcome
from ugro.executors.executor import RayLostError, TrialTimeoutError, WorkerLostError
from ugro.paths import LOG, trial_subdir
from ugro.retries import is_disk_trouble


@dataclass(frozen=True)
class Response:
    """Response to a kind of error.

    Attributes:
        error: class of the errors
        outcome: outcome of the trial if it is not retried
        retry: whether to retry from the checkpoint, elsewhere, up to ``study.max_retries`` times
        until_over: whether to retry without limit while an outage lasts
    """

    error: type[BaseException]
    outcome: Outcome
    retry: bool = False
    until_over: bool = False


# The disk is full, or a network folder is temporarily unreachable.
NO_DISK = Response(OSError, Outcome.FAILED, retry=True, until_over=True)
# The first match applies. docs/resume.md explains this table.
RESPONSES = (
    Response(Timeout, Outcome.FAILED, retry=True, until_over=True),  # its folder is still in use
    Response(TrialInterruptedError, Outcome.INTERRUPTED),  # the next command resumes it
    Response(RayLostError, Outcome.FAILED, retry=True, until_over=True),  # Ray is restarted
    Response(WorkerLostError, Outcome.FAILED, retry=True),
    Response(MemoryError, Outcome.OUT_OF_MEMORY),  # its worker process is replaced
    Response(FloatingPointError, Outcome.DIVERGED),
    Response(TrialTimeoutError, Outcome.TIMED_OUT),  # its worker process was killed
    Response(BaseException, Outcome.FAILED),  # errors in the code or the data
)


def response_to(error: BaseException) -> Response:
    """Return the response to an error."""
    if is_disk_trouble(error):
        return NO_DISK
    return next(response for response in RESPONSES if isinstance(error, response.error))


@dataclass
class Failures:
    """Failed trials and their limits.

    Args:
        allowed: number of failed trials that the study tolerates
        fail_fast: number of initial failures with the same error that ends the study
        before: failed trials of the study before this command
        others: trials of the study with other outcomes
    """

    allowed: float
    fail_fast: int
    before: int = 0
    others: int = 0
    _errors: list[tuple[int, str]] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome, error: str) -> None:
        """Count a finished trial."""
        if outcome is Outcome.FAILED:
            self._errors.append((number, error))
        elif outcome is not Outcome.INTERRUPTED:
            self.others += 1

    @property
    def nothing_worked(self) -> bool:
        """Whether every finished trial has failed, which suggests a cause common to all."""
        return not self.others

    def check(self) -> None:
        """Check the limits.

        Raises:
            StudyFailed: too many trials failed, or the first ones all failed with the same error.
        """
        if not self._errors:
            return
        number, error = self._errors[0]
        log = f"(trial {number}; its log: {trial_subdir(number)}/{LOG} in the study's folder)"
        same_error = {text for _, text in self._errors} == {error}
        first = len(self._errors) == self.fail_fast and not self.before and self.nothing_worked
        if first and same_error:
            raise StudyFailed(f"the first {self.fail_fast} trials all failed. {error} {log}")
        count = self.before + len(self._errors)
        if count > self.allowed:
            allows = "more than hydra.sweeper.max_failure_rate allows"
            raise StudyFailed(f"{count} trials failed, {allows}. {error} {log}")

    def check_at_the_end(self) -> None:
        """Check a study that has no trials left.

        Raises:
            StudyFailed: every trial failed.
        """
        if self._errors and self.nothing_worked:
            number, error = self._errors[0]
            raise StudyFailed(f"every trial failed. Trial {number}: {error}")
