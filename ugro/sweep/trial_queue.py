"""The queue of trials: resumed and retried ones first, then paused ones and new proposals."""

from collections import deque
from collections.abc import Callable, Iterable

from optuna.trial import FrozenTrial, TrialState

from ugro.events.events import TrialAsked, TrialReported, TrialResumed, TrialRetried
from ugro.events.outcome import Outcome
from ugro.study.trial_record import recorded_outcome, retried, source, tokens_of
from ugro.sweep.components import Components
from ugro.sweep.proposals import Proposal, Proposals
from ugro.sweep.trial_state import ActiveTrial


class TrialQueue:
    """Trials that are ready to start.

    Args:
        parts: components of the sweep
        clock: seconds since any fixed time
    """

    def __init__(self, parts: Components, clock: Callable[[], float]) -> None:
        self._parts = parts
        self._clock = clock
        self._waiting: deque[ActiveTrial] = deque()
        self._paused: dict[int, ActiveTrial] = {}  # they may resume if the scheduler chooses them

    @property
    def waiting(self) -> list[int]:
        """Numbers of the trials that wait to be resumed or retried."""
        return [trial.number for trial in self._waiting]

    def resume(self, trials: Iterable[FrozenTrial]) -> None:
        """Queue trials that an earlier driver left unfinished, and keep those that it paused."""
        for trial in trials:
            if self._parts.early_stopping.is_paused(trial.number):
                self._keep_paused(trial)
            else:
                self._waiting.append(self._restored(trial))

    def retry(self, trial: ActiveTrial) -> None:
        """Queue a trial for another attempt."""
        self._waiting.append(trial)

    def pause(self, trial: ActiveTrial) -> None:
        """Keep a trial until the scheduler chooses it."""
        self._paused[trial.number] = trial

    def next(self, proposals: Proposals, is_idle: bool) -> ActiveTrial | None:
        """Take the next trial; None if there is none, or if a waiting trial is not due yet.

        Args:
            proposals: new trials
            is_idle: whether this driver has no running trial
        """
        self.sync(proposals)
        trial = self._next_unfinished()
        if trial is not None or self._waiting:
            return trial
        is_idle = is_idle and not (self._paused and self._parts.peers.are_running())
        return (
            self._next_paused(True, is_idle)
            or self._next_new(proposals)
            or self._next_paused(False, is_idle)
        )

    def follow_peers(self) -> None:
        """Take over the trials, reports and resumptions of other drivers."""
        for event in self._parts.peers.scheduler_events():
            self._parts.early_stopping.learn(event)
            if isinstance(event, TrialReported):
                self._parts.limits.add_tokens(event.number, event.report.tokens_seen)

    def sync(self, proposals: Proposals) -> None:
        """Take over what other drivers have started and finished."""
        parts, news = self._parts, self._parts.peers.news()
        if news is None:
            return
        self.follow_peers()
        proposals.sync(news.started, news.remaining)
        for trial in news.finished:
            parts.sampler.add(trial)
            parts.early_stopping.remove(trial.number)
            parts.limits.add_tokens(trial.number, tokens_of(trial))
            if trial.state is TrialState.COMPLETE:
                parts.limits.add_value(trial.values[0])
            if (outcome := recorded_outcome(trial)) is not None:
                parts.failures.add(trial.number, outcome, str(trial.user_attrs.get("error", "")))

    def _ask(self, asked: TrialAsked) -> None:
        self._parts.events.emit(asked)
        self._parts.early_stopping.learn(asked)

    def _next_unfinished(self) -> ActiveTrial | None:
        """Take a trial that was started before: one that waits here, or an abandoned one."""
        parts = self._parts
        if self._waiting and self._waiting[0].not_before <= self._clock():
            trial = self._waiting.popleft()
        elif not self._waiting and (abandoned := self._claim_abandoned()) is not None:
            trial = self._restored(abandoned)
        else:
            return None
        parts.events.emit(TrialRetried(trial.number, trial.why, trial.retried))
        parts.recorder.retry(trial.number, trial.retried)
        return trial

    def _claim_abandoned(self) -> FrozenTrial | None:
        """Claim an abandoned trial that is to run at once, and all paused ones before it."""
        while (abandoned := self._parts.peers.claim_abandoned()) is not None:
            if not self._parts.early_stopping.is_paused(abandoned.number):
                return abandoned
            self._keep_paused(abandoned)
        return None

    def _keep_paused(self, trial: FrozenTrial) -> None:
        """Keep a trial that an earlier or another driver has paused."""
        self.pause(self._restored(trial))
        self._parts.recorder.tell(trial.number, Outcome.PAUSED)  # if its driver died before that

    def _next_paused(self, can_start: bool, is_idle: bool) -> ActiveTrial | None:
        """Take the paused trial that the scheduler chooses, if any."""
        parts = self._parts
        number = parts.early_stopping.choose_paused(self._paused, can_start, is_idle)
        if number is None:
            return None
        trial = self._paused.pop(number)
        parts.early_stopping.resume(number)
        parts.events.emit(TrialResumed(number))
        parts.recorder.retry(number, trial.retried)
        return trial

    def _restored(self, trial: FrozenTrial) -> ActiveTrial:
        """Register an earlier driver's trial with the recorder and the sampler."""
        self._parts.recorder.take_up(trial)
        draw = self._parts.sampler.ask(trial.params)
        for resource, value in trial.intermediate_values.items():
            self._parts.sampler.report(draw, resource, value)
        return ActiveTrial(
            trial.number,
            Proposal(trial.params, source(trial), draw),
            tokens=trial.last_step or 0,
            retried=retried(trial),
            why="it was interrupted",
        )

    def _next_new(self, proposals: Proposals) -> ActiveTrial | None:
        parts = self._parts
        for proposal in proposals:
            parameters, source = proposal.parameters, proposal.source
            reserved = parts.recorder.next_number
            if reserved is not None:  # otherwise the storage has to assign a number first
                self._ask(TrialAsked(reserved, parameters, source, parts.group))
            number = parts.recorder.start(parameters, proposal.draw.distributions, source)
            if reserved is not None:
                return ActiveTrial(number, proposal)
            if parts.peers.may_run(number, parameters):
                self._ask(TrialAsked(number, parameters, source, parts.group))
                return ActiveTrial(number, proposal)
            parts.recorder.withdraw(number)
            parts.sampler.discard(proposal.draw)
            self.sync(proposals)
        return None
