"""The loop of a study: ask, submit, wait, tell; a free slot gets the next trial at once."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hydra.core.utils import JobReturn, JobStatus
from optuna.trial import FrozenTrial, TrialState

from ugro.config import StoppersConfig
from ugro.errors import StudyFailed, UserError
from ugro.events.events import (
    EventStream,
    SlotsCounted,
    StudyFinished,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import Executor, Task
from ugro.objectives.objectives import Objectives
from ugro.retries import one_line
from ugro.sampling.sampler import Sampler
from ugro.schedulers.early_stopping import EarlyStopping
from ugro.space.feasible import FeasibleSpace
from ugro.study.recorder import Recorder
from ugro.study.study import ending, retried, source, tokens_of
from ugro.sweep.failures import Failures, answer_to
from ugro.sweep.fingerprints import DataChangedError, Fingerprints
from ugro.sweep.limits import Limits
from ugro.sweep.peers import NoPeers, Peers
from ugro.sweep.proposals import Proposal, Proposals
from ugro.sweep.trial_state import Running, outcome_of, result_of

LOOK_AGAIN_SECONDS = 1.0  # how often the cluster is counted while no trial ends


@dataclass
class Parts:
    """What a sweep is put together from."""

    recorder: Recorder
    sampling: Sampler
    feasible: FeasibleSpace
    objectives: Objectives
    early_stopping: EarlyStopping
    slots: Executor
    limits: Limits
    failures: Failures
    events: EventStream
    peers: Peers = field(default_factory=NoPeers)
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    group: int = 0  # of the study's trials


@dataclass
class Sweep:
    """The loop between study and slots.

    Args:
        parts: everything it moves
        n_jobs: trials at once, or auto
        max_retries: of a trial whose worker is lost
        stoppers: with the seconds of a trial
        interrupted: whether somebody wants it to end
        at_the_end: is called when no trial is left, unless it was interrupted
        clock: seconds, from any beginning
    """

    parts: Parts
    n_jobs: int | str
    max_retries: int
    stoppers: StoppersConfig
    interrupted: Callable[[], bool] = lambda: False
    at_the_end: Callable[[], None] = lambda: None
    clock: Callable[[], float] = time.monotonic
    _running: dict[int, Running] = field(default_factory=dict)
    _again: deque[Running] = field(default_factory=deque)
    _slots: int = 0  # at the last count
    _changed: DataChangedError | None = None  # what is in flight then ends at its next report

    def run(self, proposals: Proposals, unfinished: Iterable[FrozenTrial] = ()) -> None:
        """Keep the slots busy until there is nothing left to propose, or a limit is reached.

        Args:
            proposals: new trials
            unfinished: trials that an earlier driver had begun; they go first

        Raises:
            StudyFailed: more trials failed than allowed, or all of them.
            UserError: the first trial shows that all are misconfigured.
            DataChangedError: a trial has other data than those before it; it was not recorded.
        """
        self._began = self.clock()
        reason = "interrupted"
        try:
            reason = self._work(proposals, unfinished)
            if not self.interrupted():
                self.at_the_end()
        except Exception as error:
            known = isinstance(error, StudyFailed | UserError)
            reason = str(error).partition("\n")[0] if known else one_line(error)
            raise
        finally:
            self.parts.events.emit(StudyFinished(reason))

    def started(self, number: int, worker: str = "") -> None:
        """A worker has taken the trial up."""
        self._running[number].started_at = self.clock()
        self.parts.events.emit(TrialStarted(number, worker))

    def reported(self, number: int, report: Report) -> bool:
        """Record a report; the answer is whether the trial goes on."""
        parts, trial = self.parts, self._running[number]
        if self._has_other_data(trial, report.data):
            return False
        parts.limits.trained(number, report.tokens_seen)
        elapsed = 0.0 if trial.started_at is None else self.clock() - trial.started_at
        for other, earlier in parts.peers.reports():
            parts.limits.trained(other, earlier.tokens_seen)
            parts.early_stopping.judge(other, earlier, earlier.seconds)
        stop = parts.early_stopping.judge(number, report, elapsed)
        if self._changed and not report.last:
            stop = Outcome.INTERRUPTED
        elif stop is None and not report.last and self._limit():
            stop = Outcome.STUDY_LIMIT
        trial.told = stop
        parts.events.emit(TrialReported(number, report, stop, parts.early_stopping.rung(report)))
        if report.tokens_seen > trial.tokens:  # else it repeats what came after its checkpoint
            trial.tokens, trial.in_trouble_since = report.tokens_seen, None
            value = parts.objectives.intermediate(report.metrics)
            parts.recorder.report(number, report.tokens_seen, value)
            parts.sampling.report(trial.proposal.asked, report.tokens_seen, value)
        return stop is None

    def _work(self, proposals: Proposals, unfinished: Iterable[FrozenTrial]) -> str:
        """Run them; why there are no more. However it ends, the record is whole."""
        parts = self.parts
        try:
            self._again.extend(self._taken_up(trial) for trial in unfinished)
            while self._fill(proposals) or self._has_to_wait():
                ended = parts.slots.wait(self, LOOK_AGAIN_SECONDS)
                if ended is not None:
                    self._tell(*ended)
                parts.failures.check()
            if self._changed:
                raise self._changed
            if self.interrupted():
                return "interrupted"
            parts.failures.check_at_the_end()
            return self._limit() or "all trials are done"
        except (KeyboardInterrupt, SystemExit):
            parts.recorder.hurry()
            raise
        finally:
            for number in list(self._running):
                self._finish(number, Outcome.INTERRUPTED)
            for trial in self._again:
                parts.recorder.tell(trial.number, Outcome.INTERRUPTED)
            parts.recorder.close()

    def _has_to_wait(self) -> bool:
        """Whether trials are to go on later, or another driver runs some, which may die."""
        ends = self.interrupted() or self._limit() or self._changed
        return not ends and bool(self._again or self.parts.peers.are_at_work())

    def _limit(self) -> str:
        return self.parts.limits.reached(self.clock() - self._began)

    def _fill(self, proposals: Proposals) -> bool:
        """Start trials while there are slots; False when none runs any more."""
        at_once = self.parts.slots.count() if self.n_jobs == "auto" else int(self.n_jobs)
        if at_once != self._slots:
            self._slots = at_once
            self.parts.events.emit(SlotsCounted(at_once))
        while len(self._running) < at_once and not (
            self._limit() or self.interrupted() or self._changed
        ):
            self._hear(proposals)
            trial = self._old() or (None if self._again else self._new(proposals))
            if trial is None:
                break
            self._start(trial)
        return bool(self._running)

    def _hear(self, proposals: Proposals) -> None:
        """Take note of what other drivers have done."""
        parts, news = self.parts, self.parts.peers.news()
        if news is None:
            return
        proposals.others_have(news.begun, news.left)
        for trial in news.ended:
            parts.sampling.hear(trial)
            parts.early_stopping.remove(trial.number)
            parts.limits.trained(trial.number, tokens_of(trial))
            if trial.state is TrialState.COMPLETE:
                parts.limits.valued(trial.values[0])
            if (how := ending(trial)) is not None:
                parts.failures.ended(trial.number, how, str(trial.user_attrs.get("error", "")))

    def _old(self) -> Running | None:
        """A trial that had begun and is to go on."""
        parts = self.parts
        if self._again and self._again[0].not_before <= self.clock():
            trial = self._again.popleft()
        elif not self._again and (left := parts.peers.abandoned()) is not None:
            trial = self._taken_up(left)
        else:
            return None
        parts.events.emit(TrialRetried(trial.number, trial.why, trial.retried))
        parts.recorder.retry(trial.number, trial.retried)
        return trial

    def _taken_up(self, left: FrozenTrial) -> Running:
        """A trial that an earlier driver had begun, as recorder and sampler are to see it."""
        self.parts.recorder.take_up(left)
        proposal = Proposal(left.params, source(left), self.parts.sampling.ask(left.params))
        for resource, value in left.intermediate_values.items():
            self.parts.sampling.report(proposal.asked, resource, value)
        return Running(
            left.number,
            proposal,
            tokens=left.last_step or 0,
            retried=retried(left),
            why="it was interrupted",
        )

    def _new(self, proposals: Proposals) -> Running | None:
        parts = self.parts
        for proposal in proposals:
            parameters, source = proposal.parameters, proposal.source
            known = parts.recorder.next_number
            if known is not None:  # else the log is told once the storage has given a number
                parts.events.emit(TrialAsked(known, parameters, source, parts.group))
            number = parts.recorder.start(parameters, proposal.asked.distributions, source)
            if known is not None:
                return Running(number, proposal)
            if parts.peers.grants(number, parameters):
                parts.events.emit(TrialAsked(number, parameters, source, parts.group))
                return Running(number, proposal)
            parts.recorder.withdraw(number)
            parts.sampling.forget(proposal.asked)
            self._hear(proposals)
        return None

    def _start(self, trial: Running) -> None:
        parts, parameters = self.parts, trial.proposal.parameters
        trial.started_at = None
        self._running[trial.number] = trial
        overrides = parts.feasible.space.overrides(parameters)
        shared, values = parts.feasible.composer.shared(parameters)
        limit, silence = self._limit_of_a_trial(), self.stoppers.kill_after_seconds
        heartbeat = parts.limits.config.heartbeat_seconds
        parts.slots.submit(Task(trial.number, overrides, shared, values, limit, silence, heartbeat))

    def _limit_of_a_trial(self) -> float | None:
        """Seconds after which one that starts now is told to stop, at its next report."""
        own, study = self.stoppers.max_seconds, self.parts.limits.config.max_seconds
        left = None if study is None else study - (self.clock() - self._began)
        return min((seconds for seconds in (own, left) if seconds is not None), default=None)

    def _tell(self, number: int, outcome: JobReturn) -> None:
        trial, returned = self._running[number], outcome._return_value
        if outcome.status is JobStatus.COMPLETED:
            if trial.started_at is None:
                self.started(number)
            result = result_of(returned)
            if trial.told is Outcome.INTERRUPTED or self._has_other_data(trial, result.provenance):
                self._finish(number, Outcome.INTERRUPTED)  # it goes on with the data as they were
                return
            told = trial.told or Outcome.COMPLETE
            how = outcome_of(told, result, self.parts.feasible, trial.proposal.parameters)
            self._finish(number, how, result)
            return
        answer = answer_to(returned)
        if answer.again and trial.may_go_on(answer, self.clock(), self.max_retries):
            trial.why = one_line(returned)
            self._again.append(self._running.pop(number))
            return
        if isinstance(returned, UserError) and self.parts.failures.nothing_worked:
            # The other trials share the mistake; when it is mended this one is run, too.
            self._finish(number, Outcome.INTERRUPTED)
            raise UserError(str(returned))
        # What was told to stop has said all that it was asked for; how it went on is of no use.
        how = trial.told if trial.told and answer.ending is Outcome.DIVERGED else answer.ending
        self._finish(number, how, error=returned)

    def _has_other_data(self, trial: Running, told: Mapping[str, str]) -> bool:
        """Whether it tells of other data than the trials before it; it then ends the study."""
        try:
            parameters = trial.proposal.parameters
            self.parts.fingerprints.check(trial.number, parameters, told)
        except DataChangedError as error:
            self._changed = self._changed or error
            trial.told = Outcome.INTERRUPTED
            return True
        return False

    def _finish(
        self,
        number: int,
        how: Outcome,
        result: TrialResult | None = None,
        error: BaseException | None = None,
    ) -> None:
        """Tell everyone who has to know that a trial is over."""
        parts, trial = self.parts, self._running.pop(number)
        said = "" if error is None or how is Outcome.INTERRUPTED else one_line(error)
        values = result.values if result and how.has_value else ()
        if values:
            parts.limits.valued(values[0])
        measured, ran_with = (result.metrics, result.provenance) if result else ({}, {})
        parts.events.emit(TrialFinished(number, how, values, measured, said, ran_with))
        parts.recorder.tell(number, how, result, said, "".join(getattr(error, "__notes__", [])))
        parts.sampling.tell(trial.proposal.asked, how, values)
        parts.early_stopping.remove(number)
        parts.failures.ended(number, how, said)
