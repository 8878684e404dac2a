"""Set a study up: plan it, put it together from its parts, run it."""

import logging
import zlib
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from ugro.artifact_store import check as check_artifacts
from ugro.config import Config, Direction, StudyConfig
from ugro.errors import ClusterLost
from ugro.events.event_log import Follower, read, reports_in
from ugro.events.events import EventStream, Observer, ProposalRejected, StudyStarted, TrialReported
from ugro.events.study_state import StudyState
from ugro.executors.executor import Executor, InProcessExecutor
from ugro.objectives.objectives import objectives_of
from ugro.observers.audit_log import AuditLog
from ugro.observers.checkpoint_cleanup import CheckpointCleanup
from ugro.observers.console_log import ConsoleLog
from ugro.observers.live_display import LiveDisplay, is_watched
from ugro.paths import CHECKPOINTS, CONFIRM, EVENTS, trial_folder
from ugro.provenance import provenance
from ugro.sampling.sampler import Sampler, sampler_of
from ugro.shell import this_command
from ugro.study.event_replay import space_as_json
from ugro.study.identity import open_study
from ugro.study.recorder import Recorder
from ugro.study.storage import check_url, is_shared
from ugro.study.study import Study, tokens_of
from ugro.sweep.confirmation import confirm_best
from ugro.sweep.definition import begin_group, check_same
from ugro.sweep.drivers import Drivers, begin
from ugro.sweep.dry_run import show
from ugro.sweep.failures import Failures
from ugro.sweep.fingerprints import DataChangedError, Fingerprints
from ugro.sweep.held_out import measure_winner
from ugro.sweep.interruption import Interruption
from ugro.sweep.limits import Limits
from ugro.sweep.loop import Parts, Sweep
from ugro.sweep.peers import NoPeers, SharedStudy
from ugro.sweep.plan import Plan, plan_of
from ugro.sweep.preflight import preflight
from ugro.sweep.proposals import Proposals
from ugro.sweep.study_folder import made
from ugro.tracking.exporter import Exporter
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
        config: the sweep's configuration; its study has its final name
        loader: Hydra's, which composes a trial's configuration
        launcher: where trials run
        arguments: the command line's overrides

    Raises:
        UserError: something that was asked for is impossible; nothing was started.
        StudyFailed: too many trials failed; what was computed is kept.
    """
    if config.study.preflight:
        preflight(config, loader, lambda: executor_of(launcher), arguments)
        return
    plan = plan_of(config, loader, arguments)
    if plan.config.study.dry_run:
        show(plan)
        return
    as_written: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    storage = plan.trial.hydra.sweeper.storage
    check_url(as_written["storage"], storage)
    tracking: Any = OmegaConf.to_container(config.tracking, resolve=False)
    check_tracking(plan.config.tracking, tracking)
    check_artifacts(plan.config.study.artifacts, plan.config.study.name)
    drivers = Drivers(made(Path(plan.config.study.dir)))
    alone = not is_shared(storage)
    with drivers.joined(alone), Interruption() as interruption:
        slots = executor_of(launcher)
        slots.count()  # refuses a trial that fits nowhere
        given = _as_given(config, arguments)
        try:
            _run_or_begin_group(plan, given, slots, drivers, interruption)
            again = None
            if plan.config.study.confirm and not interruption.asked():
                again = confirm_best(plan, config, loader)
            if again is not None:
                drivers = Drivers(made(Path(again.config.study.dir)))
                with drivers.joined(alone):
                    _run(again, given, slots, drivers, interruption)
        except ClusterLost:
            log.info("Continue with: %s", this_command(plan.config.study.name))
            raise
    if interruption.asked():
        log.info("Continue with: %s", this_command(plan.config.study.name))
        interruption.end()


def _run_or_begin_group(
    plan: Plan,
    given: tuple[str, ...],
    slots: Executor,
    drivers: Drivers,
    interruption: Interruption,
) -> None:
    """Run the sweep; where its data have changed and may, with a new group of trials."""
    try:
        _run(plan, given, slots, drivers, interruption)
    except DataChangedError as changed:
        if not (plan.config.study.allow_change and changed.since_before):
            raise
        if (study := _study(plan, drivers)).group == changed.group:  # no other driver did it
            begin_group(study)
        _run(plan, given, slots, drivers, interruption)


def _run(
    plan: Plan,
    given: tuple[str, ...],
    slots: Executor,
    drivers: Drivers,
    interruption: Interruption,
) -> None:
    """Put the sweep together and run it; ``given`` are the command line's overrides."""
    of, feasible, settings = plan.config, plan.feasible, plan.trial.hydra.sweeper
    objectives = objectives_of(of.objectives)
    shared = is_shared(settings["storage"])
    folder = Path(of.study.dir)
    log_file = folder / EVENTS
    events = EventStream(observers_of(folder, of))
    study = _study(plan, drivers)
    past, pending = study.finished(), [*study.unfinished(), *study.running()]
    own = {trial.number for trial in study.trials()}
    others = {trial.number for trial in study.every()} - own  # of earlier groups
    once, known = not of.study.allow_duplicates, {trial.number for trial in past}
    peers = SharedStudy(study, drivers, log_file, plan.total, once, known) if shared else NoPeers()
    seed = (of.seed + (zlib.crc32(drivers.own.encode()) if shared else 0)) % 2**31
    sampler = sampler_of(settings["sampler"], feasible.space, seed, len(past) + len(pending))
    sampling = Sampler(sampler, study.directions, feasible, past)
    early_stopping = plan.early_stopping()
    told = (one for one in reports_in(log_file) if one[0] not in others)
    early_stopping.remember(told, {trial.number for trial in pending})
    proposals = Proposals(
        sampling,
        feasible,
        plan.first,
        [*past, *pending],
        plan.total,
        lambda parameters, reasons: events.emit(ProposalRejected(parameters, tuple(reasons))),
        seed,
        of.study.allow_duplicates,
    )
    begin(folder, study)
    events.emit(
        StudyStarted(
            of.study.name,
            str(folder),
            plan.total,
            len(past),
            tuple(objectives.names),
            tuple(study.directions),
            given,
            plan.as_it_is,
            provenance(),
            study.id,
            study.group,
            study.definition(),
            space_as_json(feasible.space.distributions),
        )
    )
    failed = len(study.failed())
    allowed = settings["max_failure_rate"] * plan.total
    recorder = Recorder(study, drivers.own, shared)
    parts = Parts(
        recorder=recorder,
        sampling=sampling,
        feasible=feasible,
        objectives=objectives,
        early_stopping=early_stopping,
        slots=slots,
        limits=_limits(of.study, study),
        failures=Failures(allowed, of.study.fail_fast, failed, others=len(past) - failed),
        events=events,
        peers=peers,
        fingerprints=Fingerprints(of.study.name, study.group, study.data(), recorder.keep_data),
        group=study.group,
    )

    def measure() -> None:
        if not of.study.name.endswith(f"/{CONFIRM}"):
            measure_winner(plan, study, slots, events, interruption.asked)

    sweep = Sweep(
        parts,
        settings["n_jobs"],
        of.study.max_retries,
        of.stoppers,
        interruption.asked,
        at_the_end=measure,
    )
    sweep.run(proposals, () if shared else pending)


