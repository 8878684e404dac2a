"""Run UGRO's own loop on a problem with simulated slots.

Sampler, proposals, early stopping, trial scheduler, limits and events are those of a real sweep.
Only the record is omitted: nobody reads it, and it would take most of the time.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ugro.events.events import (
    Event,
    EventStream,
    Observer,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialStarted,
)
from ugro.executors.executor import Task
from ugro.executors.simulated_executor import SimulatedExecutor, SimulatedTrial
from ugro.objectives.objectives import objectives_of
from ugro.sampling.configured_sampler import sampler_of
from ugro.study.recorder import Recorder
from ugro.sweep.components import Components
from ugro.sweep.failures import Failures
from ugro.sweep.initial_trials import Planned
from ugro.sweep.limits import Limits
from ugro.sweep.loop import Sweep
from ugro.sweep.plan import Plan
from ugro.sweep.proposals import Proposals

from .budget import Budget, Seeds
from .curves import Curve, Problem, plain
from .plans import compose_plan
from .trace import Trace, TrialTrace

SECONDS_PER_HOUR = 3600  # the simulated clock counts hours
QUIET = ("tracking=none", "study.name=simulated", "search_space=lora")


@lru_cache(maxsize=32)
def _plan(overrides: tuple[str, ...]) -> Plan:
    return compose_plan(*QUIET, *overrides)


def simulate(
    problem: Problem,
    overrides: tuple[str, ...],
    slots: int,
    budget: Budget,
    seeds: Seeds,
    beat: float | None = None,
    first: Sequence[Planned] = (),
    recorder: Recorder | None = None,
    observers: Sequence[Observer] = (),
) -> Trace:
    """Run a complete sweep.

    Args:
        problem: problem to search
        overrides: sampler, scheduler, limits, as on the command line
        slots: number of concurrent trials
        budget: limits of trials and hours
        seeds: seeds of sampler and scheduler, and of the noise
        beat: hours between reports of a trial; by default those of its curve
        first: configurations to run before the sampler's proposals
        recorder: recorder of a study to write, if any
        observers: further observers of the events
    """
    limit = () if math.isinf(budget.hours) else (f"study.max_seconds={budget.hours}",)
    plan = _plan((*overrides, *limit))
    of, feasible, objectives = plan.config, plan.feasible, objectives_of(plan.config.objectives)
    curves: dict[int, Curve] = {}
    trace_observer: _TraceObserver

    def course(task: Task) -> SimulatedTrial:
        curve = problem.curve(plain(trace_observer.parameters[task.number]), seeds.noise)
        curves[task.number] = curve
        return (curve if beat is None else curve.paced(beat, task.number)).course()

    place = SimulatedExecutor(course, lambda now: slots)
    trace_observer = _TraceObserver(place, curves, Trace(slots, budget.hours))
    sampling = sampler_of(
        plan.trial.hydra.sweeper.sampler,
        ["minimize"],
        feasible,
        seeds.method,
        clock=lambda: SECONDS_PER_HOUR * place.now,
    )
    parts = Components(
        recorder=recorder or _NoRecord(),  # type: ignore[arg-type]
        sampler=sampling,
        feasible=feasible,
        objectives=objectives,
        early_stopping=plan.early_stopping(seeds.method, budget.trials),
        executor=place,
        limits=Limits(of.study, maximised=False),
        failures=Failures(budget.trials, of.study.fail_fast),
        events=EventStream([*observers, trace_observer]),
    )
    planned_first = [*plan.first, *first]
    proposals = Proposals(
        sampling,
        feasible,
        planned_first,
        [],
        budget.trials,
        lambda *_: None,
        seeds.method,
        of_scheduler=parts.early_stopping.propose,
    )
    sweep = Sweep(parts, slots, of.study.max_retries, of.stoppers, clock=lambda: place.now)
    sweep.run(proposals)
    return trace_observer.complete()


@dataclass
class _TraceObserver:
    """An observer that builds the trace."""

    slots: SimulatedExecutor
    curves: Mapping[int, Curve]
    trace: Trace
    parameters: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _progress: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    _pauses: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    _ends: dict[int, tuple[float, float | None]] = field(default_factory=dict)

    def observe(self, event: Event) -> None:
        """Add an event to the trace."""
        self.trace.events.append(event)
        match event:
            case TrialAsked(number=number, parameters=parameters):
                self.parameters[number] = parameters
            case TrialStarted(number=number):
                progress = self._progress.setdefault(number, [])
                progress.append((self.slots.now, progress[-1][1] if progress else 0))
            case TrialReported(number=number, report=report):
                self._progress[number].append((self.slots.now, report.tokens_seen))
            case TrialPaused(number=number):
                self._pauses.setdefault(number, []).append((self.slots.now, math.inf))
            case TrialResumed(number=number):
                paused_at, _ = self._pauses[number].pop()
                self._pauses[number].append((paused_at, self.slots.now))
            case TrialFinished(number=number, values=values):
                self._ends[number] = (self.slots.now, values[0] if values else None)

    def complete(self) -> Trace:
        """Return the trace, with a course for each started trial."""
        for number, progress in sorted(self._progress.items()):
            ended, value = self._ends.get(number, (math.inf, None))
            true_loss = self.curves[number].true_loss
            pauses = self._pauses.get(number, [])
            self.trace.trials.append(TrialTrace(number, progress, ended, value, true_loss, pauses))
        return self.trace


class _NoRecord:
    """A recorder that only numbers the trials."""

    next_number = 0

    def start(self, *_: Any) -> int:
        self.next_number += 1
        return self.next_number - 1

    def _nothing(self, *_: Any) -> None:
        """Do nothing."""

    report = tell = retry = withdraw = take_up = _nothing

    def hurry(self) -> None:
        """Do nothing."""

    close = hurry
