"""What a simulated run starts from and how long it may take."""

import math
from dataclasses import dataclass

HORIZON_HOURS = 14.0  # of every method with parallel slots


@dataclass(frozen=True)
class Budget:
    """Limits of a simulated sweep.

    Attributes:
        trials: maximum number of trials
        hours: hours after which nothing counts
    """

    trials: int = 100_000
    hours: float = math.inf


@dataclass(frozen=True)
class Seeds:
    """Independent seeds of a run's random parts.

    Attributes:
        landscape: determines which configurations are good; a recorded table ignores it
        noise: noise of the evaluations
        method: random choices of sampler and trial scheduler
    """

    landscape: int
    noise: int
    method: int

    @classmethod
    def of_run(cls, index: int) -> "Seeds":
        """Return the seeds of the run with this index, below 1000."""
        return cls(index, 1000 + index, 2000 + index)

    @classmethod
    def of_reference(cls, landscape: int, repetition: int) -> "Seeds":
        """Return the seeds of a repetition of the reference search on a landscape."""
        return cls(landscape, 3000 + repetition, 4000 + 100 * landscape + repetition)
