"""Where is a study sent to? To each tracker that is configured."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ugro.config import TrackingConfig, WandbMode
from ugro.errors import UserError, fault
from ugro.paths import TRACKING, is_writable
from ugro.tracking.mlflow import SQLITE, Mlflow, place
from ugro.tracking.mlflow import refusal as mlflow_refusal
from ugro.tracking.updates import Tracker
from ugro.tracking.wandb import Wandb
from ugro.tracking.wandb import refusal as wandb_refusal

URI = "tracking.mlflow.uri"


def trackers_of(config: TrackingConfig, folder: Path) -> list[Tracker]:
    """The trackers; none of them is connected to.

    Args:
        config: checked
        folder: the study's
    """
    found: list[Tracker] = []
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


def contact(config: TrackingConfig, name: str) -> str:
    """Ask one tracker whether it would take a study; nothing is made there.

    Args:
        config: checked
        name: mlflow or wandb

    Raises:
        UserError: it does not answer, or does not let us in.
    """
    if name == "wandb" and config.wandb is not None:
        if config.wandb.mode is not WandbMode.online:
            return f"{config.wandb.mode.name}: nothing is sent"
        why, where = wandb_refusal(), "Weights & Biases"
        allowed = "a login: WANDB_API_KEY or wandb login; or WANDB_MODE=offline"
    else:
        assert config.mlflow is not None
        uri = config.mlflow.uri or ""
        where = place(uri)
        if uri.startswith(SQLITE):
            if not is_writable(Path(where.removeprefix(SQLITE)).parent):
                raise UserError(fault(URI, where, "a file that can be written"))
            return f"{where} can be written"
        why, allowed = mlflow_refusal(config.mlflow), "a server that answers and lets us in"
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
        yield fault(URI, place(as_written), allowed)


def _wandb(config: TrackingConfig) -> Iterator[str]:
    if config.wandb is not None and find_spec("wandb") is None:
        yield fault("tracking", "wandb", "it is not installed: pip install 'ugro[wandb]'")
