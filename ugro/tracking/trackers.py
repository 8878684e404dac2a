"""Create, check and contact the configured trackers."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ugro.config import TrackingConfig, WandbMode
from ugro.errors import UserError, fault
from ugro.paths import TRACKING, is_writable
from ugro.tracking.mlflow import SQLITE, Mlflow, public_uri
from ugro.tracking.mlflow import connection_error as mlflow_error
from ugro.tracking.updates import Tracker
from ugro.tracking.wandb import Wandb
from ugro.tracking.wandb import connection_error as wandb_error

URI = "tracking.mlflow.uri"


def trackers_of(config: TrackingConfig, folder: Path) -> list[Tracker]:
    """Return the configured trackers, not yet connected.

    Args:
        config: validated
        folder: the study's
    """
    found: list[Tracker] = []
    if config.mlflow is not None:
        found.append(Mlflow(config.mlflow))
    if config.wandb is not None:
        found.append(Wandb(config.wandb, folder / TRACKING))
    return found


def only(config: TrackingConfig, name: str) -> TrackingConfig:
    """Return the configuration reduced to one tracker."""
    return TrackingConfig(**{name: getattr(config, name)})


def check(config: TrackingConfig, as_written: Mapping[str, Any] | None = None) -> None:
    """Check the trackers' settings without connecting.

    Args:
        config: with resolved interpolations
        as_written: with unresolved interpolations, as it is written to files; None: not written

    Raises:
        UserError: a setting is wrong; one line per fault.
    """
    written = ((as_written or {}).get("mlflow") or {}).get("uri")
    faults = [*_mlflow(config, written), *_wandb(config)]
    if faults:
        raise UserError("\n".join(faults))


def contact(config: TrackingConfig, name: str) -> str:
    """Ask a tracker whether it would accept a study, and return its answer; creates nothing.

    Args:
        config: validated
        name: mlflow or wandb

    Raises:
        UserError: the tracker does not answer or rejects the login.
    """
    if name == "wandb" and config.wandb is not None:
        if config.wandb.mode is not WandbMode.online:
            return f"{config.wandb.mode.name}: nothing is sent"
        why, where = wandb_error(), "Weights & Biases"
        allowed = "a login: WANDB_API_KEY or wandb login; or WANDB_MODE=offline"
    else:
        assert config.mlflow is not None
        uri = config.mlflow.uri or ""
        where = public_uri(uri)
        if uri.startswith(SQLITE):
            if not is_writable(Path(where.removeprefix(SQLITE)).parent):
                raise UserError(fault(URI, where, "a file that can be written"))
            return f"{where} can be written"
        why, allowed = mlflow_error(config.mlflow), "a server that answers and lets us in"
    if why is not None:
        key = URI if name == "mlflow" else "tracking.wandb"
        raise UserError(fault(key, where, f"{allowed} ({why})"))
    return f"{where} answers"


def _mlflow(config: TrackingConfig, as_written: str | None) -> Iterator[str]:
    if config.mlflow is None:
        return
    if not config.mlflow.uri:
        yield fault(URI, config.mlflow.uri, "a URI, or set MLFLOW_TRACKING_URI")
    elif not urlsplit(config.mlflow.uri).scheme:
        yield fault(URI, config.mlflow.uri, "sqlite:///FILE, http://HOST:PORT or https://HOST")
    elif as_written and "${" not in as_written and urlsplit(as_written).password:
        allowed = "no password: MLFLOW_TRACKING_PASSWORD has it, or the URI is ${oc.env:NAME}"
        yield fault(URI, public_uri(as_written), allowed)


def _wandb(config: TrackingConfig) -> Iterator[str]:
    if config.wandb is not None and find_spec("wandb") is None:
        yield fault("tracking", "wandb", "it is not installed: pip install 'ugro[wandb]'")
