"""Names of a study's files, which users and other programs rely on."""

import os
from pathlib import Path

# In a study's folder.
DATABASE = "study.db"
EVENTS = "events.jsonl"
IDENTITY = "study.json"  # the id that the record has, too
TABLE = "trials.csv"
UPSTREAM_RESULTS = "optimization_results.yaml"
BEST = "experiment/best.yaml"
ANALYSIS = "analysis"
REPORT = "analysis/report.html"
SUMMARY = "analysis/summary.json"
TRIALS = "trials"
TRACKING = "tracking"  # what was sent to trackers
CONFIRM = "confirm"  # the study that trains the best again; a study's name and folder end so
REPRODUCED = "reproduced"  # trials that were run again, to compare
# In a trial's folder.
CONFIG = ".hydra/config.yaml"
LOG = "train.log"
METRICS = "metrics.jsonl"
PROVENANCE = "provenance.json"
CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"


def trial_subdir(number: int) -> str:
    """A trial's folder, below the study's."""
    return f"{TRIALS}/{number:04d}"


def trial_folder(study_folder: Path, number: int) -> Path:
    """Where a trial's files are."""
    return study_folder / trial_subdir(number)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file that nobody ever sees half-written; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def nearest(path: Path) -> Path:
    """The folder itself or, where it is not made yet, that in which it would be."""
    path = path.absolute()
    return next((one for one in (path, *path.parents) if one.is_dir()), Path("/"))


def is_writable(path: Path) -> bool:
    """Whether a folder is there to be written, or could be made."""
    return os.access(nearest(path), os.W_OK | os.X_OK)
