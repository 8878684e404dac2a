"""How long until a sweep is as good as 50 sequential trials? UGRO and its peers, side by side.

    python -m benchmarks.tabular.headline FOLDER SEEDS [PROBLEMS]

Every method searches every problem with every seed, on a simulated clock, in one run. A made-up
problem has another landscape for each seed. Writes headline.md and headline.png into FOLDER.
What is ended early goes on where it was: multirun/headline.jsonl has what was run; it is to be
deleted when the code has changed.
"""

import json
import logging
import math
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from statistics import median

from ugro.study.study import quieten

from .curves import Problem, plain
from .families import FAMILIES
from .methods import METHODS
from .problems import TABLES, many, problem
from .table import RECORDED, Table

KEPT = Path("multirun/headline.jsonl")
ENOUGH = 128  # recorded configurations, for a fit of them to be a problem worth solving


@dataclass(frozen=True)
class MethodOutcome:
    """What a method came to on a problem with a seed."""

    method: str
    problem: str
    seed: int
    best: Sequence[tuple[float, int, float]]  # hours, tokens, normalised regret at each change
    hours: float  # in all
    tokens: int  # in all
    trials: int
    trial_tokens: int  # of a whole trial
    idle: float

    @property
    def reached(self) -> float:
        """The normalised regret at the end."""
        return self.best[-1][2] if self.best else math.inf

    def until(self, target: float) -> tuple[float, float]:
        """Hours and whole trials' worth of tokens until the regret is as low; infinity: never."""
        for hours, tokens, regret in self.best:
            if regret <= target + 1e-9:
                return hours, tokens / self.trial_tokens
        return math.inf, math.inf


def main(folder: Path, seeds: int, names: Sequence[str]) -> None:
    """Run what was not run yet; write the tables and the picture."""
    from .figures import anytime
    from .tables import written

    found = _kept(names, seeds)
    work = [(name, seed) for seed in range(seeds) for name in names if (name, seed) not in found]
    KEPT.parent.mkdir(exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count(), initializer=_quiet) as pool, KEPT.open("a") as kept:
        ran = pool.map(outcomes_of, [name for name, _ in work], [seed for _, seed in work])
        for key, each in zip(work, ran, strict=True):
            found[key] = each
            kept.write(json.dumps([asdict(one) for one in each]) + "\n")
            kept.flush()
    outcomes = [one for each in found.values() for one in each]
    folder.mkdir(parents=True, exist_ok=True)
    text = written(outcomes, names, seeds)
    (folder / "headline.md").write_text(text)
    anytime(outcomes, names, folder / "headline.png")
    print(text)


def _kept(names: Sequence[str], seeds: int) -> dict[tuple[str, int], list[MethodOutcome]]:
    """What an earlier run has come to, by problem and seed."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    every = [[MethodOutcome(**one) for one in json.loads(line)] for line in lines]
    found = {(each[0].problem, each[0].seed): each for each in every}
    return {key: each for key, each in found.items() if key[0] in names and key[1] < seeds}


def outcomes_of(family: str, seed: int) -> list[MethodOutcome]:
    """Of all methods on a problem."""
    found = problem_of(family, seed)
    low, middle = scale(found)
    told = []
    for method in METHODS:
        trace = method.run(found, method.trials, seed)
        regrets = [(hours, t, (loss - low) / (middle - low)) for hours, t, loss in trace.best()]
        length = max(one.tokens for one in trace.trials)
        told.append(
            MethodOutcome(
                method.name,
                family,
                seed,
                regrets,
                trace.hours,
                trace.tokens,
                len(trace.trials),
                length,
                trace.idle,
            )
        )
    return told


def problem_of(family: str, seed: int) -> Problem:
    """A family's landscape for a seed; a table has one."""
    return problem(family if family in TABLES else f"{family}:{seed}")


def scale(found: Problem) -> tuple[float, float]:
    """The best loss and the median one of many configurations: regret 0 and 1.

    What a sweep finds may be better still: its regret is then below zero.
    """
    losses = [found.curve(one, 0).true_loss for one in map(plain, many())]
    return min(losses), median(losses)


@cache
def near(family: str, seed: int) -> float:
    """The normalised regret of a loss that is a hundredth above the best."""
    low, middle = scale(problem_of(family, seed))
    return 0.01 * low / (middle - low)


def _quiet() -> None:
    quieten()
    logging.disable(logging.WARNING)


if __name__ == "__main__":
    enough = RECORDED.exists() and len(Table().whole) >= ENOUGH
    every = [*FAMILIES, *(["recorded"] if enough else [])]
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or every)
