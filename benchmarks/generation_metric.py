"""Measure how much longer a trial of model=tiny takes with a metric of 32 generations of 16 tokens.

The trial has the default settings: one pass over 2,000 prompts and completions, ten evaluations.
It runs alternately with ``metrics=exact_match`` and without a metric, in one process that has
loaded the model, prepared the data and started the metric's process, as the second trial of a
worker has. The ratio is the median of the rounds.

    python -m benchmarks.generation_metric [ROUNDS] [OVERRIDES]
"""

import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from hydra import compose, initialize_config_dir

from benchmarks.prepare_data import WORDS
from ugro.config import Config, register_schema, typed
from ugro.events.channel import channel
from ugro.plugins.sweeper import register_plugins
from ugro.trial.trial import run_trial

RECORDS, EXAMPLES, NEW_TOKENS = 2000, 32, 16
METRIC = (
    "metrics=exact_match",
    f"metrics.exact_match.examples={EXAMPLES}",
    f"metrics.exact_match.max_new_tokens={NEW_TOKENS}",
    "objectives=loss",  # the same checkpoints are the best
)
SIDES = {"without": (), "with": METRIC}


def main(rounds: int, overrides: list[str]) -> None:
    """Print the medians of the trials, their ratios, and the metric's share."""
    register_schema()
    register_plugins()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        _write(folder / "rows.jsonl")
        data = ["data=jsonl", f"data.train_files=[{folder}/rows.jsonl]", "data.block_size=128"]
        given = ["model=tiny", "study.name=benchmark", *data, *overrides]
        configs = {side: _composed([*given, *metric]) for side, metric in SIDES.items()}
        for side, config in configs.items():
            _run(config, folder / f"{side}-warm-up")
        taken: dict[str, list[Taken]] = {side: [] for side in SIDES}
        for number in range(rounds):
            for side, config in configs.items():
                taken[side].append(_run(config, folder / f"{side}-{number}"))
    print("| | without | with | ratio | smallest | largest |")
    print("|---|---|---|---|---|---|")
    for unit in ("seconds", "processor_seconds"):
        sides = [[getattr(one, unit) for one in taken[side]] for side in SIDES]
        ratios = [longer / shorter for shorter, longer in zip(*sides, strict=True)]
        values = (*map(statistics.median, (*sides, ratios)), min(ratios), max(ratios))
        print(f"| {unit.replace('_', ' ')} | {' | '.join(f'{one:.2f}' for one in values)} |")
    share = statistics.median(one.metrics_seconds / one.seconds for one in taken["with"])
    print(f"Generating and scoring takes {share:.0%} of the trial's time.")


@dataclass(frozen=True)
class Taken:
    """What a trial took: in all, on the processor, and for its metrics."""

    seconds: float
    processor_seconds: float
    metrics_seconds: float


def _composed(overrides: list[str]) -> Config:
    conf = Path(__file__).parents[1] / "conf"
    with initialize_config_dir(config_dir=str(conf)):
        return typed(compose("config", overrides=overrides))


def _write(path: Path) -> None:
    """Write records of a dozen words, each a few byte tokens."""
    draw = random.Random(0)
    with path.open("w") as file:
        for number in range(RECORDS):
            prompt = f"{number}: {' '.join(draw.choices(WORDS, k=8))}"
            record = {"prompt": prompt, "completion": f" {' '.join(draw.choices(WORDS, k=4))}"}
            file.write(json.dumps(record) + "\n")


def _run(config: Config, folder: Path) -> Taken:
    folder.mkdir()
    clock, processor = time.perf_counter(), time.process_time()
    result = run_trial(config, folder, channel())
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    return Taken(clock, processor, result.metrics.get("metrics_seconds", 0.0))


if __name__ == "__main__":
    numbers = [argument for argument in sys.argv[1:] if argument.isdigit()]
    main(int((numbers or ["5"])[0]), [one for one in sys.argv[1:] if "=" in one])
