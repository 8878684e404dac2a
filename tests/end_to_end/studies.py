"""What these tests run and read."""

import csv
import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

TrainPy = Callable[..., subprocess.CompletedProcess[str]]
IN_PROCESS = "hydra/launcher=basic"


def table(study: Path) -> list[dict[str, str]]:
    """The rows of ``trials.csv``."""
    with (study / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def preference_pairs() -> Iterable[Mapping[str, object]]:
    """Yield rows for ``task=dpo``."""
    for number in range(60):
        yield {"prompt": f"{number} is", "chosen": " fine", "rejected": f" {number}"}


def reviews() -> Iterable[Mapping[str, object]]:
    """Yield rows for ``task=classification``."""
    for number in range(80):
        word = "lovely" if number * 7 % 3 else "awful"
        yield {"review": f"no. {number}: {word}", "stars": "good" if word == "lovely" else "bad"}


def write_rows(folder: Path, rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Write ``rows.jsonl`` into a folder; return overrides that train on all of it."""
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return ["data=jsonl", "data.train_files=[rows.jsonl]", "data.max_train_examples=null"]
