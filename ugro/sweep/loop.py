"""How does a study run? Ask, submit, wait, tell; a free slot gets the next trial at once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from ugro.config import StoppersConfig
from ugro.constraints import broken
from ugro.ending import Ending
from ugro.errors import StudyFailed, UserError, fault
from ugro.events import (
    EventStream,
    StudyFinished,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from ugro.objectives import Objectives
from ugro.report import MEASURED, Report, TrialResult
from ugro.schedulers.referee import Referee
from ugro.sweep.composition import lookup
from ugro.sweep.feasible import FeasibleSpace
from ugro.sweep.limits import Limits
from ugro.sweep.proposals import Proposal, Proposals
from ugro.sweep.recorder import Recorder
from ugro.sweep.sampling import Sampling
from ugro.sweep.slots import Slots, Task, TrialTimeoutError

LOOK_AGAIN_SECONDS = 5.0  # how often the cluster is counted while no trial ends


@dataclass
class Running:
    """A trial in flight."""

    proposal: Proposal
    started_at: float | None = None
    tokens: int = 0
    told: Ending | None = None  # how it was told to end


@dataclass
class Parts:
    """What a sweep is put together from."""

    recorder: Recorder
    sampling: Sampling
    feasible: FeasibleSpace
    objectives: Objectives
    referee: Referee
    slots: Slots
    limits: Limits
    events: EventStream


@dataclass
class Sweep:
    """The loop between study and slots.

    Args:
        parts: everything it moves
        n_jobs: trials at once, or auto
        max_failures: trials that may fail
        stoppers: with the seconds of a trial
        clock: seconds, from any beginning
    """

    parts: Parts
    n_jobs: int | str
    max_failures: float
    stoppers: StoppersConfig
    clock: Callable[[], float] = time.monotonic
    _running: dict[int, Running] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._began = self.clock()
        self._failed: list[tuple[int, str]] = []

    def run(self, proposals: Proposals) -> None:
        """Keep the slots busy until there is nothing left to propose, or a limit is reached.

        Raises:
            StudyFailed: more trials failed than allowed.
            UserError: the first trial shows that all are misconfigured.
        """
        reason = "interrupted"
        try:
            while self._fill(proposals):
                ended = self.parts.slots.wait(self, LOOK_AGAIN_SECONDS)
                if ended is not None:
                    self._tell(*ended)
                    self._check_failures()
            reason = self._limit() or "all trials are done"
        except (StudyFailed, UserError):
            reason = "trials failed"
            raise
        finally:
            for number in list(self._running):
                self._finish(number, Ending.INTERRUPTED)
            self.parts.recorder.close()
            self.parts.events.emit(StudyFinished(reason))

    def started(self, number: int) -> None:
        """A worker has taken the trial up."""
        self._running[number].started_at = self.clock()
        self.parts.events.emit(TrialStarted(number))

    def reported(self, number: int, report: Report) -> bool:
        """Record a report; the answer is whether the trial goes on."""
        parts, trial = self.parts, self._running[number]
        parts.limits.trained(report.tokens_seen - trial.tokens)
        trial.tokens = report.tokens_seen
        if report.step:
            value = parts.objectives.intermediate(report.metrics)
            parts.recorder.report(number, report.tokens_seen, value)
            parts.sampling.report(trial.proposal.trial, report.tokens_seen, value)
        elapsed = 0.0 if trial.started_at is None else self.clock() - trial.started_at
        stop = parts.referee.judge(number, report, elapsed)
        if stop is None and not report.last and self._limit():
            stop = Ending.STUDY_LIMIT
        trial.told = stop
        parts.events.emit(TrialReported(number, report, stop))
        return stop is None

    def _limit(self) -> str:
        return self.parts.limits.reached(self.clock() - self._began)

    def _fill(self, proposals: Proposals) -> bool:
        """Start trials while there are slots; False when none runs any more."""
        at_once = self.parts.slots.count() if self.n_jobs == "auto" else int(self.n_jobs)
        while len(self._running) < at_once and not self._limit():
            proposal = next(proposals, None)
            if proposal is None:
                break
            self._start(proposal)
        return bool(self._running)

    def _start(self, proposal: Proposal) -> None:
        parts = self.parts
        parameters = proposal.parameters
        over = proposal.trial.distributions
        number = parts.recorder.start(parameters, over, proposal.source)
        self._running[number] = Running(proposal)
        overrides = parts.feasible.space.overrides(parameters)
        shared, values = parts.feasible.composer.shared(parameters)
        parts.events.emit(TrialAsked(number, parameters, proposal.source))
        parts.slots.submit(Task(number, overrides, shared, values, self._seconds_left()))

    def _seconds_left(self) -> float | None:
        """After which a trial that starts now hangs, and is ended from outside."""
        own, study = self.stoppers.max_seconds, self.parts.limits.config.max_seconds
        left = None if study is None else study - (self.clock() - self._began)
        allowed = [seconds for seconds in (own, left) if seconds is not None]
        return min(allowed) + self.stoppers.kill_after_seconds if allowed else None

    def _tell(self, number: int, outcome: JobReturn) -> None:
        trial = self._running[number]
        if trial.started_at is None:
            self.started(number)
        returned = outcome._return_value
        if outcome.status is JobStatus.COMPLETED:
            result = returned if isinstance(returned, TrialResult) else self._plain(returned)
            self._finish(number, self._ending(trial, result), result)
            return
        how = _failure(trial.told, returned)
        lines = str(returned).strip().splitlines() or [""]
        error = f"{type(returned).__name__}: {lines[0]}"  # all of it is in the trial's log
        self._finish(number, how, error=error)
        if how is Ending.FAILED:
            self._failed.append((number, error))
        if isinstance(returned, UserError) and self.parts.limits.best is None:
            # A mistake in the configuration: the other trials share it.
            raise UserError(str(returned))

    def _plain(self, returned: Any) -> TrialResult:
        """A task of the user's own may return numbers."""
        values = tuple(returned) if isinstance(returned, (list, tuple)) else (float(returned),)
        return TrialResult(values, {})

    def _ending(self, trial: Running, result: TrialResult) -> Ending:
        how = trial.told or Ending.COMPLETE
        if how not in (Ending.COMPLETE, Ending.PLATEAU):
            return how

        feasible = self.parts.feasible
        if not feasible.constraints.on_results:
            return how
        config = feasible.composer.compose(trial.proposal.parameters)

        def value(name: str) -> object:
            if name in MEASURED and name not in result.metrics:
                allowed = f"what the trial measured: {', '.join(sorted(result.metrics))}"
                raise UserError(fault("constraints.expressions", name, allowed))
            return result.metrics[name] if name in result.metrics else lookup(config, name)

        return Ending.INFEASIBLE if broken(feasible.constraints.on_results, value) else how

    def _finish(
        self, number: int, how: Ending, result: TrialResult | None = None, error: str = ""
    ) -> None:
        """Tell everyone who has to know that a trial is over."""
        parts, trial = self.parts, self._running.pop(number)
        complete = how in (Ending.COMPLETE, Ending.PLATEAU)
        values = result.values if result and complete else ()
        if values:
            parts.limits.valued(values[0])
        parts.recorder.tell(number, how, result, error)
        parts.sampling.tell(trial.proposal.trial, how, values)
        parts.referee.ended(number)
        metrics = result.metrics if result else {}
        parts.events.emit(TrialFinished(number, how, values, metrics, error))

    def _check_failures(self) -> None:
        if len(self._failed) > self.max_failures:
            number, error = self._failed[0]
            raise StudyFailed(
                f"{len(self._failed)} trials failed, more than hydra.sweeper.max_failure_rate "
                f"allows. Trial {number}: {error} "
                f"(its log: trials/{number:04d}/train.log in the study's folder)"
            )


def _failure(told: Ending | None, error: object) -> Ending:
    """How a trial ended that returned nothing."""
    if isinstance(error, TrialTimeoutError):
        return Ending.TIMED_OUT
    if isinstance(error, FloatingPointError):
        return told or Ending.DIVERGED
    return Ending.FAILED
