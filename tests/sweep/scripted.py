"""Scripted trials on a simulated clock."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ugro.events.events import (
    Event,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Task
from ugro.executors.simulated_executor import SimulatedExecutor, SimulatedTrial
from ugro.study.study import Study
from ugro.study.trial_record import recorded_outcome

SIX = ("lora.r=1,2,3,4,5,6",)


@dataclass
class Script:
    """Script of a trial: losses at 100, 200, ... tokens, a second each, and its end."""

    losses: Sequence[float] = (5.0, 4.0, 3.0)
    raises: Exception | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    def course(self) -> SimulatedTrial:
        """Convert the script to a simulated trial."""
        last = len(self.losses)
        reports = [
            Report(done, last, 100 * done, 100 * last, done, {"eval_loss": loss}, 0.0)
            for done, loss in enumerate([9.0, *self.losses])
        ]
        return SimulatedTrial(0.0, reports, self._result)

    def _result(self, reports: Sequence[Report]) -> TrialResult:
        if self.raises is not None:
            raise self.raises
        done = reports[-1].step
        loss = min(self.losses[: max(1, done)])
        metrics = {"eval_loss": loss, "tokens_seen": 100.0 * done, **self.metrics}
        return TrialResult((loss,), metrics)


class Scripted(SimulatedExecutor):
    """Executor whose trials are scripts."""

    def __init__(self, scripts: Callable[[int], Script], count: Callable[[float], int]) -> None:
        super().__init__(lambda task: self._scripts(task.number).course(), count)
        self.most = 0
        self.submitted: list[tuple[int, float]] = []
        self._scripts = scripts

    def submit(self, task: Task) -> None:
        self.submitted.append((task.number, self.now))
        super().submit(task)
        self.most = max(self.most, self.running)


@dataclass
class Ran:
    study: Study
    slots: Scripted
    events: list[Event]

    def endings(self) -> list[Outcome | None]:
        return [recorded_outcome(trial) for trial in self.study.trials()]


Run = Callable[..., Ran]


class EventRecorder:
    """Observer that keeps the events."""

    def __init__(self, events: list[Event]) -> None:
        self.observe = events.append
