"""Where is a study sent to? To each tracker that is configured."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ugro.config import TrackingConfig
from ugro.errors import UserError, fault
from ugro.files import TRACKING
from ugro.observers.changes import Destination
from ugro.observers.mlflow import Mlflow, place
from ugro.observers.wandb import Wandb

URI = "tracking.mlflow.uri"


def destinations(config: TrackingConfig, folder: Path) -> list[Destination]:
    """The trackers; none of them is connected to.

    Args:
        config: checked
        folder: the study's
    """
    found: list[Destination] = []
    if config.mlflow is not None:
        found.append(Mlflow(config.mlflow))
    if config.wandb is not None:
        found.append(Wandb(config.wandb, folder / TRACKING))
    return found


def alone(config: TrackingConfig, name: str) -> TrackingConfig:
    """The same with one tracker."""
    return TrackingConfig(**{name: getattr(config, name)})


def check(config: TrackingConfig, as_written: Mapping[str, Any] | None = None) -> None:
    """See that the trackers could be reached from here, by what can be known without trying.

    Args:
        config: interpolations resolved
        as_written: the same with its interpolations, as it gets into files; None: it does not

    Raises:
        UserError: they could not, a line each.
    """
    written = ((as_written or {}).get("mlflow") or {}).get("uri")
    faults = [*_mlflow(config, written), *_wandb(config)]
    if faults:
        raise UserError("\n".join(faults))


def _mlflow(config: TrackingConfig, as_written: str | None) -> Iterator[str]:
    if config.mlflow is None:
        return
    if not config.mlflow.uri:
        yield fault(URI, config.mlflow.uri, "a URI, or set MLFLOW_TRACKING_URI")
    elif not urlsplit(config.mlflow.uri).scheme:
        yield fault(URI, config.mlflow.uri, "sqlite:///FILE, http://HOST:PORT or https://HOST")
    elif as_written and "${" not in as_written and urlsplit(as_written).password:
        allowed = "no password: MLFLOW_TRACKING_PASSWORD has it, or the URI is ${oc.env:NAME}"
        yield fault(URI, place(as_written), allowed)


def _wandb(config: TrackingConfig) -> Iterator[str]:
    if config.wandb is not None and find_spec("wandb") is None:
        yield fault("tracking", "wandb", "it is not installed: pip install 'ugro[wandb]'")
