"""A study's standing: what its events add up to, for whoever shows it."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ugro.events.events import (
    Event,
    SlotsCounted,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report


@dataclass
class Running:
    """A trial in flight, as far as it has told."""

    number: int
    asked_at: float  # Unix time
    started_at: float | None = None  # Unix time
    report: Report | None = None  # the last one
    before: Report | None = None  # the one before it
    rung: int = 0

    @property
    def tokens_per_second(self) -> float | None:
        """Between its last two reports, the evaluation included."""
        if self.report is None or self.before is None:
            return None
        seconds = self.report.seconds - self.before.seconds
        tokens = self.report.tokens_seen - self.before.tokens_seen
        return tokens / seconds if seconds > 0 and tokens > 0 else None


@dataclass(frozen=True)
class Gain:
    """What the best trial is better by than the configuration as it was."""

    over: int  # the baseline's number
    amount: float  # in the objective's unit, above 0 where it is better
    share: float | None  # of the baseline's value


class StudyState:
    """A study's state, kept up to date event by event; nothing is looked at twice.

    Args:
        earlier: lines of the event log from before this driver, as ``event_log.read`` gives them
        others: lines that other drivers have added to it since the last call
    """

    def __init__(
        self,
        earlier: Iterable[Mapping[str, Any]] = (),
        others: Callable[[], Iterable[Mapping[str, Any]]] = tuple,
    ) -> None:
        self.study: StudyStarted | None = None
        self.slots = 0
        self.has_rungs = False
        self.running: dict[int, Running] = {}
        self.ended: dict[int, Outcome] = {}
        self.values: dict[int, tuple[float, ...]] = {}  # of trials that have any
        self.parameters: dict[int, Mapping[str, Any]] = {}
        self.front: set[int] = set()  # what no other trial is as good as in every objective
        self.baseline: int | None = None
        self._earlier = earlier
        self._others = others
        self._group = 0  # of trials that are ranked together, the newest
        self._of_others: set[int] = set()  # trials of other groups
        self._unknown = 0  # trials that ended earlier and are not in the log
        self._seconds = 0.0  # of trials from start to end
        self._timed = 0  # how many those are

    def observe(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case StudyStarted():
                self._begin(event)
            case SlotsCounted(slots=slots):
                self.slots = slots
            case TrialAsked(number=number):
                self._asked(number, event.parameters, event.source, event.group)
                self.running[number] = Running(number, event.time)
            case TrialRetried(number=number):
                self._forget(number)
                self.running[number] = Running(number, event.time)
            case TrialStarted(number=number) if number in self.running:
                self.running[number].started_at = event.time
            case TrialReported(number=number) if number in self.running:
                one = self.running[number]
                one.before, one.report, one.rung = one.report, event.report, event.rung
                self.has_rungs |= event.rung > 0
            case TrialFinished():
                self.hear_others()  # as it may be the best of all
                self._finished(event)

    def hear_others(self) -> None:
        """Take note of what other drivers have done."""
        for said in self._others():
            self._hear(said)

    def _hear(self, said: Mapping[str, Any]) -> None:
        if said["event"] == TrialAsked.__name__:
            self._asked(said["number"], said["parameters"], said["source"], said.get("group", 0))
        elif said["event"] == TrialFinished.__name__:
            self._ended(said["number"], Outcome(said["ending"]), tuple(said["values"]))
        elif said["event"] == TrialRetried.__name__:
            self._forget(said["number"])

    @property
    def done(self) -> int:
        """How many trials have ended, of ``study.trials``."""
        return self._unknown + len(self.ended)

    @property
    def counts(self) -> dict[str, int]:
        """How many ended how, in words, the most frequent first."""
        told = Counter(how.in_words for how in self.ended.values())
        return dict(told.most_common()) | ({"earlier": self._unknown} if self._unknown else {})

    def best(self, objective: int = 0) -> int | None:
        """The trial with the best value of an objective; None before there is one."""
        signs = self._signs()
        return min(
            self.front,
            key=lambda number: (signs[objective] * self.values[number][objective], number),
            default=None,
        )

    def gain(self) -> Gain | None:
        """Of the best first objective; None before the baseline or another trial has a value."""
        best = self.best()
        if best is None or self.baseline not in self.values or best == self.baseline:
            return None
        own, found = self.values[self.baseline][0], self.values[best][0]
        amount = self._signs()[0] * (own - found)
        return Gain(self.baseline, amount, amount / abs(own) if own else None)

    def seconds_left(self, now: float) -> float | None:
        """Expected until the study's end; None before a trial has ended.

        What is left of all trials at the mean length of those that ended, divided by the slots; a
        study with ``study.max_seconds`` ends then at the latest.

        Args:
            now: Unix time
        """
        if self.study is None or not self._timed:
            return None
        mean = self._seconds / self._timed
        waiting = max(0, self.study.trials - self.done - len(self.running))
        begun = [max(0.0, mean - (now - _begin_of(one))) for one in self.running.values()]
        at_once = max(1, min(self.slots, waiting + len(begun)))
        left = max([(waiting * mean + sum(begun)) / at_once, *begun])
        limit = self.study.configuration.get("study", {}).get("max_seconds")
        if isinstance(limit, int | float):
            left = min(left, max(0.0, self.study.time + limit - now))
        return left

    def differing(self, number: int) -> dict[str, Any]:
        """A trial's parameters that are not as the study's configuration has them."""
        known = self.study.configuration if self.study else {}
        own = self.parameters.get(number, {})
        return {key: value for key, value in own.items() if not _same(value, known, key)}

    def _begin(self, event: StudyStarted) -> None:
        self.study = event
        if event.group != self._group:
            self._begin_group(event.group)
        for said in self._earlier:
            if event.finished or said["event"] == TrialAsked.__name__:  # else the record is new
                self._hear(said)
        self._earlier = ()
        self._unknown = max(0, event.finished - len(self.ended))

    def _begin_group(self, group: int) -> None:
        """Leave the trials so far out: none of them is ranked with those that come."""
        self._group = group
        self._of_others |= self.parameters.keys()
        self.ended, self.values, self.parameters, self.front = {}, {}, {}, set()
        self.baseline = None

    def _asked(self, number: int, parameters: Mapping[str, Any], source: str, group: int) -> None:
        if group != self._group:
            self._of_others.add(number)
            return
        self.parameters[number] = parameters
        if source == "baseline":
            self.baseline = number

    def _finished(self, event: TrialFinished) -> None:
        one = self.running.pop(event.number, None)
        if event.ending is Outcome.INTERRUPTED:
            return
        if one is not None:
            self._seconds += event.time - _begin_of(one)
            self._timed += 1
        self._ended(event.number, event.ending, event.values)

    def _ended(self, number: int, how: Outcome, values: tuple[float, ...]) -> None:
        if how is Outcome.INTERRUPTED or number in self._of_others:
            return
        self.ended[number] = how
        if len(values) == len(self._signs()) and not any(map(math.isnan, values)):
            self.values[number] = values
            self._place(number)

    def _place(self, number: int) -> None:
        """Into the front, unless another trial is as good in everything."""
        if not any(self._covers(other, number) for other in self.front):
            self.front = {one for one in self.front if not self._covers(number, one)} | {number}

    def _covers(self, one: int, other: int) -> bool:
        pairs = zip(self._signs(), self.values[one], self.values[other], strict=True)
        return all(sign * own <= sign * its for sign, own, its in pairs)

    def _forget(self, number: int) -> None:
        """Forget how a trial ended that goes on: its driver died before the record had it."""
        self.ended.pop(number, None)
        if self.values.pop(number, None) is not None:
            self.front = set()
            for one in self.values:
                self._place(one)

    def _signs(self) -> list[int]:
        """1 where an objective is minimised, -1 where it is maximised."""
        directions = self.study.directions if self.study else ()
        return [-1 if direction == "maximize" else 1 for direction in directions]


def _begin_of(one: Running) -> float:
    return one.asked_at if one.started_at is None else one.started_at


def _same(value: object, configuration: Mapping[str, Any], key: str) -> bool:
    """Whether the configuration has this value at the key, ``[a,b]`` and a list being alike."""
    node: Any = configuration
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return False
        node = node[part]
    if isinstance(node, list):
        node = f"[{','.join(map(str, node))}]"
    return bool(node == value) and isinstance(node, bool) == isinstance(value, bool)
