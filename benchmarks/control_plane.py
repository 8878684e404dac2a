"""What does a trial cost the driver? Asking, composing, submitting, telling; nothing is trained.

Two slots on Ray, the whole LoRA space (eight keys), multivariate TPE; UGRO on its SQLite study
beside the upstream plugins in memory, as they come, with a quarter of the trials (they take long).
The driver's time is the processor time of its thread; those of Ray and of the recorder are not in
it, and neither slot waits for them.

    python benchmarks/control_plane.py [trials]
"""

import json
import sys
import tempfile
from pathlib import Path

from sweepers import RAY, UGRO, UPSTREAM, run, spans


def main(trials: int) -> None:
    """Print a line a sweeper."""
    ours = 0.0
    for name, sweeper, count in (("UGRO", UGRO, trials), ("upstream", UPSTREAM, trials // 4)):
        tpe = ["multivariate=true", "constant_liar=true", "seed=1"]
        overrides = ["search_space=lora", f"hydra.sweeper.n_trials={count}"]
        overrides += ["hydra.sweeper.n_jobs=2", f"{RAY}num_cpus=2"]
        overrides += [f"hydra.sweeper.sampler.{one}" for one in tpe]
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder) / "driver.json"
            run(sweeper, overrides, Path(folder) / "study", DRIVER_LOG=str(log))
            driver = json.loads(log.read_text())
            done = len(spans(Path(folder) / "study"))
        worked = 1000 * driver["worked"] / done
        ours = ours or worked
        print(
            f"{name}: {done} trials, {worked:.1f} ms of driver time a trial "
            f"({worked / ours:.1f} x), "
            f"{1000 * driver['seconds'] / done:.0f} ms in all"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1000)
