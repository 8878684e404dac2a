"""A task without training, for measuring the overhead around trials.

It sleeps ``SECONDS * 10 ** u`` seconds, with u in [0, 1) drawn from ``seed``, so that durations
vary tenfold. It writes its start and end into its folder and returns a number. ``DRIVER_LOG`` names
a file for the driver's total seconds, seconds waiting for Ray, and processor seconds of its thread.
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import hydra
import ray
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ugro.config import register_schema
from ugro.plugins.sweeper import register_plugins

register_schema()
register_plugins()
CALLABLE = ("ugro.*", "hydra_plugins.*", "optuna.*", "ray.tune.schedulers.*")


@hydra.main(config_path="../conf", config_name="config", execution_whitelist=CALLABLE)
def main(config: DictConfig) -> float:
    """Sleep and return a parabola of the log learning rate."""
    began = time.time()
    drawn = random.Random(config.seed).random()
    time.sleep(float(os.environ.get("SECONDS", "0")) * 10**drawn)
    written = Path(HydraConfig.get().runtime.output_dir) / "slept.json"
    written.write_text(json.dumps({"began": began, "ended": time.time()}))
    return drawn + (config.training.learning_rate - 1e-3) ** 2


def measured() -> None:
    """Run the sweep and record the driver's total and waiting seconds."""
    waited = 0.0

    def timed(function: Any) -> Any:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            nonlocal waited
            began = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                waited += time.perf_counter() - began

        return wrapped

    ray.wait, ray.get, ray.init = timed(ray.wait), timed(ray.get), timed(ray.init)
    began, worked = time.perf_counter(), time.thread_time()
    main()
    worked, seconds = time.thread_time() - worked, time.perf_counter() - began
    log = {"seconds": seconds, "waited": waited, "worked": worked}
    Path(os.environ["DRIVER_LOG"]).write_text(json.dumps(log))


if __name__ == "__main__":
    measured() if "DRIVER_LOG" in os.environ else main()
