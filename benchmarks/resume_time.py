"""Measure what pausing and resuming a trial of model=tiny costs beside what starting one costs.

A trial runs in one piece, then again with a pause at each of its evaluations but the last, in one
process that has loaded the model and prepared the data, as the second trial of a worker has. The
cost of a pause is the difference, divided by the pauses: the checkpoint's seal, the setup of the
trial, and the checkpoint's restoration. The figures are medians of the rounds in processor seconds,
which equal the seconds of an otherwise idle machine if training uses a single thread.

    OMP_NUM_THREADS=1 python -m benchmarks.resume_time [ROUNDS] [OVERRIDES]
"""

import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from hydra import compose, initialize_config_dir

from ugro.config import Config, register_schema, typed
from ugro.events.channel import Answer, StandaloneChannel, TrialInterruptedError
from ugro.events.trial_report import Report
from ugro.plugins.sweeper import register_plugins
from ugro.trial.trial import run_trial


@dataclass
class Timed(StandaloneChannel):
    """Channel that notes when the first report came, and may pause the trial at each evaluation."""

    pauses: bool
    began: float = field(default_factory=time.process_time)
    first: float | None = None

    def report(self, report: Report) -> Answer:
        """Note the time of the first report; pause the trial at every other one, if it pauses."""
        if self.first is None:
            self.first = time.process_time() - self.began
        return Answer.PAUSE if self.pauses and report.step else Answer.CONTINUE


def main(rounds: int, overrides: list[str]) -> None:
    """Print the seconds from a trial's start to its first report, and those of a pause."""
    register_schema()
    register_plugins()
    given = ["model=tiny", "study.name=benchmark", "tracking=none", *overrides]
    with initialize_config_dir(config_dir=str(Path(__file__).parents[1] / "conf")):
        config = typed(compose("config", overrides=given))
    startups, costs, shares = [], [], []
    with tempfile.TemporaryDirectory() as made:
        _run(config, Path(made, "warm-up"))
        for number in range(rounds):
            startup, whole = _run(config, Path(made, f"whole-{number}"))
            pauses, in_pieces = _run_in_pieces(config, Path(made, f"pieces-{number}"))
            startups.append(startup)
            costs.append((in_pieces - whole) / pauses)
            shares.append(costs[-1] / whole)
    print(f"start to the first report: {statistics.median(startups):.2f} s")
    print(f"a pause and its resumption: {statistics.median(costs):.2f} s", end="")
    print(f" ({min(costs):.2f} to {max(costs):.2f}), {statistics.median(shares):.1%} of the trial")


def _run(config: Config, folder: Path) -> tuple[float, float]:
    """Return the seconds to the first report and in all."""
    folder.mkdir()
    channel = Timed(pauses=False)
    run_trial(config, folder, channel)
    assert channel.first is not None
    return channel.first, time.process_time() - channel.began


def _run_in_pieces(config: Config, folder: Path) -> tuple[int, float]:
    """Return the number of pauses and the seconds in all."""
    folder.mkdir()
    pauses, began = 0, time.process_time()
    while True:
        try:
            run_trial(config, folder, Timed(pauses=True))
            return pauses, time.process_time() - began
        except TrialInterruptedError:
            pauses += 1


if __name__ == "__main__":
    numbers = [argument for argument in sys.argv[1:] if argument.isdigit()]
    main(int((numbers or ["5"])[0]), [one for one in sys.argv[1:] if "=" in one])
