"""Measure how long UGRO and its peers take to be as good as 50 sequential trials.

    python -m benchmarks.tabular.headline FOLDER RUNS [--slow] [--problems ...] [--methods ...]

RUNS are indices such as 0-19, which select landscapes and seeds: methods are chosen by the runs
below 100 and judged by those from 100. Every method searches every problem on a simulated clock,
except for those that take more than ten seconds a search: --slow compares them with the default.
Writes headline.md, reached.png and regret.png into FOLDER. Finished runs are kept in FOLDER/runs, a
file per method: an interrupted command resumes. Delete the file of a method whose code has changed.
"""

import argparse
import json
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from ugro.study.study import silence_optuna

from .families import FAMILIES
from .figures import draw_reached, draw_regret
from .methods import METHODS, SLOW
from .outcomes import MethodOutcome, outcome_of
from .problems import TABLES
from .reference import Reference, landscape_of, reference
from .summaries import Summary
from .tables import to_markdown

K, V = TypeVar("K"), TypeVar("V")
PUBLISHED = Path(__file__).parents[1] / "results"
Landscape = tuple[str, int]  # problem, landscape
Run = tuple[str, str, int]  # method, problem, index


def main(folder: Path, runs: range, problems: Sequence[str], methods: Sequence[str]) -> None:
    """Run what is missing; write tables and figures."""
    kept = Kept(folder / "runs")
    with ProcessPoolExecutor(os.cpu_count(), initializer=quiet) as pool:
        references = _references(pool, kept, problems, runs)
        outcomes = _outcomes(pool, kept, references, problems, methods, runs)
    found = {
        (METHODS[method].title, problem): Summary(
            [outcomes[method, problem, index] for index in runs],
            [references[problem, landscape_of(problem, index)] for index in runs],
        )
        for method in methods
        for problem in problems
    }
    titles = [METHODS[method].title for method in methods]
    command = f"python -m benchmarks.tabular.headline {shlex.join(sys.argv[1:])}"
    text = to_markdown(found, titles, problems, command)
    (folder / "headline.md").write_text(text)
    of = [METHODS[method] for method in methods]
    drawn = [method.title for method in of if method.drawn or method.slow]
    draw_reached(found, drawn, problems, folder / "reached.png")
    draw_regret(found, drawn, problems, folder / "regret.png")
    print(text)
    if folder.resolve() != PUBLISHED:
        published = Kept(PUBLISHED / "runs").outcomes(methods)
        both = outcomes.keys() & published.keys()
        same = sum(outcomes[key].best == published[key].best for key in both)
        print(f"Of {len(both)} runs that are also in {PUBLISHED.name}/runs, {same} are the same.")


@dataclass(frozen=True)
class Kept:
    """Finished runs and references, a line each in a file per method."""

    folder: Path

    def references(self) -> dict[Landscape, Reference]:
        """Return the kept references."""
        return {
            (line.pop("problem"), line.pop("landscape")): Reference(**line)
            for line in self._lines("references")
        }

    def outcomes(self, methods: Sequence[str]) -> dict[Run, MethodOutcome]:
        """Return the kept outcomes of these methods."""
        kept = (MethodOutcome(**line) for method in methods for line in self._lines(method))
        return {(each.method, each.problem, each.index): each for each in kept}

    def add_reference(self, key: Landscape, found: Reference) -> None:
        """Keep a reference."""
        self._add("references", {"problem": key[0], "landscape": key[1], **asdict(found)})

    def add_outcome(self, found: MethodOutcome) -> None:
        """Keep an outcome."""
        self._add(found.method, asdict(found))

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        path = self.folder / f"{name}.jsonl"
        return map(json.loads, path.read_text().splitlines() if path.exists() else [])

    def _add(self, name: str, line: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


def _references(
    pool: ProcessPoolExecutor, kept: Kept, problems: Sequence[str], runs: range
) -> dict[Landscape, Reference]:
    """Return the reference of every landscape, searching those that are not kept."""
    found = kept.references()
    wanted = {(problem, landscape_of(problem, index)) for index in runs for problem in problems}
    work = {pool.submit(reference, *key): key for key in sorted(wanted - found.keys())}
    for key, each in _as_done(work):
        found[key] = each
        kept.add_reference(key, each)
    return found


def _outcomes(
    pool: ProcessPoolExecutor,
    kept: Kept,
    references: dict[Landscape, Reference],
    problems: Sequence[str],
    methods: Sequence[str],
    runs: range,
) -> dict[Run, MethodOutcome]:
    """Return the outcome of every run, running those that are not kept."""
    found = kept.outcomes(methods)
    work = {}
    for index in runs:  # an interrupted command has measured all methods equally often
        for problem in problems:
            of = references[problem, landscape_of(problem, index)]
            for method in methods:
                if (method, problem, index) not in found:
                    future = pool.submit(outcome_of, method, problem, index, of)
                    work[future] = (method, problem, index)
    for key, each in _as_done(work):
        found[key] = each
        kept.add_outcome(each)
    return found


def _as_done(work: dict[Future[V], K]) -> Iterator[tuple[K, V]]:
    """Yield keys and results in the order in which they are done."""
    for number, future in enumerate(as_completed(work), 1):
        print(f"{number} of {len(work)}: {work[future]}", file=sys.stderr, flush=True)
        yield work[future], future.result()


def quiet() -> None:
    """Silence what a simulated sweep logs."""
    silence_optuna()
    logging.disable(logging.WARNING)


def runs_of(text: str) -> range:
    """Return the runs that an argument such as 0-19 or 7 names."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=runs_of)
    every = [*FAMILIES, *TABLES]
    parser.add_argument("--problems", nargs="+", default=every, choices=every)
    methods = parser.add_mutually_exclusive_group()
    methods.add_argument("--methods", nargs="+", choices=list(METHODS))
    methods.add_argument("--slow", action="store_true")
    given = parser.parse_args()
    usual = ["default", *SLOW] if given.slow else [key for key in METHODS if key not in SLOW]
    main(given.folder, given.runs, given.problems, given.methods or usual)
