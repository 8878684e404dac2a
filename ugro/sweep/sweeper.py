"""How is a study set up? Planned, put together from its parts; then it runs."""

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.plugins.launcher import Launcher
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig

from ugro.config import Direction
from ugro.errors import UserError, fault
from ugro.events import EventStream, ProposalRejected, StudyStarted
from ugro.objectives import objectives_of
from ugro.observers.audit import AuditLog
from ugro.observers.lines import Lines
from ugro.schedulers.referee import Referee
from ugro.sweep.dry_run import show
from ugro.sweep.feasible import FeasibleSpace
from ugro.sweep.limits import Limits
from ugro.sweep.loop import Parts, Sweep
from ugro.sweep.plan import Plan, plan_of
from ugro.sweep.proposals import Proposals
from ugro.sweep.recorder import Recorder
from ugro.sweep.sampling import Sampling, sampler_of
from ugro.sweep.slots import InProcessSlot, Slots
from ugro.sweep.study import Study, create_or_continue, metrics


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
    slots = slots_of(launcher)
    slots.count()  # refuses a trial that fits nowhere
    with _terminable():
        _run(plan, slots)


def _run(plan: Plan, slots: Slots) -> None:
    """Put the sweep together and run it."""
    of, feasible, settings = plan.of, plan.feasible, plan.trial.hydra.sweeper
    objectives = objectives_of(of.objectives)
    directions = [direction.name for direction in objectives.directions]
    study = _study(settings, feasible, objectives.names, directions)
    past = study.finished()
    sampler = sampler_of(settings["sampler"], feasible.space, of.seed, len(past))
    sampling = Sampling(sampler, directions, feasible, past)
    folder = Path(of.study.dir)
    folder.mkdir(parents=True, exist_ok=True)
    events = EventStream([AuditLog(folder / "events.jsonl"), Lines()])
    limits = Limits(of.study, objectives.directions[0] is Direction.maximize)
    for earlier in past:
        limits.trained(int(metrics(earlier).get("tokens_seen", 0)))
    if (best := study.best()) is not None:
        limits.valued(best.values[0])
    referee = Referee(plan.trial.scheduler, of.stoppers, objectives, of.seed)
    proposals = Proposals(
        sampling,
        feasible,
        plan.first,
        [earlier.params for earlier in past],
        plan.total,
        lambda parameters, reasons: events.emit(ProposalRejected(parameters, tuple(reasons))),
        of.seed,
        of.study.allow_duplicates,
    )
    names = tuple(objectives.names)
    events.emit(
        StudyStarted(of.study.name, str(folder), plan.total, len(past), names, tuple(directions))
    )
    parts = Parts(Recorder(study), sampling, feasible, objectives, referee, slots, limits, events)
    max_failures = settings["max_failure_rate"] * plan.total
    Sweep(parts, settings["n_jobs"], max_failures, of.stoppers).run(proposals)


def _study(
    settings: Mapping[str, Any],
    feasible: FeasibleSpace,
    objectives: Sequence[str],
    directions: Sequence[str],
) -> Study:
    """The study, unless one of this name searches something else."""
    name = settings["study_name"]
    study = create_or_continue(name, settings["storage"], objectives, directions)
    before = study.searched()
    changed = before != {key: feasible.space.distributions.get(key) for key in before}
    if changed or (study.trials() and not before and feasible.unconditional):
        allowed = f"a new name, as the study of this name searches another space: {before}"
        raise UserError(fault("study.name", name, allowed))
    told = [direction.name.lower() for direction in study.record.directions]
    if study.objectives != tuple(objectives) or told != list(directions):
        allowed = f"a new name, as the study of this name has other objectives: {study.objectives}"
        raise UserError(fault("study.name", name, allowed))
    return study


def slots_of(launcher: Launcher) -> Slots:
    """Slots on Ray, or around whatever other launcher Hydra has."""
    if isinstance(launcher, RayLauncher):
        from ugro.sweep.ray_slots import RaySlots

        return RaySlots(launcher)
    return InProcessSlot(launcher)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that what was computed is written down."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
