"""Outcomes of methods, judged by the reference of the landscape."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from .budget import HORIZON_HOURS, Budget, Seeds
from .methods import METHODS, SLOTS
from .reference import Reference, landscape_of, problem_of


@dataclass(frozen=True)
class MethodOutcome:
    """Outcome of a method on a problem.

    Attributes:
        method: key of the method
        problem: name of the problem
        index: index of the run, which determines its seeds
        best: hours, tokens of all trials and regret at each improvement of the best complete trial
        tokens: training tokens until the horizon
        trials: number of started trials
        idle: idle share of the slots
        cpu_seconds: processor time of the simulation
    """

    method: str
    problem: str
    index: int
    best: Sequence[Sequence[float]]
    tokens: float
    trials: int
    idle: float
    cpu_seconds: float

    @property
    def final_regret(self) -> float:
        """Regret at the horizon; infinity without a complete trial."""
        return self.best[-1][2] if self.best else math.inf

    def until(self, regret: float) -> tuple[float, float]:
        """Return hours and tokens until a regret is reached; infinity if not by the horizon."""
        reached = ((hours, tokens) for hours, tokens, now in self.best if now <= regret + 1e-9)
        return next(reached, (math.inf, math.inf))


def outcome_of(method: str, problem: str, index: int, reference: Reference) -> MethodOutcome:
    """Run a method on a problem until the horizon."""
    seeds, before = Seeds.of_run(index), time.process_time()
    found = problem_of(problem, landscape_of(problem, index))
    trace = METHODS[method].run(found, SLOTS, Budget(hours=HORIZON_HOURS), seeds)
    spent = time.process_time() - before
    best = [
        [round(hours, 4), round(tokens), round(reference.regret(loss), 6)]
        for hours, tokens, loss in trace.best()
    ]
    started = sum(trial.began <= HORIZON_HOURS for trial in trace.trials)
    return MethodOutcome(method, problem, index, best, trace.tokens, started, trace.idle, spent)
