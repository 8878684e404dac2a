"""What share of the space may be run? Samples of it are held against the constraints."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ugro.errors import UserError
from ugro.sampling.sampler import at_random
from ugro.space.feasible import FeasibleSpace

SAMPLES = 1000


@dataclass
class FeasibilityEstimate:
    """What became of the samples."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    removed: Counter[str] = field(default_factory=Counter)  # by each constraint; one may break two
    samples: int = 0

    def shares(self) -> list[str]:
        """A line a constraint: which share of the samples it removed."""
        return [
            f"{text} removes {count / self.samples:.1%} of {self.samples:,} samples"
            for text, count in self.removed.most_common()
        ]


def survey(feasible: FeasibleSpace, seed: int, enough: int = SAMPLES) -> FeasibilityEstimate:
    """Sample the space at random.

    Args:
        feasible: the space with its constraints
        seed: of the samples
        enough: samples that satisfy all constraints, after which no more are drawn
    """
    found = FeasibilityEstimate()
    draws = at_random(feasible, seed)
    while found.samples < SAMPLES and len(found.kept) < enough:
        parameters = dict(draws.ask().parameters)
        found.samples += 1
        broken = feasible.broken(parameters)
        found.removed.update(broken)
        if not broken:
            found.kept.append(parameters)
    return found


def check_satisfiable(feasible: FeasibleSpace, seed: int) -> None:
    """Refuse a space in which nothing may be run.

    Raises:
        UserError: no sample satisfies the constraints; it says what each of them removes.
    """
    if feasible.size or not feasible.constrained:
        return
    found = survey(feasible, seed, enough=1)
    if not found.kept:
        lines = "\n".join(found.shares())
        raise UserError(f"constraints.expressions leave nothing of the search space\n{lines}")
