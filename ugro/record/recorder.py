"""How is the study's record kept up to date? In order, by a thread of its own, behind the loop.

SQLAlchemy takes 20 ms to record a trial of eight parameters and 10 ms to record its end; a free
slot does not wait for that. What happened is in ``events.jsonl`` before. Where the storage is in
trouble the thread tries again, and what is to be written waits.
"""

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from ugro.ending import Ending
from ugro.errors import StudyFailed
from ugro.record.storage import TROUBLE, is_trouble
from ugro.record.study import Started, Study, driver, started
from ugro.report import TrialResult
from ugro.retries import in_a_line, retrying


class Recorder:
    """Writes what this driver does into the study's record.

    An error of the storage that lasts is raised by the next call, :meth:`close` at the latest.

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
        self._writes: deque[Future[Any]] = deque()

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
            written = self._write(record)
            wait([written])
            self._raise_errors()
            return int(written.result().number)
        number = self._next
        self._next += 1
        self._write(lambda: self._check(record(), number))
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
        how: Ending,
        result: TrialResult | None = None,
        error: str = "",
        traceback: str = "",
    ) -> None:
        """Record how a trial ended."""
        self._write(lambda: self._study.tell(self._started[number], how, result, error, traceback))

    def withdraw(self, number: int) -> None:
        """Record that a trial is not run after all; others see it when this returns."""
        self.tell(number, Ending.WITHDRAWN)
        wait(self._writes)
        self._raise_errors()

    def close(self) -> None:
        """Wait until all is written."""
        self._thread.shutdown()
        self._raise_errors()

    def _unheard_of(self) -> Started | None:
        mine = (one for one in self._study.running() if driver(one) == self._driver)
        return next((started(one) for one in mine if one.number not in self._started), None)

    def _check(self, begun: Started, number: int) -> None:
        if begun.number != number:
            raise StudyFailed(f"another driver writes into study {self._study.record.study_name}")

    def _write(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        self._raise_errors()
        patience = retrying(is_trouble, "The study's record cannot be written")
        written = self._thread.submit(patience, function, *arguments)
        self._writes.append(written)
        return written

    def _raise_errors(self) -> None:
        while self._writes and self._writes[0].done():
            try:
                self._writes.popleft().result()
            except TROUBLE as error:
                raise StudyFailed(f"the study cannot be written: {in_a_line(error)}") from error
