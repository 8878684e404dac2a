"""Measure something on the runs that choose, whose references are kept."""

import argparse
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import TypeVar

from .headline import PUBLISHED, Kept, quiet, runs_of
from .reference import Reference, landscape_of

R = TypeVar("R")


def measured(
    work: Callable[[str, int, Reference], R], problems: Sequence[str], runs: range
) -> dict[str, list[R]]:
    """Return the results of all runs by problem, in parallel processes.

    Args:
        work: gets a problem, the index of a run and its reference
        problems: names of the problems
        runs: indices, whose references are in benchmarks/results/choosing
    """
    references = Kept(PUBLISHED / "choosing/runs").references()
    every = list(product(problems, runs))
    of = [references[problem, landscape_of(problem, index)] for problem, index in every]
    with ProcessPoolExecutor(os.cpu_count(), initializer=quiet) as pool:
        results = list(pool.map(work, *zip(*every, strict=True), of))
    count = len(runs)
    return {p: results[count * at : count * (at + 1)] for at, p in enumerate(problems)}


def add_runs(parser: argparse.ArgumentParser, problems: Sequence[str]) -> argparse.ArgumentParser:
    """Add the arguments RUNS and --problems, with its default."""
    parser.add_argument("runs", type=runs_of)
    parser.add_argument("--problems", nargs="+", default=problems)
    return parser
