"""Who watches a study? Its observers, as configured."""

from pathlib import Path

from rich.console import Console

from ugro.config import Config
from ugro.event_log import Follower, read
from ugro.events import Observer, TrialReported
from ugro.files import CHECKPOINTS, EVENTS, trial_folder
from ugro.observers.audit import AuditLog
from ugro.observers.courier import Courier
from ugro.observers.lines import Lines
from ugro.observers.progress import Progress, is_watched
from ugro.observers.standing import Standing
from ugro.observers.tidy import Tidy


def observers_of(folder: Path, config: Config) -> list[Observer]:
    """Who watches, the audit log first: what is shown was written down.

    Args:
        folder: the study's
        config: with ``monitoring``

    Raises:
        UserError: an observer cannot do its work as configured.
    """
    path, console = folder / EVENTS, Console()
    earlier = [said for said in read(path) if said["event"] != TrialReported.__name__]
    observers: list[Observer] = [
        AuditLog(path),
        Lines(Standing(earlier, Follower(path).events)),
        Tidy(lambda number: trial_folder(folder, number) / CHECKPOINTS),
    ]
    if config.monitoring.prometheus is not None:
        from ugro.observers.prometheus import Prometheus

        observers.append(Prometheus(config.monitoring.prometheus))
    if config.tracking.mlflow is not None or config.tracking.wandb is not None:
        observers.append(Courier(folder, config.tracking))
    if is_watched(console):
        observers.append(Progress(Standing(earlier, Follower(path).events), console))
    return observers
