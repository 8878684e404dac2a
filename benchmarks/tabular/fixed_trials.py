"""Compare the default with scheduler=none after the same number of trials.

    python -m benchmarks.tabular.fixed_trials TRIALS SLOTS RUNS [--problems ...]

RUNS are indices such as 0-9, whose references are kept in benchmarks/results/choosing. Prints
medians: final regret, hours that the study took, and its training tokens in full trials.
"""

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from statistics import median

from .budget import Budget, Seeds
from .headline import PUBLISHED, Kept, quiet, runs_of
from .markdown import markdown_table
from .reference import Reference, landscape_of, problem_of
from .simulate import simulate

SCHEDULERS = ("auto", "none")
PROBLEMS = ("agreeing", "crossing_extreme", "slow_extreme", "recorded_answers")
Result = tuple[float, float, float]  # final regret, hours, tokens in full trials


def main(trials: int, slots: int, runs: range, problems: list[str]) -> None:
    """Run all studies and print a table with a row per problem."""
    references = Kept(PUBLISHED / "choosing/runs").references()
    every = list(product(problems, SCHEDULERS, runs))
    with ProcessPoolExecutor(os.cpu_count(), initializer=quiet) as pool:
        results = pool.map(
            finished,
            *zip(*every, strict=True),
            [references[problem, landscape_of(problem, index)] for problem, _, index in every],
            [trials] * len(every),
            [slots] * len(every),
        )
        found = dict(zip(every, results, strict=True))
    rows = [
        [problem, *(_medians([found[problem, one, index] for index in runs]) for one in SCHEDULERS)]
        for problem in problems
    ]
    print(markdown_table(["", "default", "`scheduler=none`"], rows))


def finished(
    problem: str, scheduler: str, index: int, reference: Reference, trials: int, slots: int
) -> Result:
    """Run a study until all its trials are complete or stay paused."""
    found = problem_of(problem, landscape_of(problem, index))
    given, seeds = (f"scheduler={scheduler}",), Seeds.of_run(index)
    trace = simulate(found, given, slots, Budget(trials), seeds)
    _, _, loss = list(trace.best())[-1]
    last = max(trial.progress[-1][0] for trial in trace.trials)
    return reference.regret(loss), last, trace.tokens / reference.full_tokens


def _medians(results: list[Result]) -> str:
    regret, hours, tokens = map(median, zip(*results, strict=True))
    return f"{regret:.3f} in {hours:.1f} h, {tokens:.0f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("trials", type=int)
    parser.add_argument("slots", type=int)
    parser.add_argument("runs", type=runs_of)
    parser.add_argument("--problems", nargs="+", default=PROBLEMS)
    given = parser.parse_args()
    main(given.trials, given.slots, given.runs, given.problems)
