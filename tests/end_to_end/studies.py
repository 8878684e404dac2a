"""What these tests run and read."""

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

TrainPy = Callable[..., subprocess.CompletedProcess[str]]
IN_PROCESS = "hydra/launcher=basic"


def table(study: Path) -> list[dict[str, str]]:
    """The rows of ``trials.csv``."""
    with (study / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))
