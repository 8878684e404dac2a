"""What may be configured of tracking: where people look at runs."""

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

WandbMode = Enum("WandbMode", ["online", "offline", "disabled"])


@dataclass
class MlflowConfig:
    """MLflow, embedded or on a server."""

    # Of a worker, too, that may lack a variable of the environment: only the driver needs it.
    uri: str | None = None
    artifacts: str | None = None  # a folder or URI; null: the server decides
    experiment: str = MISSING


@dataclass
class WandbConfig:
    """Weights & Biases."""

    project: str = MISSING
    entity: str | None = None
    mode: WandbMode = MISSING


@dataclass
class TrackingConfig:
    """Each destination that a study's runs are sent to; null: not there."""

    mlflow: MlflowConfig | None = None
    wandb: WandbConfig | None = None
