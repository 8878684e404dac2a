"""Run UGRO's own loop on a problem with simulated slots.

Sampler, proposals, early stopping, trial scheduler, limits and events are those of a real sweep.
Only the record is omitted: nobody reads it, and it would take most of the time.
"""

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
    TrialReported,
    TrialStarted,
)
from ugro.executors.executor import Task
from ugro.executors.simulated_executor import SimulatedExecutor, SimulatedTrial
from ugro.objectives.objectives import objectives_of
from ugro.sampling.configured_sampler import sampler_of
from ugro.schedulers.early_stopping import EarlyStopping
from ugro.study.recorder import Recorder
from ugro.sweep.components import Components
from ugro.sweep.failures import Failures
from ugro.sweep.initial_trials import Planned
from ugro.sweep.limits import Limits
from ugro.sweep.loop import Sweep
from ugro.sweep.plan import Plan
from ugro.sweep.proposals import Proposals

from .curves import Curve, Problem, plain
from .plans import compose_plan
from .trace import EndedTrial, Trace

SECONDS_PER_HOUR = 3600  # the simulated clock counts hours
QUIET = ("tracking=none", "study.name=simulated", "search_space=lora")


@lru_cache(maxsize=32)
def _plan(overrides: tuple[str, ...]) -> Plan:
    return compose_plan(*QUIET, *overrides)


def simulate(
    problem: Problem,
    overrides: tuple[str, ...],
    slots: int,
    trials: int,
    seed: int,
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
        trials: total number of trials
        seed: seed of sampler, scheduler and noise
        beat: hours between reports of a trial; by default those of its curve
        first: configurations to run before the sampler's proposals
        recorder: recorder of a study to write, if any
        observers: further observers of the events
    """
    plan = _plan(overrides)
    of, feasible, objectives = plan.config, plan.feasible, objectives_of(plan.config.objectives)
    curves: dict[int, Curve] = {}
    trace_observer: _TraceObserver

    def course(task: Task) -> SimulatedTrial:
        curve = problem.curve(plain(trace_observer.parameters[task.number]), seed)
        curves[task.number] = curve
        return (curve if beat is None else curve.paced(beat, task.number)).course()

    place = SimulatedExecutor(course, lambda now: slots)
    trace_observer = _TraceObserver(place, curves, Trace(slots))
    settings = plan.trial.hydra.sweeper.sampler
    sampling = sampler_of(
        settings, ["minimize"], feasible, seed, clock=lambda: SECONDS_PER_HOUR * place.now
    )
    parts = Components(
        recorder=recorder or _NoRecord(),  # type: ignore[arg-type]
        sampler=sampling,
        feasible=feasible,
        objectives=objectives,
        early_stopping=EarlyStopping(plan.trial.scheduler, of.stoppers, objectives, seed),
        executor=place,
        limits=Limits(of.study, maximised=False),
        failures=Failures(trials, of.study.fail_fast),
        events=EventStream([*observers, trace_observer]),
    )
    planned_first = [*plan.first, *first]
    proposals = Proposals(sampling, feasible, planned_first, [], trials, lambda *_: None, seed)
    sweep = Sweep(parts, slots, of.study.max_retries, of.stoppers, clock=lambda: place.now)
    sweep.run(proposals)
    return trace_observer.trace


@dataclass
class _TraceObserver:
    """An observer that builds the trace."""

    slots: SimulatedExecutor
    curves: Mapping[int, Curve]
    trace: Trace
    parameters: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _began: dict[int, float] = field(default_factory=dict)
    _tokens: dict[int, int] = field(default_factory=dict)

    def observe(self, event: Event) -> None:
        """Add an event to the trace."""
        self.trace.events.append(event)
        match event:
            case TrialAsked(number=number, parameters=parameters):
                self.parameters[number] = parameters
            case TrialStarted(number=number):
                self._began[number] = self.slots.now
            case TrialReported(number=number, report=report):
                self._tokens[number] = report.tokens_seen
            case TrialFinished(number=number, values=values):
                self.trace.trials.append(
                    EndedTrial(
                        number,
                        self._began.get(number, self.slots.now),
                        self.slots.now,
                        self._tokens.get(number, 0),
                        values[0] if values else None,
                        self.curves[number].true_loss,
                    )
                )


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
