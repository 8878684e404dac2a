"""Record learning curves of real LoRA runs over search_space=lora in a table.

    OMP_NUM_THREADS=1 nice -n 19 python -m benchmarks.tabular.record TABLE COUNT [OVERRIDES]

Each run is a trial of UGRO without trial scheduler, in one of ``--at-once`` processes (default 1),
each of which loads the base model once. First come the guides' defaults, then a Sobol sequence over
the space (a larger COUNT only appends to it); after every tenth configuration, the last one is
repeated with another seed to measure the noise. OVERRIDES select another model, data or length.

The table is a Parquet file with a row per report, rewritten after each run: an interruption loses
only running trials, and the same command resumes.

Runs are short, so that a core records some hundreds within hours: with blocks of 8 tokens even the
largest batch takes twelve steps within 3,072 tokens. A GPU allows longer runs and several
processes, as a small model leaves most of it idle.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy
import pyarrow
import pyarrow.parquet
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from scipy.stats import qmc

from ugro.config import Config, typed
from ugro.errors import UserError, fault
from ugro.events.channel import Answer
from ugro.events.trial_report import Report
from ugro.provenance import provenance
from ugro.space.composition import without_hydra
from ugro.space.feasible import identity
from ugro.sweep.plan import Plan

from .plans import compose_plan

SPACE = "search_space=lora"
SHORT = (
    "data.block_size=8",
    "data.max_eval_examples=32",
    "training.max_tokens=3072",
    "training.eval_steps=0.0833",  # twelve evaluations for any length, as steps round up
)
ALWAYS = ("scheduler=none", "tracking=none", "study.name=table", "study.keep_checkpoints=none")
# Further defaults of the guides (docs/search_spaces.md), as changes of the baseline.
GUIDES: tuple[dict[str, Any], ...] = (
    {},
    {"training.learning_rate": 1e-4},
    {"training.learning_rate": 5e-4},
    {"training.learning_rate": 1e-3},
    {"lora.r": 32},
    {"lora.r": 8, "lora.target_modules": "[q_proj,v_proj]"},
    {"lora.alpha_ratio": 1.0},
    {"training.batch_size": 4},
)
SEEDS = (42, 43)
EVERY = 10  # every tenth configuration runs with both seeds
METADATA = b"benchmark"


@dataclass
class Recording:
    """A channel that stores reports with processor seconds.

    They equal wall seconds of an otherwise idle machine if training uses a single thread.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    before: float = field(default_factory=time.process_time)
    began: float | None = None

    def report(self, report: Report) -> Answer:
        """Store the report; runs are never stopped."""
        now = time.process_time()
        if self.began is None:
            self.began = now
        spent = {"cpu_seconds": now - self.began, "startup_cpu_seconds": self.began - self.before}
        self.rows.append({**report.as_dict(), **spent})
        return Answer.CONTINUE

    def interrupted(self) -> bool:
        """Return False."""
        return False


def main(path: Path, count: int, at_once: int, overrides: list[str]) -> None:
    """Record up to ``count`` configurations, ``at_once`` in parallel."""
    given = [SPACE, *SHORT, *ALWAYS, *overrides]
    plan = compose_plan(*given)
    rows = _recorded_rows(path, given)
    done = {(row["configuration"], row["seed"]) for row in rows}
    todo = [run for run in _runs(plan, count) if (run[0], run[2]) not in done]
    # CUDA does not work in processes forked after its initialisation.
    processes = ProcessPoolExecutor(at_once, mp_context=get_context("spawn"))
    try:
        running = {}
        for index, parameters, seed in todo:
            settings = typed(without_hydra(plan.feasible.composer.compose(parameters)))
            settings.seed = seed
            known = {"configuration": index, "seed": seed, **parameters}
            running[processes.submit(record_run, settings)] = known
        for run in as_completed(running):
            reports, error = run.result()
            rows += [{**running[run], "error": error, **row} for row in reports]
            _write(rows, path, given)
            _print_progress(running[run], count, reports, error)
    finally:
        processes.shutdown(cancel_futures=True)  # start no more runs after an error or Ctrl-C


