"""State of a study, accumulated from its events."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ugro.events.early_ranks import EARLY_SHARE, rank_agreement
from ugro.events.events import (
    Event,
    ModelChanged,
    SlotsCounted,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialRetried,
    TrialStarted,
)
from ugro.events.gain import gain_over
from ugro.events.outcome import SHORTENED, Outcome
from ugro.events.trial_report import Report


@dataclass
class Running:
    """A running trial and its last reports."""

    number: int
    asked_at: float  # Unix time
    started_at: float | None = None  # Unix time
    report: Report | None = None  # the latest
    before: Report | None = None  # the previous report
    rung: int = 0

    @property
    def tokens_per_second(self) -> float | None:
        """Throughput between the last two reports, evaluation included."""
        if self.report is None or self.before is None:
            return None
        seconds = self.report.seconds - self.before.seconds
        tokens = self.report.tokens_seen - self.before.tokens_seen
        return tokens / seconds if seconds > 0 and tokens > 0 else None


@dataclass(frozen=True)
class Gain:
    """Improvement of the best trial over the baseline."""

    over: int  # number of the baseline trial
    amount: float  # in the objective's unit; positive is better
    share: float | None  # relative to the baseline's value


class StudyState:
    """State of a study, updated event by event.

    Args:
        earlier: events logged before this driver started, as ``event_log.read`` yields them
        others: returns events that other drivers have logged since the last call
    """

    def __init__(
        self,
        earlier: Iterable[Mapping[str, Any]] = (),
        others: Callable[[], Iterable[Mapping[str, Any]]] = tuple,
    ) -> None:
        self.study: StudyStarted | None = None
        self.slots = 0
        self.model: ModelChanged | None = None  # the sampler's last change of model
        self.has_rungs = False
        self.running: dict[int, Running] = {}
        self.paused: set[int] = set()  # trials that may be resumed
        self.ended: dict[int, Outcome] = {}
        self.values: dict[int, tuple[float, ...]] = {}  # of trials that have any
        self.parameters: dict[int, Mapping[str, Any]] = {}
        self.front: set[int] = set()  # the Pareto front
        self.baseline: int | None = None
        self._earlier = earlier
        self._others = others
        self._group = 0  # the newest group: its trials are ranked together
        self._of_others: set[int] = set()  # trials of other groups
        self._reached: dict[int, Report] = {}  # last report of each trial
        self._early: dict[int, float] = {}  # first objective at a quarter of each trial
        self._unknown = 0  # ended trials that the log does not hold
        self._seconds = 0.0  # total duration of the ended and paused trials
        self._timed: set[int] = set()  # trials in that total

    def observe(self, event: Event) -> None:
        """Update the state with an event."""
        match event:
            case StudyStarted():
                self._start_study(event)
            case SlotsCounted(slots=slots):
                self.slots = slots
            case ModelChanged():
                self.model = event
            case TrialAsked(number=number):
                self._asked(number, event.parameters, event.source, event.group)
                self.running[number] = Running(number, event.time)
            case TrialPaused(number=number):
                self._pause(number, event.time)
            case TrialRetried(number=number) | TrialResumed(number=number):
                self._discard_outcome(number)
                self.running[number] = Running(number, event.time)
            case TrialStarted(number=number) if number in self.running:
                self.running[number].started_at = event.time
            case TrialReported(number=number) if number in self.running:
                trial = self.running[number]
                trial.before, trial.report, trial.rung = trial.report, event.report, event.rung
                self.has_rungs |= event.rung > 0
                self._add_report(number, event.report)
            case TrialFinished():
                self.observe_others()  # one of them may be better
                self._finished(event)

    def observe_others(self) -> None:
        """Update the state with the events of other drivers."""
        for record in self._others():
            self._observe_record(record)

    def _observe_record(self, record: Mapping[str, Any]) -> None:
        if record["event"] == TrialAsked.__name__:
            self._asked(
                record["number"], record["parameters"], record["source"], record.get("group", 0)
            )
        elif record["event"] == TrialFinished.__name__:
            self._ended(record["number"], Outcome(record["ending"]), tuple(record["values"]))
        elif record["event"] == TrialReported.__name__:
            self._add_report(record["number"], Report.from_dict(record))
        elif record["event"] == TrialPaused.__name__:
            self._pause(record["number"], record["time"])
        elif record["event"] in (TrialRetried.__name__, TrialResumed.__name__):
            self._discard_outcome(record["number"])

    @property
    def done(self) -> int:
        """Number of ended trials, of ``study.trials``."""
        return self._unknown + len(self.ended)

    @property
    def counts(self) -> dict[str, int]:
        """Number of trials by outcome label, most frequent first."""
        counts = Counter(outcome.in_words for outcome in self.ended.values())
        return dict(counts.most_common()) | ({"earlier": self._unknown} if self._unknown else {})

    def best(self, objective: int = 0) -> int | None:
        """Return the trial with the best value of an objective; None without values."""
        signs = self._signs()
        return min(
            self.front,
            key=lambda number: (signs[objective] * self.values[number][objective], number),
            default=None,
        )

    def gain(self) -> Gain | None:
        """Return the gain in the first objective; None without a baseline or a better trial."""
        best = self.best()
        if best is None or self.baseline not in self.values or best == self.baseline:
            return None
        own, found = self.values[self.baseline][0], self.values[best][0]
        return Gain(self.baseline, *gain_over(own, found, self._signs()[0] > 0))

    @property
    def saved(self) -> float:
        """Share of the tokens of full-length trials that early stopping has saved so far."""
        counted = (Outcome.COMPLETE, *SHORTENED)
        ended = (number for number, how in self.ended.items() if how in counted)
        numbers = self._reached.keys() & {*ended, *self.paused}
        ends = [self._reached[number] for number in numbers]
        whole = sum(end.total_tokens for end in ends)
        return 1 - sum(end.tokens_seen for end in ends) / whole if whole else 0.0

    def rank_agreement(self) -> float | None:
        """Return how well early values of the complete trials predict their final ranks."""
        complete = {
            number: values[0]
            for number, values in self.values.items()
            if self.ended.get(number) is Outcome.COMPLETE
        }
        return rank_agreement(self._early, complete)

    def seconds_left(self, now: float) -> float | None:
        """Estimate the seconds until the study ends; None before a trial has ended.

        The estimate is the remaining work at the mean length of ended and paused trials, divided
        by the slots; ``study.max_seconds`` limits it.

        Args:
            now: Unix time
        """
        if self.study is None or not self._timed:
            return None
        mean = self._seconds / len(self._timed)
        begun = self.done + len(self.running) + len(self.paused)
        waiting = max(0, self.study.trials - begun)
        remaining = [max(0.0, mean - (now - _start_of(trial))) for trial in self.running.values()]
        at_once = max(1, min(self.slots, waiting + len(remaining)))
        left = max([(waiting * mean + sum(remaining)) / at_once, *remaining])
        limit = self.study.configuration.get("study", {}).get("max_seconds")
        if isinstance(limit, int | float):
            left = min(left, max(0.0, self.study.time + limit - now))
        return left

    def differing(self, number: int) -> dict[str, Any]:
        """Return a trial's parameters that differ from the study's configuration."""
        known = self.study.configuration if self.study else {}
        own = self.parameters.get(number, {})
        return {key: value for key, value in own.items() if not _same(value, known, key)}

    def _start_study(self, event: StudyStarted) -> None:
        self.study = event
        if event.group != self._group:
            self._start_group(event.group)
        for record in self._earlier:
            # A new record has finished nothing, whatever outcomes the log holds.
            if event.finished or record["event"] != TrialFinished.__name__:
                self._observe_record(record)
        self._earlier = ()
        self._unknown = max(0, event.finished - len(self.ended))

    def _start_group(self, group: int) -> None:
        """Drop the trials so far: they are not ranked with those of the new group."""
        self._group = group
        self._of_others |= self.parameters.keys()
        self.ended, self.values, self.parameters, self.front = {}, {}, {}, set()
        self.paused = set()
        self.baseline = None

    def _asked(self, number: int, parameters: Mapping[str, Any], source: str, group: int) -> None:
        if group != self._group:
            self._of_others.add(number)
            return
        self.parameters[number] = parameters
        self.paused.discard(number)
        if source == "baseline":
            self.baseline = number

    def _finished(self, event: TrialFinished) -> None:
        trial = self.running.pop(event.number, None)
        if event.outcome is Outcome.INTERRUPTED:
            return
        self._add_seconds(trial, event.time)
        self._ended(event.number, event.outcome, event.values)

    def _pause(self, number: int, now: float) -> None:
        self._add_seconds(self.running.pop(number, None), now)
        if number not in self._of_others:
            self.paused.add(number)

    def _add_report(self, number: int, report: Report) -> None:
        self._reached[number] = report
        names = self.study.objectives if self.study else ()
        early = 0 < report.tokens_seen <= EARLY_SHARE * report.total_tokens
        if early and names and names[0] in report.metrics:
            self._early[number] = report.metrics[names[0]]

    def _add_seconds(self, trial: Running | None, now: float) -> None:
        if trial is not None:
            self._seconds += now - _start_of(trial)
            self._timed.add(trial.number)

    def _ended(self, number: int, outcome: Outcome, values: tuple[float, ...]) -> None:
        if outcome is Outcome.INTERRUPTED or number in self._of_others:
            return
        self.ended[number] = outcome
        if len(values) == len(self._signs()) and not any(map(math.isnan, values)):
            self.values[number] = values
            self._add_to_front(number)

    def _add_to_front(self, number: int) -> None:
        """Add a trial to the front unless another trial dominates or equals it."""
        if not any(self._weakly_dominates(other, number) for other in self.front):
            self.front = {
                other for other in self.front if not self._weakly_dominates(number, other)
            } | {number}

    def _weakly_dominates(self, number: int, other: int) -> bool:
        pairs = zip(self._signs(), self.values[number], self.values[other], strict=True)
        return all(sign * own <= sign * theirs for sign, own, theirs in pairs)

    def _discard_outcome(self, number: int) -> None:
        """Drop the outcome of a resumed trial: it was paused, or its driver died before the end."""
        self.paused.discard(number)
        self.ended.pop(number, None)
        if self.values.pop(number, None) is not None:
            self.front = set()
            for remaining in self.values:
                self._add_to_front(remaining)

    def _signs(self) -> list[int]:
        """Return 1 for each minimised objective and -1 for each maximised objective."""
        directions = self.study.directions if self.study else ()
        return [-1 if direction == "maximize" else 1 for direction in directions]


def _start_of(trial: Running) -> float:
    return trial.asked_at if trial.started_at is None else trial.started_at


def _same(value: object, configuration: Mapping[str, Any], key: str) -> bool:
    """Whether the configuration has this value at the key; ``[a,b]`` equals the list."""
    node: Any = configuration
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    if isinstance(node, list):
        node = f"[{','.join(map(str, node))}]"
    return bool(node == value) and isinstance(node, bool) == isinstance(value, bool)
