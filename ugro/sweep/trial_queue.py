"""The queue of trials: resumed and retried trials first, then new proposals."""

from collections import deque
from collections.abc import Callable, Iterable

from optuna.trial import FrozenTrial, TrialState

from ugro.events.events import TrialAsked, TrialRetried
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

    @property
    def waiting(self) -> list[int]:
        """Numbers of the trials that wait to be resumed or retried."""
        return [trial.number for trial in self._waiting]

    def resume(self, trials: Iterable[FrozenTrial]) -> None:
        """Queue trials that an earlier driver left unfinished."""
        self._waiting.extend(self._restored(trial) for trial in trials)

    def retry(self, trial: ActiveTrial) -> None:
        """Queue a trial for another attempt."""
        self._waiting.append(trial)

    def next(self, proposals: Proposals) -> ActiveTrial | None:
        """Take the next trial; None if there is none, or if a waiting trial is not due yet."""
        self.sync(proposals)
        return self._next_unfinished() or (None if self._waiting else self._next_new(proposals))

    def sync(self, proposals: Proposals) -> None:
        """Take over what other drivers have started and finished."""
        parts, news = self._parts, self._parts.peers.news()
        if news is None:
            return
        proposals.sync(news.started, news.remaining)
        for trial in news.finished:
            parts.sampler.add(trial)
            parts.early_stopping.remove(trial.number)
            parts.limits.add_tokens(trial.number, tokens_of(trial))
            if trial.state is TrialState.COMPLETE:
                parts.limits.add_value(trial.values[0])
            if (outcome := recorded_outcome(trial)) is not None:
                parts.failures.add(trial.number, outcome, str(trial.user_attrs.get("error", "")))

    def _next_unfinished(self) -> ActiveTrial | None:
        """Take a trial that was started before: one that waits here, or an abandoned one."""
        parts = self._parts
        if self._waiting and self._waiting[0].not_before <= self._clock():
            trial = self._waiting.popleft()
        elif not self._waiting and (abandoned := parts.peers.claim_abandoned()) is not None:
            trial = self._restored(abandoned)
        else:
            return None
        parts.events.emit(TrialRetried(trial.number, trial.why, trial.retried))
        parts.recorder.retry(trial.number, trial.retried)
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
                parts.events.emit(TrialAsked(reserved, parameters, source, parts.group))
            number = parts.recorder.start(parameters, proposal.draw.distributions, source)
            if reserved is not None:
                return ActiveTrial(number, proposal)
            if parts.peers.may_run(number, parameters):
                parts.events.emit(TrialAsked(number, parameters, source, parts.group))
                return ActiveTrial(number, proposal)
            parts.recorder.withdraw(number)
            parts.sampler.discard(proposal.draw)
            self.sync(proposals)
        return None
