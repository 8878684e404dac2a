"""How does a peer go over a problem? A free slot gets its next trial at once, and nobody waits.

What a peer's own controller adds in real time is left out, to the peer's advantage: Ray Tune's
second and a half a trial, for one. real_time.py has it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any, Protocol

from ..curves import Curve, Problem, plain, result
from ..trace import Ended, Trace


class Peer(Protocol):
    """A searcher with its trial scheduler; trials are numbered in the order in which they begin."""

    def ask(self, number: int) -> Mapping[str, Any]:
        """The parameters of a new trial."""

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Whether the trial goes on after an evaluation, the first of which is 1."""

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """The trial is over.

        Args:
            number: of the trial
            evaluation: its last one
            loss: measured there
            value: what it came to; None: it was stopped. Not a number: no evaluation gave one.
        """


@dataclass
class Playing:
    """A trial that runs."""

    number: int
    curve: Curve
    began: float
    told: int = 0  # reports so far

    def next_at(self) -> float:
        """When it reports again, in hours."""
        return self.began + self.curve.startup_hours + self.curve.hours[self.told]

    def value(self) -> float:
        """What it has come to; not a number where training diverged."""
        try:
            return result(self.curve.reports()[: self.told]).values[0]
        except FloatingPointError:
            return math.nan

    def traced(self, now: float, value: float | None) -> Ended:
        """As the trace has it."""
        tokens = self.curve.reports()[self.told - 1].tokens_seen
        told = None if value is None or math.isnan(value) else value
        return Ended(self.number, self.began, now, tokens, told, self.curve.true_loss)


def search(peer: Peer, problem: Problem, slots: int, trials: int, seed: int) -> Trace:
    """Run a whole search; the report at step 0 is the untrained model's and kept from peers."""
    trace, due, now = Trace(slots), [], 0.0

    def start(number: int) -> None:
        one = Playing(number, problem.curve(plain(peer.ask(number)), seed), now)
        heappush(due, (one.next_at(), number, one))

    for begun in range(min(slots, trials)):
        start(begun)
    begun = len(due)
    while due:
        now, number, one = heappop(due)
        loss = one.curve.losses[one.told]
        goes_on = one.told == 0 or peer.goes_on(number, one.told, loss)
        one.told += 1
        over = one.told == len(one.curve.losses)
        if goes_on and not over:
            heappush(due, (one.next_at(), number, one))
            continue
        value = one.value() if over else None
        peer.ended(number, one.told - 1, loss, value)
        trace.trials.append(one.traced(now, value))
        if begun < trials:
            start(begun)
            begun += 1
    return trace
