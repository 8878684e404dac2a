"""What of a study have its trackers not got? ``ugro track study.name=NAME`` sends it.

A server that knows nothing of the study gets all of it, from the audit log alone.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ugro.cli.study_lookup import STUDIES
from ugro.config import TrackingConfig
from ugro.errors import UserError, fault
from ugro.events.event_log import read
from ugro.events.events import StudyStarted
from ugro.paths import EVENTS
from ugro.retries import one_line
from ugro.tracking.exporter_process import SendLock, silence_mlflow
from ugro.tracking.outbox import Outbox, count_pending
from ugro.tracking.trackers import check, trackers_of
from ugro.tracking.updates import Tracker

GROUP = Path(__file__).parents[2] / "conf" / "tracking"
DEFAULT, SERVER = "mlflow", "mlflow_server"
ARGUMENTS = ("study.dir", "study.name", "tracking", "uri")


def main(arguments: Sequence[str]) -> None:
    """Send what is left of ``study.name=NAME``, by default the latest study of ``multirun/``.

    ``tracking=mlflow`` (or ``[mlflow,wandb]``) sends it elsewhere than the study was run with,
    ``uri=...`` to that MLflow; keys as ``tracking.wandb.mode=offline`` are those of ``train.py``.

    Raises:
        UserError: there is no such study, a tracker cannot be reached.
    """
    given = _given(arguments)
    folder = _folder(given)
    config = configured(folder, given)
    check(config)
    silence_mlflow()
    trackers = trackers_of(config, folder)
    if not trackers:
        raise UserError(fault("tracking", "none", f"{', '.join(_options())} or a list of them"))
    faults = [said for one in trackers if (said := _send(folder, one))]
    if faults:
        raise UserError("\n".join(faults))


def configured(folder: Path, given: Mapping[str, str]) -> TrackingConfig:
    """The trackers: those that are asked for, else those that the study was run with.

    Args:
        folder: the study's
        given: arguments by name

    Raises:
        UserError: there is no such tracker, or no such key of it.
    """
    if "uri" in given:
        own = _chosen(given.get("tracking", SERVER).replace(SERVER, DEFAULT))
        own["mlflow"] |= {"uri": given["uri"], "artifacts": None}
    elif "tracking" in given:
        own = _chosen(given["tracking"])
    else:
        own = _of(folder)
    dotted = [f"{key}={value}" for key, value in given.items() if key.startswith("tracking.")]
    try:
        schema = OmegaConf.create({"tracking": OmegaConf.structured(TrackingConfig)})
        merged = OmegaConf.merge(schema, {"tracking": own}, OmegaConf.from_dotlist(dotted))
        config = OmegaConf.to_object(merged.tracking)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error
    assert isinstance(config, TrackingConfig)
    return config


def _given(arguments: Sequence[str]) -> dict[str, str]:
    given = {key: value for key, _, value in (one.partition("=") for one in arguments)}
    for key in given:
        if key not in ARGUMENTS and not key.startswith("tracking."):
            raise UserError(fault("argument", key, f"{', '.join(ARGUMENTS)}, tracking.KEY"))
    return given


def _folder(given: Mapping[str, str]) -> Path:
    """The study's, which needs nothing but the audit log."""
    folder = Path(given.get("study.dir") or STUDIES / given.get("study.name", ""))
    if "study.dir" not in given and "study.name" not in given:
        logs = sorted(STUDIES.glob(f"*/{EVENTS}"), key=os.path.getmtime)
        if not logs:
            raise UserError(f"no study in {STUDIES}/ yet; run: make sweep")
        folder = logs[-1].parent
    if not (folder / EVENTS).exists():
        raise UserError(
            fault("study.name", folder.name, f"a study with an audit log {folder / EVENTS}")
        )
    return folder


def _chosen(text: str) -> dict[str, Any]:
    """The options of the group that are named, put together."""
    chosen: dict[str, Any] = {}
    for name in text.strip("[] ").split(","):
        if name.strip() not in _options():
            raise UserError(fault("tracking", name.strip(), ", ".join(_options())))
        chosen |= _plain(OmegaConf.load(GROUP / f"{name.strip()}.yaml"))
    return chosen


def _options() -> list[str]:
    return sorted(path.stem for path in GROUP.glob("*.yaml"))


def _of(folder: Path) -> dict[str, Any]:
    """What the study was last run with; the default where it was run without any."""
    said = [one for one in read(folder / EVENTS) if one["event"] == StudyStarted.__name__]
    tracking = said[-1].get("configuration", {}).get("tracking", {}) if said else {}
    own = {name: one for name, one in tracking.items() if one is not None}
    return own or _chosen(DEFAULT)


def _plain(config: Any) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(config, resolve=False)
    return dict(plain)


def _send(folder: Path, tracker: Tracker) -> str:
    """Send a study to one tracker; what is wrong, where that fails."""
    what = f"{tracker.name} at {tracker.where}"
    lock = SendLock(folder, tracker.name)
    if not lock.acquire():
        print(f"{what}: a driver of the study is sending to it")
        return ""
    try:
        outbox = Outbox(folder, tracker)
        sent = outbox.send()
        outbox.send_files()
        outbox.close()
    except Exception as error:  # whatever a tracker raises
        after = count_pending(folder, tracker.name, tracker.where)
        return f"{what} has not got {after} events: {one_line(error)}"
    finally:
        lock.release()
    print(f"{what}: {sent} events sent, nothing is left. To look at it: {tracker.view_hint}")
    return ""
