"""Setup of a sweep: plan the study, assemble its components and run it."""

import logging
import zlib
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from ugro.artifact_store import check as check_artifacts
from ugro.errors import ClusterLost
from ugro.events.events import EventStream, ModelChanged, ProposalRejected
from ugro.executors.executor import Executor
from ugro.objectives.objectives import objectives_of
from ugro.paths import CONFIRM
from ugro.sampling.configured_sampler import sampler_of
from ugro.shell import this_command
from ugro.study.recorder import Recorder
from ugro.study.storage import check_url, is_shared
from ugro.sweep.assembly import (
    estimating_executor,
    executor_of,
    limits_of,
    observers_of,
    open_study,
    peers_of,
    restored_early_stopping,
    start_event,
)
from ugro.sweep.components import Components
from ugro.sweep.confirmation import confirm_best
from ugro.sweep.definition import begin_group
from ugro.sweep.drivers import Drivers, register_study
from ugro.sweep.dry_run import show
from ugro.sweep.failures import Failures
from ugro.sweep.fingerprints import DataChangedError, Fingerprints
from ugro.sweep.held_out import measure_winner
from ugro.sweep.loop import Sweep
from ugro.sweep.plan import Plan, plan_of
from ugro.sweep.preflight.preflight import preflight
from ugro.sweep.proposals import Proposals
from ugro.sweep.signal_handling import Interruption
from ugro.sweep.study_folder import prepare_folder
from ugro.tracking.trackers import check as check_tracking

log = logging.getLogger(__name__)


def run_sweep(
    config: DictConfig,
    loader: ConfigLoader,
    launcher: Launcher,
    arguments: list[str],
) -> None:
    """Run the study to its end.

    Args:
        config: the sweep's configuration, with the final name of its study
        loader: Hydra's config loader, which composes configurations of trials
        launcher: Hydra's launcher
        arguments: overrides of the command line

    Raises:
        UserError: the configuration is invalid; nothing was started.
        StudyFailed: too many trials failed; finished trials are kept.
    """
    if config.study.preflight:
        estimates = config.estimate.gpu_memory_gb is not None
        create = estimating_executor if estimates else executor_of
        preflight(config, loader, lambda: create(launcher), arguments)
        return
    plan = plan_of(config, loader, arguments)
    if plan.config.study.dry_run:
        show(plan)
        return
    _check_servers(config, plan)
    drivers = Drivers(prepare_folder(Path(plan.config.study.dir)))
    alone = not is_shared(plan.trial.hydra.sweeper.storage)
    with drivers.join(alone), Interruption() as interruption:
        executor = executor_of(launcher)
        executor.count()  # raises if no node can hold a trial
        overrides = _all_overrides(config, arguments)
        try:
            _run_or_begin_group(plan, overrides, executor, drivers, interruption)
            confirmation = None
            if plan.config.study.confirm and not interruption.requested():
                confirmation = confirm_best(plan, config, loader)
            if confirmation is not None:
                drivers = Drivers(prepare_folder(Path(confirmation.config.study.dir)))
                with drivers.join(alone):
                    _run(confirmation, overrides, executor, drivers, interruption)
        except ClusterLost:
            log.info("Continue with: %s", this_command(plan.config.study.name))
            raise
    if interruption.requested():
        log.info("Continue with: %s", this_command(plan.config.study.name))
        interruption.end()


def _check_servers(config: DictConfig, plan: Plan) -> None:
    """Check storage, trackers and artifacts before anything is created."""
    sweeper: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    check_url(sweeper["storage"], plan.trial.hydra.sweeper.storage)
    tracking: Any = OmegaConf.to_container(config.tracking, resolve=False)
    check_tracking(plan.config.tracking, tracking)
    check_artifacts(plan.config.study.artifacts, plan.config.study.name)


def _run_or_begin_group(
    plan: Plan,
    overrides: tuple[str, ...],
    executor: Executor,
    drivers: Drivers,
    interruption: Interruption,
) -> None:
    """Run the sweep, in a new group of trials if an allowed change of the data requires it."""
    try:
        _run(plan, overrides, executor, drivers, interruption)
    except DataChangedError as changed:
        if not (plan.config.study.allow_change and changed.from_earlier_run):
            raise
        study = open_study(plan, drivers)
        if study.group == changed.group:  # no other driver has started the new group
            begin_group(study)
        _run(plan, overrides, executor, drivers, interruption)


def _run(
    plan: Plan,
    overrides: tuple[str, ...],
    executor: Executor,
    drivers: Drivers,
    interruption: Interruption,
) -> None:
    """Assemble the sweep and run it."""
    config, feasible, settings = plan.config, plan.feasible, plan.trial.hydra.sweeper
    shared = is_shared(settings["storage"])
    folder = Path(config.study.dir)
    events = EventStream(observers_of(folder, config))
    study = open_study(plan, drivers)
    past, pending = study.finished(), [*study.unfinished(), *study.running()]
    peers = peers_of(plan, study, drivers, past)
    seed = (config.seed + (zlib.crc32(drivers.own.encode()) if shared else 0)) % 2**31
    sampler = sampler_of(
        settings["sampler"],
        study.directions,
        feasible,
        seed,
        past,
        len(past) + len(pending),
        on_change=lambda model, reason: events.emit(ModelChanged(model, reason)),
    )
    early_stopping = restored_early_stopping(plan, study, pending)
    proposals = Proposals(
        sampler,
        feasible,
        plan.first,
        [*past, *pending],
        plan.total,
        lambda parameters, reasons: events.emit(ProposalRejected(parameters, tuple(reasons))),
        seed,
        config.study.allow_duplicates,
        early_stopping.propose,
    )
    register_study(folder, study)
    events.emit(start_event(plan, study, overrides, len(past)))
    failed = len(study.failed())
    allowed = settings["max_failure_rate"] * plan.total
    recorder = Recorder(study, drivers.own, shared)
    parts = Components(
        recorder=recorder,
        sampler=sampler,
        feasible=feasible,
        objectives=objectives_of(config.objectives),
        early_stopping=early_stopping,
        executor=executor,
        limits=limits_of(config.study, study),
        failures=Failures(allowed, config.study.fail_fast, failed, others=len(past) - failed),
        events=events,
        peers=peers,
        fingerprints=Fingerprints(config.study.name, study.group, study.data(), recorder.keep_data),
        group=study.group,
    )

    def measure() -> None:
        if not config.study.name.endswith(f"/{CONFIRM}"):
            measure_winner(plan, study, executor, events, interruption.requested)

    sweep = Sweep(
        parts,
        settings["n_jobs"],
        config.study.max_retries,
        config.stoppers,
        interruption.requested,
        on_complete=measure,
    )
    sweep.run(proposals, () if shared else pending)


def _all_overrides(config: DictConfig, arguments: list[str]) -> tuple[str, ...]:
    """Return the command line's overrides, with those of Hydra and ``--config-dir``.

    Interpolations stay unresolved: an environment variable may hold a password.
    """
    of_hydra: Any = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    sources = config.hydra.runtime.config_sources
    flags = [
        f"--config-dir={source.path}" for source in sources if source.provider == "command-line"
    ]
    mode = "hydra.mode="
    return (*flags, *arguments, *(item for item in of_hydra if not item.startswith(mode)))
