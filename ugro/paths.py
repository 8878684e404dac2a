"""Names of a study's files, which other programs rely on; where the code is; atomic writes."""

import os
from pathlib import Path

PACKAGE = Path(__file__).parent
CODE = PACKAGE.parent  # the checkout, or site-packages of an installed wheel

# In a study's folder.
DATABASE = "study.db"
EVENTS = "events.jsonl"
IDENTITY = "study.json"  # the study's id, as in its storage
TABLE = "trials.csv"
UPSTREAM_RESULTS = "optimization_results.yaml"
BEST = "experiment/best.yaml"
ANALYSIS = "analysis"
REPORT = "analysis/report.html"
SUMMARY = "analysis/summary.json"
TRIALS = "trials"
TRACKING = "tracking"  # state of the export to trackers
CONFIRM = "confirm"  # last part of the confirmation study's name and folder
REPRODUCED = "reproduced"  # reruns of trials, for comparison
# In a trial's folder.
CONFIG = ".hydra/config.yaml"
LOG = "train.log"
METRICS = "metrics.jsonl"
GENERATIONS = "generations.jsonl"  # of the best checkpoint, beside the base model's
GENERATIONS_OF_SET = "generations-{}.jsonl"  # the same on an evaluation set
PROVENANCE = "provenance.json"
CHECKPOINTS = "checkpoints"
ADAPTER = "adapter"


def is_checkout() -> bool:
    """Report whether the code runs from its repository: a wheel carries ``conf/`` inside."""
    return not (PACKAGE / "conf").is_dir()


def configuration_folder() -> Path:
    """Return ``conf/``: beside the package in a checkout, inside it in an installed wheel."""
    return CODE / "conf" if is_checkout() else PACKAGE / "conf"


def group_options(group: str) -> list[str]:
    """Return the names of a configuration group's options, sorted."""
    return sorted(path.stem for path in (configuration_folder() / group).glob("*.yaml"))


def trial_subdir(number: int) -> str:
    """Return a trial's folder relative to the study's folder."""
    return f"{TRIALS}/{number:04d}"


def trial_folder(study_folder: Path, number: int) -> Path:
    """Return a trial's folder."""
    return study_folder / trial_subdir(number)


def write_atomically(path: Path, text: str) -> None:
    """Write a text file atomically and create its folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


def nearest(path: Path) -> Path:
    """Return the folder, or its nearest existing parent."""
    path = path.absolute()
    return next((folder for folder in (path, *path.parents) if folder.is_dir()), Path("/"))


def is_writable(path: Path) -> bool:
    """Whether a folder is writable or could be created."""
    return os.access(nearest(path), os.W_OK | os.X_OK)
