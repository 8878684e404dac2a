"""Schema of tracking: MLflow and Weights & Biases."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

WandbMode = Enum("WandbMode", ["online", "offline", "disabled"])


@dataclass
class MlflowConfig:
    """MLflow, in a file or on a server."""

    # Nullable: a worker may lack the environment variable that only the driver needs.
    uri: str | None = None
    """Tracking URI: sqlite:///FILE, http://HOST:PORT or https://HOST."""

    artifacts: str | None = None
    """Folder or URI of a new experiment's artifacts; null: the server decides."""

    experiment: str = MISSING
    """Experiment of all studies; each study is a run, its trials are nested runs."""


@dataclass
class WandbConfig:
    """Weights & Biases."""

    project: str = MISSING
    """Project of the runs."""

    entity: str | None = None
    """Team; null: the logged-in user."""

    mode: WandbMode = MISSING
    """online, offline (files for wandb sync) or disabled."""


@dataclass
class TrackingConfig:
    """The trackers of a study; null: not used."""

    mlflow: MlflowConfig | None = None
    """MLflow; null: not used."""

    wandb: WandbConfig | None = None
    """Weights & Biases; null: not used."""
