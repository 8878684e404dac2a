"""Measure how long sweeps of UGRO and its peers take to match 50 sequential trials.

    python -m benchmarks.tabular.headline FOLDER SEEDS [PROBLEMS]

Every method searches every problem with every seed on a simulated clock. A synthetic problem has
another landscape for each seed. Writes headline.md and headline.png into FOLDER. An interrupted run
resumes from multirun/headline.jsonl, which must be deleted when the code has changed.
"""

import json
import logging
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from ugro.study.study import silence_optuna

from .families import FAMILIES
from .figures import draw_regret
from .methods import METHODS
from .outcomes import MethodOutcome, problem_of, scale
from .table import RECORDED, Table
from .tables import to_markdown

KEPT = Path("multirun/headline.jsonl")
ENOUGH = 128  # minimum number of recorded configurations for the recorded problem


def main(folder: Path, seeds: int, names: Sequence[str]) -> None:
    """Run what is missing; write tables and figure."""
    found = _kept(names, seeds)
    work = [(name, seed) for seed in range(seeds) for name in names if (name, seed) not in found]
    KEPT.parent.mkdir(exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count(), initializer=_quiet) as pool, KEPT.open("a") as kept:
        ran = pool.map(outcomes_of, [name for name, _ in work], [seed for _, seed in work])
        for key, each in zip(work, ran, strict=True):
            found[key] = each
            kept.write(json.dumps([asdict(outcome) for outcome in each]) + "\n")
            kept.flush()
    outcomes = [outcome for each in found.values() for outcome in each]
    folder.mkdir(parents=True, exist_ok=True)
    text = to_markdown(outcomes, names, seeds)
    (folder / "headline.md").write_text(text)
    draw_regret(outcomes, names, folder / "headline.png")
    print(text)


def _kept(names: Sequence[str], seeds: int) -> dict[tuple[str, int], list[MethodOutcome]]:
    """Return the results of an earlier run by problem and seed."""
    lines = KEPT.read_text().splitlines() if KEPT.exists() else []
    every = [[MethodOutcome(**outcome) for outcome in json.loads(line)] for line in lines]
    found = {(each[0].problem, each[0].seed): each for each in every}
    return {key: each for key, each in found.items() if key[0] in names and key[1] < seeds}


def outcomes_of(family: str, seed: int) -> list[MethodOutcome]:
    """Run all methods on a problem."""
    found = problem_of(family, seed)
    low, middle = scale(found)
    outcomes = []
    for method in METHODS:
        trace = method.run(found, method.trials, seed)
        regrets = [(hours, t, (loss - low) / (middle - low)) for hours, t, loss in trace.best()]
        length = max(trial.tokens for trial in trace.trials)
        outcomes.append(
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
    return outcomes


def _quiet() -> None:
    silence_optuna()
    logging.disable(logging.WARNING)


if __name__ == "__main__":
    enough = RECORDED.exists() and len(Table().whole) >= ENOUGH
    every = [*FAMILIES, *(["recorded"] if enough else [])]
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:] or every)
