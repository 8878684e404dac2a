"""Record trials in order, in a thread behind the loop.

SQLAlchemy takes 20 ms to record a trial with eight parameters and 10 ms to record its end, which
would delay free slots. Each event is in ``events.jsonl`` before it is recorded. Transient errors of
the storage are retried; persistent errors end the study.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from ugro.errors import StudyFailed
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.retries import one_line, retrying
from ugro.study.storage import TROUBLE, is_trouble
from ugro.study.study import Study
from ugro.study.trial_record import Started, driver, started

T = TypeVar("T")


class Recorder:
    """Record this driver's trials.

    After a persistent error of the storage nothing more is recorded, because later writes depend on
    earlier ones; each further call raises the error, :meth:`close` at the latest.

    Args:
        study: the record
        name: of this driver
        shared: whether other drivers record, too; then the storage assigns numbers, and each start
            waits for its number

    Raises:
        StudyFailed: the storage cannot be written, or another driver records in an unshared study.
    """

    def __init__(self, study: Study, name: str = "", shared: bool = False) -> None:
        self._study = study
        self._driver = name
        self._shared = shared
        self._next = len(study.every())
        self._started: dict[int, Started] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")
        self._hurry = threading.Event()
        self._with_retries = retrying(
            is_trouble, "The study's record cannot be written", hurry=self._hurry
        )
        self._error: BaseException | None = None  # the persistent error

    @property
    def next_number(self) -> int | None:
        """Number of the next trial; None if the storage assigns it."""
        return None if self._shared else self._next

    def start(
        self,
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        source: str,
    ) -> int:
        """Record a trial that is about to run; return its number."""
        arguments = dict(parameters), dict(distributions), source, self._driver
        attempted = False  # the storage may have recorded it before an error

        def record() -> Started:
            nonlocal attempted
            trial = self._find_unconfirmed() if attempted else None
            attempted = True
            trial = trial or self._study.start(*arguments)
            self._started[trial.number] = trial
            return trial

        if self._shared:
            trial: Started = self._result(self._submit(record))
            return trial.number
        number = self._next
        self._next += 1
        self._submit(lambda: self._check_number(record(), number))
        return number

    def take_up(self, trial: FrozenTrial) -> None:
        """Adopt a trial of an earlier driver."""
        self._started[trial.number] = started(trial)

    def retry(self, number: int, times: int) -> None:
        """Record that a trial is retried."""
        self._submit(lambda: self._study.retry(self._started[number], times, self._driver))

    def report(self, number: int, resource: int, value: float) -> None:
        """Record an intermediate value."""
        self._submit(lambda: self._study.report(self._started[number], resource, value))

    def tell(
        self,
        number: int,
        outcome: Outcome,
        result: TrialResult | None = None,
        error: str = "",
        traceback: str = "",
    ) -> Future[None]:
        """Record a trial's outcome; the future is done once it is written."""
        return self._submit(
            lambda: self._study.tell(self._started[number], outcome, result, error, traceback)
        )

    def keep_data(self, of: str, parts: Mapping[str, str]) -> Mapping[str, str]:
        """Record fingerprints; return the valid ones, as another driver may have been first."""
        written: Future[Mapping[str, str]]
        written = self._submit(lambda: self._study.keep_data(of, parts))
        return self._result(written) if self._shared else parts

    def withdraw(self, number: int) -> None:
        """Record that a trial will not run, visible to other drivers on return."""
        self._result(self.tell(number, Outcome.WITHDRAWN))

    def hurry(self) -> None:
        """Stop retrying: from now on each write is tried once."""
        self._hurry.set()

    def close(self) -> None:
        """Wait until everything is written; an interruption of that wait stops the retries."""
        try:
            self._thread.shutdown()
        except BaseException:
            self.hurry()
            self._thread.shutdown()
            raise
        self._check()

    def _find_unconfirmed(self) -> Started | None:
        mine = (trial for trial in self._study.running() if driver(trial) == self._driver)
        return next((started(trial) for trial in mine if trial.number not in self._started), None)

    def _check_number(self, trial: Started, number: int) -> None:
        if trial.number != number:
            raise StudyFailed(f"another driver records in study {self._study.record.study_name}")

    def _submit(self, function: Callable[[], T]) -> Future[T]:
        self._check()
        try:
            return self._thread.submit(self._run, function)
        except RuntimeError:
            self._check()  # a write failed for good in the meantime
            raise

    def _run(self, function: Callable[[], T]) -> T:
        try:
            return self._with_retries(function)
        except BaseException as error:
            self._error = error
            self._thread.shutdown(wait=False, cancel_futures=True)
            raise

    def _result(self, written: Future[T]) -> T:
        """Wait for a write and return its result."""
        try:
            return written.result()
        except (CancelledError, *TROUBLE):
            self._check()
            raise

    def _check(self) -> None:
        """Raise the persistent error, if any."""
        error = self._error
        if isinstance(error, TROUBLE):
            why = one_line(error.__cause__ or error)  # Optuna's own message hides the cause
            raise StudyFailed(f"the study cannot be written: {why}") from error
        if error is not None:
            raise error
