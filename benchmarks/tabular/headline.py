"""Measure how long UGRO and its peers take to be as good as 50 sequential trials.

    python -m benchmarks.tabular.headline FOLDER RUNS [--problems ...] [--methods ...]

RUNS are indices such as 0-19, which select landscapes and seeds. Every method searches every
problem on a simulated clock. Writes headline.md, reached.png and regret.png into FOLDER. Finished
runs are kept in multirun/headline/, a file per method: an interrupted command resumes. Delete the
file of a method whose code has changed.
"""

import argparse
import json
import logging
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from ugro.study.study import silence_optuna

from .families import FAMILIES
from .figures import draw_reached, draw_regret
from .methods import METHODS
from .outcomes import MethodOutcome, outcome_of
from .problems import TABLES
from .reference import Reference, landscape_of, reference
from .summaries import Summary
from .tables import to_markdown

KEPT = Path("multirun/headline")
K, V = TypeVar("K"), TypeVar("V")
REFERENCES = KEPT / "references.jsonl"
Landscape = tuple[str, int]  # problem, landscape
Run = tuple[str, str, int]  # method, problem, index


def main(folder: Path, runs: range, problems: Sequence[str], methods: Sequence[str]) -> None:
    """Run what is missing; write tables and figures."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count(), initializer=_quiet) as pool:
        references = _references(pool, problems, runs)
        outcomes = _outcomes(pool, references, problems, methods, runs)
    found = {
        (METHODS[method].title, problem): Summary(
            [outcomes[method, problem, index] for index in runs],
            [references[problem, landscape_of(problem, index)] for index in runs],
        )
        for method in methods
        for problem in problems
    }
    folder.mkdir(parents=True, exist_ok=True)
    titles = [METHODS[method].title for method in methods]
    command = f"python -m benchmarks.tabular.headline {shlex.join(sys.argv[1:])}"
    text = to_markdown(found, titles, problems, command)
    (folder / "headline.md").write_text(text)
    drawn = [METHODS[method].title for method in methods if METHODS[method].drawn]
    draw_reached(found, drawn, problems, folder / "reached.png")
    draw_regret(found, drawn, problems, folder / "regret.png")
    print(text)


def _references(
    pool: ProcessPoolExecutor, problems: Sequence[str], runs: range
) -> dict[Landscape, Reference]:
    """Return the reference of every landscape, searching those that are not kept."""
    found: dict[Landscape, Reference] = {
        (line.pop("problem"), line.pop("landscape")): Reference(**line)
        for line in _lines(REFERENCES)
    }
    wanted = {(problem, landscape_of(problem, index)) for index in runs for problem in problems}
    work = {pool.submit(reference, *key): key for key in sorted(wanted - found.keys())}
    for key, each in _as_done(work):
        found[key] = each
        _keep(REFERENCES, {"problem": key[0], "landscape": key[1], **asdict(each)})
    return found


def _outcomes(
    pool: ProcessPoolExecutor,
    references: dict[Landscape, Reference],
    problems: Sequence[str],
    methods: Sequence[str],
    runs: range,
) -> dict[Run, MethodOutcome]:
    """Return the outcome of every run, running those that are not kept."""
    kept = (MethodOutcome(**line) for method in methods for line in _lines(_file(method)))
    found = {(each.method, each.problem, each.index): each for each in kept}
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
        _keep(_file(key[0]), asdict(each))
    return found


def _as_done(work: dict[Future[V], K]) -> Iterator[tuple[K, V]]:
    """Yield keys and results in the order in which they are done."""
    for number, future in enumerate(as_completed(work), 1):
        print(f"{number} of {len(work)}: {work[future]}", file=sys.stderr, flush=True)
        yield work[future], future.result()


def _file(method: str) -> Path:
    return KEPT / f"{method}.jsonl"


def _lines(path: Path) -> Iterator[dict[str, object]]:
    return map(json.loads, path.read_text().splitlines() if path.exists() else [])


def _keep(path: Path, line: dict[str, object]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _quiet() -> None:
    silence_optuna()
    logging.disable(logging.WARNING)


def _range(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("runs", type=_range)
    every = [*FAMILIES, *TABLES]
    parser.add_argument("--problems", nargs="+", default=every, choices=every)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    given = parser.parse_args()
    main(given.folder, given.runs, given.problems, given.methods)
