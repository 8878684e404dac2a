"""How is the study's record kept up to date? In order, by a thread of its own, behind the loop.

SQLAlchemy takes 20 ms to record a trial of eight parameters and 10 ms to record its end; a free
slot does not wait for that. What happened is in ``events.jsonl`` before. Where the storage is in
trouble the thread tries again, and what is to be written waits.
"""

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from optuna.distributions import BaseDistribution

from ugro.ending import Ending
from ugro.errors import StudyFailed
from ugro.patience import in_a_line, patiently
from ugro.report import TrialResult
from ugro.sweep.storage import TROUBLE, is_trouble
from ugro.sweep.study import Study, started


class Recorder:
    """The only writer of a study's record.

    An error of the storage that lasts is raised by the next call, :meth:`close` at the latest.

    Raises:
        StudyFailed: the storage cannot be written, or another driver writes there, too.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        every = study.record.get_trials(deepcopy=False)
        self._next = len(every)
        self._started = {trial.number: started(trial) for trial in study.unfinished()}
        self._attempted: set[int] = set()  # the storage may have it, though it could not say so
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recorder")
        self._writes: deque[Future[None]] = deque()

    def start(
        self,
        parameters: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        source: str,
    ) -> int:
        """Record a trial that is about to run; its number."""
        number = self._next
        self._next += 1
        self._write(self._start, number, dict(parameters), dict(distributions), source)
        return number

    def retry(self, number: int, times: int) -> None:
        """Record that a trial goes on."""
        self._write(lambda: self._study.retry(self._started[number], times))

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

    def close(self) -> None:
        """Wait until all is written."""
        self._thread.shutdown()
        self._raise_errors()

    def _start(self, number: int, *what: Any) -> None:
        begun = self._study.running(number) if number in self._attempted else None
        self._attempted.add(number)
        begun = self._started[number] = begun or self._study.start(*what)
        if begun.number != number:
            raise StudyFailed(f"another driver writes into study {self._study.record.study_name}")

    def _write(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._raise_errors()
        patience = patiently(is_trouble, "The study's record cannot be written")
        self._writes.append(self._thread.submit(patience, function, *arguments))

    def _raise_errors(self) -> None:
        while self._writes and self._writes[0].done():
            try:
                self._writes.popleft().result()
            except TROUBLE as error:
                raise StudyFailed(f"the study cannot be written: {in_a_line(error)}") from error
