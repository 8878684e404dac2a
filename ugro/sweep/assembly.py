"""Creation of a sweep's components from its plan."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.plugins.launcher import Launcher
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from optuna.trial import FrozenTrial
from rich.console import Console

from ugro.config import Config, Direction, StudyConfig
from ugro.events.event_log import Follower, read, scheduler_events
from ugro.events.events import Observer, StudyStarted, TrialReported
from ugro.events.study_state import StudyState
from ugro.executors.executor import Executor, InProcessExecutor
from ugro.objectives.objectives import objectives_of
from ugro.observers.audit_log import AuditLog
from ugro.observers.checkpoint_cleanup import CheckpointCleanup
from ugro.observers.console_log import ConsoleLog
from ugro.observers.live_display import LiveDisplay, is_watched
from ugro.paths import CHECKPOINTS, EVENTS, trial_folder
from ugro.provenance import provenance
from ugro.schedulers.early_stopping import EarlyStopping
from ugro.study.event_replay import space_as_json
from ugro.study.identity import open_record
from ugro.study.storage import is_shared
from ugro.study.study import Study
from ugro.study.trial_record import tokens_of
from ugro.sweep.definition import check_same
from ugro.sweep.drivers import Drivers
from ugro.sweep.limits import Limits
from ugro.sweep.other_drivers import NoPeers, Peers, SharedStudy
from ugro.sweep.plan import Plan
from ugro.tracking.exporter import Exporter


def executor_of(launcher: Launcher) -> Executor:
    """Create the executor: on Ray, or around any other launcher of Hydra."""
    if isinstance(launcher, RayLauncher):
        from ugro.executors.ray_executor import RayExecutor

        return RayExecutor(launcher)
    return InProcessExecutor(launcher)


def estimating_executor(launcher: Any) -> Executor:  # every Hydra launcher has these attributes
    """Create the executor of estimates: in this process, without the launcher's resources."""
    local = BasicLauncher()
    local.setup(
        hydra_context=launcher.hydra_context,
        task_function=launcher.task_function,
        config=launcher.config,
    )
    return InProcessExecutor(local)


def observers_of(folder: Path, config: Config) -> list[Observer]:
    """Create the configured observers, the audit log first: what is shown is on disk.

    Args:
        folder: the study's folder
        config: the configuration, with ``monitoring`` and ``tracking``

    Raises:
        UserError: an observer cannot work as configured.
    """
    path, console = folder / EVENTS, Console()
    earlier = [event for event in read(path) if event["event"] != TrialReported.__name__]
    observers: list[Observer] = [
        AuditLog(path),
        ConsoleLog(StudyState(earlier, Follower(path).events)),
        CheckpointCleanup(lambda number: trial_folder(folder, number) / CHECKPOINTS),
    ]
    if config.monitoring.prometheus is not None:
        from ugro.observers.prometheus import Prometheus

        observers.append(Prometheus(config.monitoring.prometheus))
    if config.tracking.mlflow is not None or config.tracking.wandb is not None:
        observers.append(Exporter(folder, config.tracking))
    if is_watched(console):
        observers.append(LiveDisplay(StudyState(earlier, Follower(path).events), console))
    return observers


def open_study(plan: Plan, drivers: Drivers) -> Study:
    """Create or open the study and release the trials of dead drivers.

    Raises:
        UserError: the study has another definition, or cannot be opened.
    """
    settings, folder = plan.trial.hydra.sweeper, Path(plan.config.study.dir)
    objectives = objectives_of(plan.config.objectives)
    with drivers.exclusive():
        study = open_record(settings["study_name"], settings["storage"], folder, objectives)
        check_same(study, plan)
        for searched, parts in plan.data.items():
            study.keep_data(searched, parts)
        study.close_abandoned(drivers.is_alive)
    return study


def peers_of(plan: Plan, study: Study, drivers: Drivers, finished: Sequence[FrozenTrial]) -> Peers:
    """Create the peers: other drivers exist only with a shared storage.

    Args:
        plan: plan of the sweep
        study: the study
        drivers: registry of its drivers
        finished: trials that finished before this driver started
    """
    if not is_shared(plan.trial.hydra.sweeper["storage"]):
        return NoPeers()
    return SharedStudy(
        study,
        drivers,
        Path(plan.config.study.dir) / EVENTS,
        plan.total,
        unique=not plan.config.study.allow_duplicates,
        finished={trial.number for trial in finished},
    )


def restored_early_stopping(
    plan: Plan, study: Study, pending: Sequence[FrozenTrial]
) -> EarlyStopping:
    """Create early stopping with the reports of the study's current group.

    Args:
        plan: plan of the sweep
        study: the study
        pending: trials that are running, are paused or will be resumed
    """
    own = {trial.number for trial in study.trials()}
    other_groups = {trial.number for trial in study.every()} - own
    events = scheduler_events(read(Path(plan.config.study.dir) / EVENTS))
    early_stopping = plan.early_stopping()
    early_stopping.remember(
        (event for event in events if event.number not in other_groups),
        {trial.number for trial in pending},
    )
    return early_stopping


def limits_of(config: StudyConfig, study: Study) -> Limits:
    """Create the study's limits and count its earlier trials."""
    limits = Limits(config, maximised=study.directions[0] == Direction.maximize.name)
    for trial in study.trials():
        limits.add_tokens(trial.number, tokens_of(trial))
    if (best := study.best()) is not None:
        limits.add_value(best.values[0])
    return limits


def start_event(
    plan: Plan, study: Study, overrides: tuple[str, ...], finished: int
) -> StudyStarted:
    """Create the event that starts or resumes a study.

    Args:
        plan: plan of the sweep
        study: the study
        overrides: overrides of the command line
        finished: number of finished trials
    """
    return StudyStarted(
        plan.config.study.name,
        str(Path(plan.config.study.dir)),
        plan.total,
        finished,
        tuple(objectives_of(plan.config.objectives).names),
        tuple(study.directions),
        overrides,
        plan.base_config,
        provenance(),
        study.id,
        study.group,
        study.definition(),
        space_as_json(plan.feasible.space.distributions),
    )
