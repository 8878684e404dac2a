"""Time of the Gaussian process's proposals, against the time of the trials that they start."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median

MIN_MEASURED = 3  # the first proposal imports torch
LONGEST = 20  # times the median; a longer trial waited for the study to be resumed


def expected_seconds(trials: int) -> float:
    """Return the seconds of a proposal on the reference machine, an old core of 2 GHz.

    Fitted to eight keys and eight running trials: 0.23 s after 60 trials, 0.33 after 200, 0.81
    after 400, 1.9 after 800 (``python -m benchmarks.proposal_time gp``).

    Args:
        trials: number of trials that the process has seen
    """
    return 0.23 + 3.2e-6 * trials**2


@dataclass
class ProposalCost:
    """Estimate of a proposal's time: the expected time, scaled by what this machine needs.

    Rejected draws are part of the proposal that they delay.
    """

    _ratios: list[float] = field(default_factory=list)  # measured to expected, by proposal
    _rejected: float = 0.0  # ratio of rejected draws since the last proposal

    def add(self, trials: int, seconds: float) -> None:
        """Add the time of a draw.

        Args:
            trials: number of trials that the process has seen
            seconds: measured time
        """
        self._ratios.append(self._rejected + seconds / expected_seconds(trials))
        self._rejected = 0.0

    def reject(self) -> None:
        """Mark the last draw as rejected."""
        if self._ratios:
            self._rejected = self._ratios.pop()

    def seconds(self, trials: int) -> float:
        """Estimate the seconds of the next proposal."""
        measured = len(self._ratios) >= MIN_MEASURED
        return expected_seconds(trials) * (median(self._ratios) if measured else 1.0)


def seconds_per_trial(ended: Sequence[float], running: Sequence[float]) -> float:
    """Return the time that slots spend per ended trial, running trials included.

    A mean of ended trials alone would be that of the first ones to be stopped.

    Args:
        ended: seconds of each ended trial, at least one
        running: seconds of each running trial so far
    """
    longest = LONGEST * median(ended)
    return mean(min(seconds, longest) for seconds in ended) + sum(running) / len(ended)
