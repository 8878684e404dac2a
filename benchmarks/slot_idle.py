"""Measure the share of slot time that is idle while trials remain to be launched.

Eight slots, trials with durations of 5 to 50 s, UGRO and the upstream plugins.

A slot is idle from the end of a task to the start of the next, including Hydra's work in between
(folder and logging, 0.1 s).

    python benchmarks/slot_idle.py [trials]
"""

import sys
import tempfile
from pathlib import Path

from sweepers import RAY, UGRO, UPSTREAM, run, spans

SLOTS = 8


def idle(found: list[tuple[float, float]]) -> float:
    """Return the idle share of the slots' time between first and last launch."""
    first, last = found[0][0], found[-1][0]
    busy = sum(min(ended, last) - began for began, ended in found)
    return 1 - busy / (SLOTS * (last - first))


def main(trials: int) -> None:
    """Print a line per sweeper."""
    seeds = ",".join(map(str, range(trials)))
    for name, sweeper in (("UGRO", UGRO), ("upstream", UPSTREAM)):
        overrides = [f"seed={seeds}", f"hydra.sweeper.n_trials={trials}"]
        overrides += [f"hydra.sweeper.n_jobs={SLOTS}"]
        overrides += [f"{RAY}num_cpus={SLOTS}", "hydra.sweeper.sampler.seed=1"]
        with tempfile.TemporaryDirectory() as folder:
            study = Path(folder) / "study"
            run(sweeper, overrides, study, SECONDS="5")
            found = spans(study)
        wall = max(ended for _, ended in found) - found[0][0]
        print(f"{name}: {len(found)} trials in {wall:.0f} s, slots idle {idle(found):.1%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 48)
