"""What is known of a trial in flight, and may it be run again?"""

from dataclasses import dataclass

from ugro.ending import Ending
from ugro.retries import OUTAGE_SECONDS, back_off_seconds
from ugro.sweep.failures import Answer
from ugro.sweep.proposals import Proposal


@dataclass
class Running:
    """A trial in flight, or one that is to go on."""

    number: int
    proposal: Proposal
    started_at: float | None = None
    tokens: int = 0
    told: Ending | None = None  # how it was told to end
    retried: int = 0  # times
    why: str = ""  # it is run again
    not_before: float = 0.0  # by the clock
    in_trouble_since: float | None = None  # with the disk; None after progress
    tried: int = 0  # times since then

    def may_go_on(self, answer: Answer, now: float, max_retries: int) -> bool:
        """Whether it may be run again after a failure; from when on is noted."""
        if not answer.waits:
            self.retried += 1
            return self.retried <= max_retries
        if self.in_trouble_since is None:
            self.in_trouble_since, self.tried = now, 0
        self.not_before = now + back_off_seconds(self.tried)
        self.tried += 1
        return now - self.in_trouble_since <= OUTAGE_SECONDS
