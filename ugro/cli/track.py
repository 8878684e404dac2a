"""Send a study's missing events to its trackers: ``ugro track study.name=NAME``.

A server that does not know the study gets all of it, from the audit log alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ugro.cli.arguments import parse
from ugro.cli.study_lookup import study_folder
from ugro.config import TrackingConfig
from ugro.errors import UserError, fault
from ugro.events.event_log import read
from ugro.events.events import StudyStarted
from ugro.paths import EVENTS, configuration_folder, group_options
from ugro.retries import one_line
from ugro.tracking.exporter_process import SendLock, silence_mlflow
from ugro.tracking.outbox import Outbox, count_pending
from ugro.tracking.trackers import check, trackers_of
from ugro.tracking.updates import Tracker

GROUP = "tracking"
DEFAULT, SERVER = "mlflow", "mlflow_server"


def main(arguments: Sequence[str]) -> None:
    """Send the events that a study's trackers lack.

    Args:
        arguments: the study, by default the latest; ``tracking=[mlflow,wandb]`` for other trackers
            than the study ran with; ``uri=URI`` for another MLflow; settings of the trackers as
            ``ugro train`` takes them, ``tracking.wandb.mode=offline``

    Raises:
        UserError: there is no such study, or a tracker cannot be reached.
    """
    given = parse("track", arguments)
    folder = _folder(given)
    config = configured(folder, given)
    check(config)
    silence_mlflow()
    trackers = trackers_of(config, folder)
    if not trackers:
        raise UserError(
            fault("tracking", "none", f"{', '.join(group_options(GROUP))} or a list of them")
        )
    faults = [line for one in trackers if (line := _send(folder, one))]
    if faults:
        raise UserError("\n".join(faults))


def configured(folder: Path, given: Mapping[str, str]) -> TrackingConfig:
    """Return the settings of the trackers that are asked for, else of those of the study.

    Args:
        folder: the study's
        given: values by key

    Raises:
        UserError: there is no such tracker, or it has no such key.
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


def _folder(given: Mapping[str, str]) -> Path:
    """Return the study's folder; it needs no database."""
    folder = study_folder(given.get("study.dir"), given.get("study.name"), EVENTS)
    if not (folder / EVENTS).exists():
        raise UserError(
            fault("study.name", folder.name, f"a study with an audit log {folder / EVENTS}")
        )
    return folder


def _chosen(text: str) -> dict[str, Any]:
    """Merge the named options of ``conf/tracking/``."""
    chosen: dict[str, Any] = {}
    options = group_options(GROUP)
    for name in text.strip("[] ").split(","):
        if name.strip() not in options:
            raise UserError(fault("tracking", name.strip(), ", ".join(options)))
        option = configuration_folder() / GROUP / f"{name.strip()}.yaml"
        chosen |= _plain(OmegaConf.load(option))
    return chosen


def _of(folder: Path) -> dict[str, Any]:
    """Return the trackers that the study last ran with, the default if it ran without."""
    starts = [event for event in read(folder / EVENTS) if event["event"] == StudyStarted.__name__]
    tracking = starts[-1].get("configuration", {}).get("tracking", {}) if starts else {}
    own = {name: one for name, one in tracking.items() if one is not None}
    return own or _chosen(DEFAULT)


def _plain(config: Any) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(config, resolve=False)
    return dict(plain)


def _send(folder: Path, tracker: Tracker) -> str:
    """Send a study to a tracker; return the error, empty if there is none."""
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