def _study(plan: Plan, drivers: Drivers) -> Study:
    """The study, new or as it was left; what nobody works on any more waits to go on."""
    settings, folder = plan.trial.hydra.sweeper, Path(plan.config.study.dir)
    objectives = objectives_of(plan.config.objectives)
    with drivers.one_at_a_time():
        study = open_study(settings["study_name"], settings["storage"], folder, objectives)
        check_same(study, plan)
        for searched, parts in plan.data.items():
            study.keep_data(searched, parts)
        study.close_abandoned(drivers.is_alive)
    return study


def _limits(config: StudyConfig, study: Study) -> Limits:
    """The study's limits, and what of them is used up."""
    limits = Limits(config, maximised=study.directions[0] == Direction.maximize.name)
    for trial in study.trials():
        limits.trained(trial.number, tokens_of(trial))
    if (best := study.best()) is not None:
        limits.valued(best.values[0])
    return limits


def _as_given(config: DictConfig, arguments: list[str]) -> tuple[str, ...]:
    """The command line's overrides, Hydra's own and the folder of configurations among them.

    Interpolations stay as they are written: a variable of the environment may hold a password.
    """
    of_hydra: Any = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    sources = config.hydra.runtime.config_sources
    flags = [f"--config-dir={one.path}" for one in sources if one.provider == "command-line"]
    return (*flags, *arguments, *(one for one in of_hydra if not one.startswith("hydra.mode=")))


def executor_of(launcher: Launcher) -> Executor:
    """Executor on Ray, or around whatever other launcher Hydra has."""
    if isinstance(launcher, RayLauncher):
        from ugro.executors.ray_executor import RayExecutor

        return RayExecutor(launcher)
    return InProcessExecutor(launcher)


def observers_of(folder: Path, config: Config) -> list[Observer]:
    """Create the configured observers, the audit log first: what is shown is on disk.

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
