"""Measure the driver's processor time per trial: proposal, composition, submission, result.

Nothing is trained. Two slots on Ray, the full LoRA space (eight keys), multivariate TPE by default.
UGRO stores its study in SQLite; the upstream plugins keep theirs in memory and run a quarter of the
trials, 250 at most, as they take long. Only the processor time of the driver's thread counts, not
that of Ray or the recorder, for which no slot waits.

    python benchmarks/control_plane.py [TRIALS] [random]
"""

import json
import sys
import tempfile
from pathlib import Path

from sweepers import RAY, UGRO, UPSTREAM, run, spans

SEED = "hydra.sweeper.sampler.seed=1"
SAMPLERS = {
    "tpe": ("multivariate=true", "constant_liar=true"),
    "random": (),
}
MAX_UPSTREAM_TRIALS = 250  # maximum trials of upstream


def main(trials: int, sampler: str) -> None:
    """Print a line per sweeper."""
    ours = 0.0
    sweepers = (
        ("UGRO", UGRO, trials),
        ("upstream", UPSTREAM, min(MAX_UPSTREAM_TRIALS, trials // 4)),
    )
    for name, sweeper, count in sweepers:
        ends, _ = driver_time(sweeper, 1, sampler)
        worked, seconds = driver_time(sweeper, count, sampler)
        each = 1000 * (worked - ends) / (count - 1)
        ours = ours or each
        print(
            f"{name}: {count} trials ({sampler}), {each:.1f} ms of driver time a trial "
            f"({each / ours:.1f} x); "
            f"start-up, first trial and summary {ends:.1f} s; "
            f"wall clock {1000 * seconds / count:.0f} ms a trial",
            flush=True,
        )


def driver_time(sweeper: tuple[str, ...], trials: int, sampler: str) -> tuple[float, float]:
    """Return processor time of the driver's thread and wall time of a sweep, in seconds."""
    asked = f"hydra/sweeper/sampler={sampler}"
    sweeper = (*(option for option in sweeper if "sampler=" not in option), asked)
    overrides = ["search_space=lora", f"hydra.sweeper.n_trials={trials}", SEED]
    overrides += ["hydra.sweeper.n_jobs=2", f"{RAY}num_cpus=2"]
    overrides += [f"hydra.sweeper.sampler.{option}" for option in SAMPLERS[sampler]]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "driver.json"
        run(sweeper, overrides, Path(folder) / "study", DRIVER_LOG=str(log))
        if len(spans(Path(folder) / "study")) != trials:
            raise RuntimeError("not every trial was run")
        driver = json.loads(log.read_text())
    return driver["worked"], driver["seconds"]


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1000, sys.argv[2] if sys.argv[2:] else "tpe")
