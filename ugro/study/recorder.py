"""Keep the study's record up to date: in order, by a thread of its own, behind the loop.

SQLAlchemy takes 20 ms to record a trial of eight parameters and 10 ms to record its end; a free
slot does not wait for that. What happened is in ``events.jsonl`` before. Where the storage is in
trouble the thread tries again, and what is to be written waits; trouble that lasts ends the study.
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
from ugro.study.study import Started, Study, driver, started

T = TypeVar("T")


class Recorder:
    """Writes what this driver does into the study's record.

    After an error of the storage that lasts nothing more is written, as what comes later builds on
    what came before; each further call raises it, :meth:`close` at the latest.

    Args:
        study: written
        name: this driver's
        shared: whether others write, too: a trial's number is then the storage's to give, and
            waited for

    Raises:
        StudyFailed: the storage cannot be written, or another driver writes there, too.
    """

    def __init__(self, study: Study, name: str = "", shared: bool = False) -> None:
        self._study = study
        self._driver = name
        self._shared = shared
        self._next = len(study.every())
        self._started: dict[int, Started] = {}
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")
        self._hurry = threading.Event()
        self._patience = retrying(
            is_trouble, "The study's record cannot be written", hurry=self._hurry
        )
        self._lasting: BaseException | None = None  # what ended all writing

    @property
    def next_number(self) -> int | None:
        """Of the trial that is started next; None where the storage gives it."""
        return None if self._shared else self._next

    def start(
        self,
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        source: str,
    ) -> int:
        """Record a trial that is about to run; its number."""
        what = dict(parameters), dict(distributions), source, self._driver
        attempted = False  # the storage may have it, though it could not say so

        def record() -> Started:
            nonlocal attempted
            begun = self._unheard_of() if attempted else None
            attempted = True
            begun = begun or self._study.start(*what)
            self._started[begun.number] = begun
            return begun

        if self._shared:
            begun: Started = self._done(self._write(record))
            return begun.number
        number = self._next
        self._next += 1
        self._write(lambda: self._check_number(record(), number))
        return number

    def take_up(self, trial: FrozenTrial) -> None:
        """A trial of an earlier driver is this one's from now on."""
        self._started[trial.number] = started(trial)

    def retry(self, number: int, times: int) -> None:
        """Record that a trial goes on."""
        self._write(lambda: self._study.retry(self._started[number], times, self._driver))

    def report(self, number: int, resource: int, value: float) -> None:
        """Record an intermediate value."""
        self._write(lambda: self._study.report(self._started[number], resource, value))

    def tell(
        self,
        number: int,
        how: Outcome,
        result: TrialResult | None = None,
        error: str = "",
        traceback: str = "",
    ) -> Future[None]:
        """Record how a trial ended; done when it is written."""
        return self._write(
            lambda: self._study.tell(self._started[number], how, result, error, traceback)
        )

    def keep_data(self, of: str, parts: Mapping[str, str]) -> Mapping[str, str]:
        """Record fingerprints; what holds, as another driver may have recorded others before."""
        written: Future[Mapping[str, str]]
        written = self._write(lambda: self._study.keep_data(of, parts))
        return self._done(written) if self._shared else parts

    def withdraw(self, number: int) -> None:
        """Record that a trial is not run after all; others see it when this returns."""
        self._done(self.tell(number, Outcome.WITHDRAWN))

    def hurry(self) -> None:
        """From now on trouble is not waited out: each write is tried once."""
        self._hurry.set()

    def close(self) -> None:
        """Wait until all is written; whoever interrupts that wants no trouble waited out."""
        try:
            self._thread.shutdown()
        except BaseException:
            self.hurry()
            self._thread.shutdown()
            raise
        self._check()

    def _unheard_of(self) -> Started | None:
        mine = (one for one in self._study.running() if driver(one) == self._driver)
        return next((started(one) for one in mine if one.number not in self._started), None)

    def _check_number(self, begun: Started, number: int) -> None:
        if begun.number != number:
            raise StudyFailed(f"another driver writes into study {self._study.record.study_name}")

    def _write(self, function: Callable[[], T]) -> Future[T]:
        self._check()
        try:
            return self._thread.submit(self._written, function)
        except RuntimeError:
            self._check()  # it was given up since
            raise

    def _written(self, function: Callable[[], T]) -> T:
        try:
            return self._patience(function)
        except BaseException as error:
            self._lasting = error
            self._thread.shutdown(wait=False, cancel_futures=True)
            raise

    def _done(self, written: Future[T]) -> T:
        """What a write came to, as soon as it is done."""
        try:
            return written.result()
        except (CancelledError, *TROUBLE):
            self._check()
            raise

    def _check(self) -> None:
        """Raise what ended all writing, if anything has."""
        error = self._lasting
        if isinstance(error, TROUBLE):
            why = one_line(error.__cause__ or error)  # Optuna's own words hide it
            raise StudyFailed(f"the study cannot be written: {why}") from error
        if error is not None:
            raise error
