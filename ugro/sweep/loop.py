"""The loop of a sweep: propose, submit, wait, record; a free slot gets the next trial at once."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import FrozenTrial

from ugro.config import StoppersConfig
from ugro.errors import StudyFailed, UserError
from ugro.events.channel import Answer
from ugro.events.events import (
    SlotsCounted,
    StudyFinished,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Task
from ugro.retries import one_line
from ugro.sweep.components import Components
from ugro.sweep.failures import response_to
from ugro.sweep.fingerprints import DataChangedError
from ugro.sweep.proposals import Proposals
from ugro.sweep.trial_queue import TrialQueue
from ugro.sweep.trial_state import ActiveTrial, final_outcome, result_of

POLL_SECONDS = 1.0  # interval at which the slots are counted while no trial ends


@dataclass
class Sweep:
    """Loop between the study and the executor, and listener to the executor's trials.

    Args:
        parts: components of the sweep
        n_jobs: number of concurrent trials, or auto
        max_retries: retries of a trial after the loss of its worker
        stoppers: stopping criteria, of which the loop applies the time limits
        interrupted: whether the user has requested the end of the sweep
        on_complete: called when no trials are left, unless the sweep was interrupted
        clock: seconds since any fixed time
    """

    parts: Components
    n_jobs: int | str
    max_retries: int
    stoppers: StoppersConfig
    interrupted: Callable[[], bool] = lambda: False
    on_complete: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    _running: dict[int, ActiveTrial] = field(default_factory=dict)
    _slots: int = 0  # at the last count
    _data_change: DataChangedError | None = None  # if set, trials stop at their next report

    def __post_init__(self) -> None:
        self._queue = TrialQueue(self.parts, self.clock)

    def run(self, proposals: Proposals, unfinished: Iterable[FrozenTrial] = ()) -> None:
        """Keep the slots busy until no proposal is left or a limit is reached.

        Args:
            proposals: new trials
            unfinished: trials of an earlier driver to resume first

        Raises:
            StudyFailed: more trials failed than allowed, or all of them.
            UserError: the first trial shows that all trials are misconfigured.
            DataChangedError: the data of a trial differ from those of earlier trials; the trial
                was not recorded.
        """
        self._start_time = self.clock()
        reason = "interrupted"
        try:
            reason = self._run_trials(proposals, unfinished)
            if not self.interrupted():
                self.on_complete()
        except Exception as error:
            expected = isinstance(error, StudyFailed | UserError)
            reason = str(error).partition("\n")[0] if expected else one_line(error)
            raise
        finally:
            self.parts.events.emit(StudyFinished(reason))

    def started(self, number: int, worker: str = "") -> None:
        """Record that a worker has started the trial."""
        self._running[number].started_at = self.clock()
        self.parts.events.emit(TrialStarted(number, worker))

    def reported(self, number: int, report: Report) -> Answer:
        """Record a report and return what the trial does next."""
        parts, trial = self.parts, self._running[number]
        if self._has_other_data(trial, report.data):
            return Answer.STOP
        parts.limits.add_tokens(number, report.tokens_seen)
        self._queue.follow_peers()
        stop = parts.early_stopping.judge(number, report, trial.seconds(self.clock()))
        if self._data_change and not report.last:
            stop = Outcome.INTERRUPTED
        elif stop is None and not report.last and self._limit():
            stop = Outcome.STUDY_LIMIT
        trial.stop = stop
        parts.events.emit(TrialReported(number, report, stop, parts.early_stopping.rung(report)))
        if report.tokens_seen > trial.tokens:  # not a repetition after a checkpoint
            trial.tokens, trial.outage_since = report.tokens_seen, None
            value = parts.objectives.intermediate(report.metrics)
            if value is not None:
                parts.recorder.report(number, report.tokens_seen, value)
                parts.sampler.report(trial.proposal.draw, report.tokens_seen, value)
        return Answer.to(stop)

    def _run_trials(self, proposals: Proposals, unfinished: Iterable[FrozenTrial]) -> str:
        """Run all trials, leave a consistent record in any case, and return why it ended."""
        parts = self.parts
        try:
            self._queue.resume(unfinished)
            while self._fill(proposals) or self._must_wait():
                ended = parts.executor.wait(self, POLL_SECONDS)
                if ended is not None:
                    self._handle_return(*ended)
                parts.failures.check()
            if self._data_change:
                raise self._data_change
            if self.interrupted():
                return "interrupted"
            parts.failures.check_at_the_end()
            return self._limit() or "all trials are done"
        except (KeyboardInterrupt, SystemExit):
            parts.recorder.hurry()
            raise
        finally:
            for number, trial in list(self._running.items()):
                if trial.stop is Outcome.PAUSED:
                    self._pause(number)
                else:
                    self._finish(number, Outcome.INTERRUPTED)
            for number in self._queue.waiting:
                parts.recorder.tell(number, Outcome.INTERRUPTED)
            parts.recorder.close()

    def _must_wait(self) -> bool:
        """Whether trials wait for a retry, or run in another driver, which may die."""
        ends = self.interrupted() or self._limit() or self._data_change
        return not ends and bool(self._queue.waiting or self.parts.peers.are_running())

    def _limit(self) -> str:
        return self.parts.limits.reached(self.clock() - self._start_time)

    def _fill(self, proposals: Proposals) -> bool:
        """Start trials while there are free slots; return whether any trial is running."""
        slots = self.parts.executor.count() if self.n_jobs == "auto" else int(self.n_jobs)
        if slots != self._slots:
            self._slots = slots
            self.parts.events.emit(SlotsCounted(slots))
        while len(self._running) < slots and not (
            self._limit() or self.interrupted() or self._data_change
        ):
            trial = self._queue.next(proposals, is_idle=not self._running)
            if trial is None:
                break
            self._submit(trial)
        return bool(self._running)

    def _submit(self, trial: ActiveTrial) -> None:
        parts, parameters = self.parts, trial.proposal.parameters
        trial.started_at = trial.stop = None
        self._running[trial.number] = trial
        overrides = parts.feasible.space.overrides(parameters)
        shared, values = parts.feasible.composer.shared(parameters)
        limit, silence = self._seconds_left(trial), self.stoppers.kill_after_seconds
        heartbeat = parts.limits.config.heartbeat_seconds
        task = Task(trial.number, overrides, shared, values, limit, silence, heartbeat)
        parts.executor.submit(task)

    def _seconds_left(self, trial: ActiveTrial) -> float | None:
        """Return the time limit of a trial that starts or resumes now, in seconds."""
        own, study = self.stoppers.max_seconds, self.parts.limits.config.max_seconds
        left = None if study is None else study - (self.clock() - self._start_time)
        own = None if own is None else own - trial.seconds_before
        return min((seconds for seconds in (own, left) if seconds is not None), default=None)

    def _handle_return(self, number: int, job: JobReturn) -> None:
        """Finish a trial whose task has returned, or keep it as paused, or queue it for a retry."""
        trial, returned = self._running[number], job._return_value
        if job.status is JobStatus.COMPLETED:
            self._handle_result(trial, result_of(returned))
            return
        response = response_to(returned)
        if trial.stop is Outcome.PAUSED:
            if response.retry or response.outcome.can_resume:
                self._pause(number)  # without a checkpoint of this report it will repeat steps
                return
            trial.stop = None
        if response.retry and trial.may_retry(response, self.clock(), self.max_retries):
            trial.why = one_line(returned)
            self._queue.retry(self._running.pop(number))
            return
        if isinstance(returned, UserError) and self.parts.failures.nothing_worked:
            # All trials share the mistake; this one is resumed when it is corrected.
            self._finish(number, Outcome.INTERRUPTED)
            raise UserError(str(returned))
        # Divergence after the decision to stop does not matter.
        diverged = response.outcome is Outcome.DIVERGED
        outcome = trial.stop if trial.stop and diverged else response.outcome
        self._finish(number, outcome, error=returned)

    def _handle_result(self, trial: ActiveTrial, result: TrialResult) -> None:
        if trial.started_at is None:
            self.started(trial.number)
        if trial.stop is Outcome.INTERRUPTED or self._has_other_data(trial, result.provenance):
            self._finish(trial.number, Outcome.INTERRUPTED)  # it can be resumed with the old data
            return
        stop = trial.stop or Outcome.COMPLETE
        if stop is Outcome.PAUSED:  # it ended by itself at that report
            stop = Outcome.COMPLETE
        outcome = final_outcome(stop, result, self.parts.feasible, trial.proposal.parameters)
        self._finish(trial.number, outcome, result)

    def _has_other_data(self, trial: ActiveTrial, provenance: Mapping[str, str]) -> bool:
        """Whether the trial's data differ from those of earlier trials, which ends the sweep."""
        try:
            parameters = trial.proposal.parameters
            self.parts.fingerprints.check(trial.number, parameters, provenance)
        except DataChangedError as error:
            self._data_change = self._data_change or error
            trial.stop = Outcome.INTERRUPTED
            return True
        return False

    def _pause(self, number: int) -> None:
        """Keep a trial as paused."""
        parts, trial = self.parts, self._running.pop(number)
        trial.seconds_before = trial.seconds(self.clock())
        parts.events.emit(TrialPaused(number))
        parts.recorder.tell(number, Outcome.PAUSED)
        parts.failures.add(number, Outcome.PAUSED, "")
        self._queue.pause(trial)

    def _finish(
        self,
        number: int,
        outcome: Outcome,
        result: TrialResult | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Pass the outcome of a trial to all components."""
        parts, trial = self.parts, self._running.pop(number)
        message = "" if error is None or outcome is Outcome.INTERRUPTED else one_line(error)
        values = result.values if result and outcome.has_value else ()
        if values:
            parts.limits.add_value(values[0])
        metrics, provenance = (result.metrics, result.provenance) if result else ({}, {})
        parts.events.emit(TrialFinished(number, outcome, values, metrics, message, provenance))
        notes = "".join(getattr(error, "__notes__", []))
        parts.recorder.tell(number, outcome, result, message, notes)
        parts.sampler.tell(trial.proposal.draw, outcome, values)
        parts.early_stopping.remove(number)
        parts.failures.add(number, outcome, message)
