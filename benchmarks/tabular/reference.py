"""The reference of a landscape: what 50 sequential trials of TPE reach, and in how many hours."""

from dataclasses import dataclass
from statistics import median

from .budget import Budget, Seeds
from .curves import Problem, plain
from .problems import TABLES, problem, reference_configurations
from .simulate import simulate

SEQUENTIAL = ("hydra/sweeper/sampler=tpe", "scheduler=none", "study.baseline=false")
TRIALS = 50
REPETITIONS = 9  # per landscape
OF_A_TABLE = 45  # repetitions for a recorded table, whose landscape is the same for all runs


@dataclass(frozen=True)
class Reference:
    """Reference of a landscape.

    Attributes:
        best: lowest true loss of the reference configurations, which defines a regret of 0
        middle: their median true loss, which defines a regret of 1
        target: median final regret of the sequential searches
        hours: median duration of the sequential searches
        full_tokens: training tokens of a trial that is not stopped
    """

    best: float
    middle: float
    target: float
    hours: float
    full_tokens: int

    def regret(self, loss: float) -> float:
        """Normalise a loss; a search may find a better one, with negative regret."""
        return _normalised(loss, self.best, self.middle)

    @property
    def near_optimum(self) -> float:
        """Regret of a loss 1% above the best."""
        return self.regret(1.01 * self.best)


def problem_of(name: str, landscape: int) -> Problem:
    """Return a landscape of a family, or a table."""
    return problem(name if name in TABLES else f"{name}:{landscape}")


def landscape_of(name: str, index: int) -> int:
    """Return the landscape of a run; a table has a single one."""
    return 0 if name in TABLES else index


def reference(name: str, landscape: int) -> Reference:
    """Search a landscape sequentially, several times."""
    found = problem_of(name, landscape)
    best, middle, full_tokens = _scale(found)
    ends, hours = [], []
    for repetition in range(OF_A_TABLE if name in TABLES else REPETITIONS):
        seeds = Seeds.of_reference(landscape, repetition)
        trace = simulate(found, SEQUENTIAL, 1, Budget(TRIALS), seeds)
        ends.append([loss for _, _, loss in trace.best()][-1])
        hours.append(trace.hours)
    target = _normalised(median(ends), best, middle)
    return Reference(best, middle, target, median(hours), full_tokens)


def _normalised(loss: float, best: float, middle: float) -> float:
    return (loss - best) / (middle - best)


def _scale(found: Problem) -> tuple[float, float, int]:
    """Return the best and the median true loss of the reference configurations, and tokens."""
    curves = [found.curve(plain(one), 0) for one in reference_configurations()]
    losses = [curve.true_loss for curve in curves]
    return min(losses), median(losses), max(curve.tokens for curve in curves)
