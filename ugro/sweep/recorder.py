"""How is the study's record kept up to date? In order, by a thread of its own, behind the loop.

SQLAlchemy takes 20 ms to record a trial of eight parameters and 10 ms to record its end; a free
slot does not wait for that. What happened is in ``events.jsonl`` before.
"""

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from optuna.distributions import BaseDistribution

from ugro.ending import Ending
from ugro.errors import StudyFailed
from ugro.report import TrialResult
from ugro.sweep.study import Started, Study


class Recorder:
    """The only writer of a study's record.

    An error of the storage is raised by the next call, :meth:`close` at the latest.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._next = len(study.record.get_trials(deepcopy=False))
        self._started: dict[int, Started] = {}
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

    def report(self, number: int, resource: int, value: float) -> None:
        """Record an intermediate value."""
        self._write(lambda: self._study.report(self._started[number], resource, value))

    def tell(
        self, number: int, how: Ending, result: TrialResult | None = None, error: str = ""
    ) -> None:
        """Record how a trial ended."""
        self._write(lambda: self._study.tell(self._started.pop(number), how, result, error))

    def close(self) -> None:
        """Wait until all is written."""
        self._thread.shutdown()
        self._raise_errors()

    def _start(self, number: int, *what: Any) -> None:
        started = self._started[number] = self._study.start(*what)
        if started.number != number:
            raise StudyFailed(f"another driver writes into study {self._study.record.study_name}")

    def _write(self, function: Callable[..., None], *arguments: Any) -> None:
        self._raise_errors()
        self._writes.append(self._thread.submit(function, *arguments))

    def _raise_errors(self) -> None:
        while self._writes and self._writes[0].done():
            self._writes.popleft().result()
