"""Measure what a confirmation gains: the winner's curse of the default search.

    python -m benchmarks.tabular.confirmation RUNS [--problems ...]

The best three complete trials of a search are trained again with three other seeds each, as with
study.confirm=3, and the one with the lowest mean is chosen. Prints mean regrets by true loss: of
the trial with the lowest value, of the chosen one, and of the truly best of the three. RUNS are
indices such as 0-9, whose references are kept in benchmarks/results/choosing.
"""

import argparse
import math
from statistics import mean

from ugro.events.events import TrialAsked

from .budget import HORIZON_HOURS, Budget, Seeds
from .chosen_runs import add_runs, measured
from .curves import Problem, plain, result
from .markdown import markdown_table
from .methods import SLOTS
from .reference import Reference, landscape_of, problem_of
from .simulate import simulate

CANDIDATES, SEEDS = 3, 3
PROBLEMS = ("agreeing", "noisy", "noisy_extreme", "recorded_pydocs", "recorded_answers")
Regrets = tuple[float, float, float]  # of the lowest value, confirmed, truly best


def main(runs: range, problems: list[str]) -> None:
    """Run all searches and print a table with a row per problem."""
    rows = [
        [problem, *(f"{mean(column):.3f}" for column in zip(*found, strict=True))]
        for problem, found in measured(regrets, problems, runs).items()
    ]
    print(markdown_table(["", "lowest value", "confirmed", "best of the three"], rows))


def regrets(name: str, index: int, reference: Reference) -> Regrets:
    """Search, confirm the best trials, and return the regrets."""
    problem, seeds = problem_of(name, landscape_of(name, index)), Seeds.of_run(index)
    trace = simulate(problem, (), SLOTS, Budget(hours=HORIZON_HOURS), seeds)
    asked = {e.number: plain(e.parameters) for e in trace.events if isinstance(e, TrialAsked)}
    complete = [t for t in trace.trials if t.value is not None and t.ended <= HORIZON_HOURS]
    best = sorted(complete, key=lambda trial: trial.value or 0.0)[:CANDIDATES]
    confirmed = min(best, key=lambda trial: _mean_value(problem, asked[trial.number], seeds))
    truly = min(best, key=lambda trial: trial.true_loss)
    lowest, chosen, most = (reference.regret(t.true_loss) for t in (best[0], confirmed, truly))
    return lowest, chosen, most


def _mean_value(problem: Problem, parameters: dict[str, float | str], seeds: Seeds) -> float:
    """Return the mean value with other seeds than the search's; infinity if one diverges."""
    try:
        curves = [problem.curve(parameters, seeds.noise + 1 + seed) for seed in range(SEEDS)]
        return mean(result(curve.reports()).values[0] for curve in curves)
    except FloatingPointError:
        return math.inf


if __name__ == "__main__":
    given = add_runs(argparse.ArgumentParser(), PROBLEMS).parse_args()
    main(given.runs, given.problems)
