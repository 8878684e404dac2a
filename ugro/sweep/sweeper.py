"""How is a study set up? Planned, put together from its parts; then it runs."""

import logging
import shlex
import sys
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig, OmegaConf

from ugro.config import Direction
from ugro.errors import UserError, fault
from ugro.events import EventStream, ProposalRejected, StudyStarted
from ugro.objectives import objectives_of
from ugro.observers.audit import AuditLog, reports_in
from ugro.observers.lines import Lines
from ugro.schedulers.referee import Referee
from ugro.sweep.definition import check_same
from ugro.sweep.dry_run import show
from ugro.sweep.failures import Failures
from ugro.sweep.interruption import Interruption
from ugro.sweep.limits import Limits
from ugro.sweep.loop import Parts, Sweep, going_on
from ugro.sweep.plan import Plan, plan_of
from ugro.sweep.proposals import Proposals
from ugro.sweep.recorder import Recorder
from ugro.sweep.sampling import Sampling, sampler_of
from ugro.sweep.slots import InProcessSlot, Slots
from ugro.sweep.storage import check_no_password, sole_driver
from ugro.sweep.study import create_or_continue, metrics

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
    plan = plan_of(config, loader, arguments)
    if plan.of.study.dry_run:
        show(plan)
        return
    as_written: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=False)
    check_no_password(as_written["storage"])
    _make(Path(plan.of.study.dir))
    with sole_driver(plan.trial.hydra.sweeper.storage), Interruption() as interruption:
        slots = slots_of(launcher)
        slots.count()  # refuses a trial that fits nowhere
        _run(plan, slots, interruption)
    if interruption.asked():
        log.info("Continue with: %s", _command(plan.of.study.name))
        interruption.end()


def _run(plan: Plan, slots: Slots, interruption: Interruption) -> None:
    """Put the sweep together and run it."""
    of, feasible, settings = plan.of, plan.feasible, plan.trial.hydra.sweeper
    objectives = objectives_of(of.objectives)
    directions = [direction.name for direction in objectives.directions]
    study = create_or_continue(
        settings["study_name"], settings["storage"], objectives.names, directions
    )
    check_same(study, plan)
    past, unfinished = study.finished(), study.unfinished()
    tried = len(past) + len(unfinished)
    sampler = sampler_of(settings["sampler"], feasible.space, of.seed, tried)
    sampling = Sampling(sampler, directions, feasible, past)
    folder = Path(of.study.dir)
    log_file = folder / "events.jsonl"
    limits = Limits(of.study, objectives.directions[0] is Direction.maximize)
    for earlier in past:
        limits.trained(int(metrics(earlier).get("tokens_seen", 0)))
    for earlier in unfinished:
        limits.trained(earlier.last_step or 0)
    if (best := study.best()) is not None:
        limits.valued(best.values[0])
    referee = Referee(plan.trial.scheduler, of.stoppers, objectives, of.seed)
    referee.remember(reports_in(log_file), {trial.number for trial in unfinished})
    events = EventStream([AuditLog(log_file), Lines()])
    proposals = Proposals(
        sampling,
        feasible,
        plan.first,
        [earlier.params for earlier in (*past, *unfinished)],
        plan.total,
        lambda parameters, reasons: events.emit(ProposalRejected(parameters, tuple(reasons))),
        of.seed,
        of.study.allow_duplicates,
    )
    events.emit(
        StudyStarted(
            of.study.name,
            str(folder),
            plan.total,
            len(past),
            tuple(objectives.names),
            tuple(directions),
            tuple(plan.trial.hydra.overrides.task),
        )
    )
    failed = len(study.failed())
    allowed = settings["max_failure_rate"] * plan.total
    failures = Failures(allowed, of.study.fail_fast, failed, others=len(past) - failed)
    parts = Parts(
        Recorder(study), sampling, feasible, objectives, referee, slots, limits, failures, events
    )
    sweep = Sweep(parts, settings["n_jobs"], of.study.max_retries, of.stoppers, interruption.asked)
    sweep.run(proposals, [going_on(trial, sampling) for trial in unfinished])


def _make(folder: Path) -> None:
    """Make the study's folder.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / ".writable"
        trial.touch()
        trial.unlink()
    except OSError as error:
        allowed = f"a folder that can be written ({error.strerror})"
        raise UserError(fault("study.dir", str(folder), allowed)) from error


def _command(name: str) -> str:
    """What continues the study."""
    named = [] if any(one.startswith("study.name=") for one in sys.argv) else [f"study.name={name}"]
    return shlex.join(["python", *sys.argv, *named])


def slots_of(launcher: Launcher) -> Slots:
    """Slots on Ray, or around whatever other launcher Hydra has."""
    if isinstance(launcher, RayLauncher):
        from ugro.sweep.ray_slots import RaySlots

        return RaySlots(launcher)
    return InProcessSlot(launcher)