def _print_progress(
    known: Mapping[str, Any], count: int, reports: list[dict[str, Any]], error: str
) -> None:
    last = reports[-1] if reports else {}
    which = f"{known['configuration']}/{count} seed {known['seed']}"
    measured = f"{last.get('cpu_seconds', 0):.0f} s, eval_loss {last.get('eval_loss', 0):.3f}"
    print(f"{time.strftime('%H:%M:%S')} {which}: {measured} {error}", flush=True)


def record_run(settings: Config) -> tuple[list[dict[str, Any]], str]:
    """Return the reports of a run and the error that ended it, or an empty string."""
    from ugro.trial.trial import run_trial

    recording = Recording()
    with tempfile.TemporaryDirectory(dir=_fast_disk()) as folder:
        try:
            run_trial(settings, Path(folder), recording)
        except (FloatingPointError, MemoryError) as failed:
            return recording.rows, f"{type(failed).__name__}: {failed}"
    return recording.rows, ""


def _runs(plan: Plan, count: int) -> Iterator[tuple[int, Mapping[str, Any], int]]:
    """Yield number, parameters and seed of each run."""
    for index, parameters in enumerate(configurations(plan, count)):
        yield index, parameters, SEEDS[0]
        if index % EVERY == EVERY - 1:
            yield index, parameters, SEEDS[1]


def configurations(plan: Plan, count: int) -> list[Mapping[str, Any]]:
    """Return the guides' defaults, then a quasi-random sequence, without duplicates."""
    over = plan.feasible.space.distributions
    [baseline] = [planned.parameters for planned in plan.first if planned.source == "baseline"]
    first = [{**baseline, **changes} for changes in GUIDES]
    each = {
        identity(configuration): configuration
        for configuration in [*first, *quasi_random(over, count)]
    }
    return list(each.values())[:count]


def quasi_random(over: Mapping[str, BaseDistribution], count: int) -> list[Mapping[str, Any]]:
    """Return at least ``count`` points of a Sobol sequence."""
    drawn = qmc.Sobol(len(over), rng=numpy.random.default_rng(0)).random_base2(count.bit_length())
    return [
        {
            key: _at(distribution, float(u))
            for (key, distribution), u in zip(over.items(), row, strict=True)
        }
        for row in drawn
    ]


def _at(over: BaseDistribution, u: float) -> Any:
    """Return the quantile of a distribution at u in [0, 1)."""
    if isinstance(over, CategoricalDistribution):
        return over.choices[int(u * len(over.choices))]
    assert isinstance(over, FloatDistribution)
    if over.log:
        return float(over.low * (over.high / over.low) ** u)
    return float(over.low + u * (over.high - over.low))


def _recorded_rows(path: Path, given: list[str]) -> list[dict[str, Any]]:
    """Read the rows recorded so far.

    Raises:
        UserError: they were recorded with other overrides.
    """
    if not path.exists():
        return []
    table = pyarrow.parquet.read_table(path)
    before = json.loads(table.schema.metadata[METADATA])["overrides"]
    if before != given:
        allowed = f"those that {path} was recorded with: {shlex.join(before)}"
        raise UserError(fault("overrides", shlex.join(given), allowed))
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _write(rows: list[dict[str, Any]], path: Path, given: list[str]) -> None:
    """Write the complete table with its metadata."""
    from ugro.trial.hardware import device_name

    names = dict.fromkeys(name for row in rows for name in row)
    table = pyarrow.Table.from_pylist([{name: row.get(name) for name in names} for row in rows])
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    said = {
        "command": shlex.join(["python", "-m", __spec__.name, *sys.argv[1:]]),
        "threads": threads,
        "device": device_name(),
        "overrides": given,
        **provenance(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    metadata = {METADATA: json.dumps(said).encode()}
    pyarrow.parquet.write_table(table.replace_schema_metadata(metadata), draft, compression="zstd")
    os.replace(draft, path)


def _fast_disk() -> str | None:
    """Return a folder in memory, if there is one, for temporary checkpoints of half a GB."""
    return "/dev/shm" if os.path.isdir("/dev/shm") else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tabular.record")
    parser.add_argument("table", type=Path)
    parser.add_argument("count", type=int, help="configurations")
    parser.add_argument("--at-once", type=int, default=1, help="runs at once, a process each")
    parser.add_argument("overrides", nargs="*")
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    asked = _arguments()
    try:
        main(asked.table, asked.count, asked.at_once, asked.overrides)
    except UserError as mistake:
        sys.exit(f"error: {mistake}")
