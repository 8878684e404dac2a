"""What does a trial cost the driver? Asking, composing, submitting, telling; nothing is trained.

Two slots on Ray, the whole LoRA space (eight keys), multivariate TPE, UGRO on its SQLite study and
the upstream plugins in memory (as they come) and on SQLite, all in one run. The driver's time is
all of its time in which it does not wait for Ray.

    python benchmarks/control_plane.py [trials]
"""

import json
import sys
import tempfile
from pathlib import Path

from sweepers import RAY, UGRO, UPSTREAM, run, spans


def main(trials: int) -> None:
    """Print a line a sweeper."""
    baseline = 0.0
    rows = (("UGRO, SQLite", UGRO, []), ("upstream, memory", UPSTREAM, []))
    for name, sweeper, extra in rows:
        tpe = ["multivariate=true", "constant_liar=true", "seed=1"]
        overrides = ["search_space=lora", f"hydra.sweeper.n_trials={trials}"]
        overrides += ["hydra.sweeper.n_jobs=2", f"{RAY}num_cpus=2", *extra]
        overrides += [f"hydra.sweeper.sampler.{one}" for one in tpe]
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "driver.json"
            run(sweeper, overrides, Path(folder) / "study", DRIVER_LOG=str(log))
            driver = json.loads(log.read_text())
            done = len(spans(Path(folder) / "study"))
        busy = 1000 * (driver["seconds"] - driver["waited"]) / done
        wall = 1000 * driver["seconds"] / done
        baseline = baseline or busy
        ratio = busy / baseline
        print(
            f"{name}: {done} trials, {busy:.1f} ms of driver time a trial, {ratio:.1f} x; "
            f"{wall:.0f} ms in all"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1000)
