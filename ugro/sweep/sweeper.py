"""How is a study set up? Checked, planned, put together; then it runs."""

import logging
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

from ugro.config import Config, Direction, typed
from ugro.errors import UserError, fault
from ugro.events import EventStream, ProposalRejected, StudyStarted
from ugro.objectives import objectives_of
from ugro.observers.audit import AuditLog
from ugro.observers.lines import Lines
from ugro.schedulers.referee import Referee
from ugro.sweep.composition import Composer, constraints_in, without_hydra
from ugro.sweep.feasible import FeasibleSpace
from ugro.sweep.limits import Limits
from ugro.sweep.loop import Parts, Sweep
from ugro.sweep.plan import show_plan
from ugro.sweep.planned import Planned, planned
from ugro.sweep.preflight import check_space
from ugro.sweep.proposals import Proposals, total_trials
from ugro.sweep.recorder import Recorder
from ugro.sweep.sampling import Sampling, sampler_of
from ugro.sweep.search_space import parse
from ugro.sweep.slots import InProcessSlot, Slots
from ugro.sweep.study import Study, create_or_continue, metrics
from ugro.sweep.survey import check_satisfiable

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
    settings = config.hydra.sweeper
    check_jobs(settings["n_jobs"])
    space = parse(settings["params"], arguments, settings["conditions"])
    composer = Composer(space, config, loader)
    feasible = FeasibleSpace(space, composer, constraints_in(composer.compose({})))
    check_space(feasible)
    trial = composer.compose(next(space.around_the_first(), {})).copy()
    of = typed(without_hydra(trial))
    check_satisfiable(feasible, of.seed)
    plan = planned(of.study, bool(settings["params"]), feasible)
    held = None if of.study.allow_duplicates else feasible.size
    total = total_trials(held, settings["n_trials"], of.study.max_trials)
    if of.study.dry_run:
        show_plan(trial, of, feasible, plan, total)
        return
    slots = slots_of(launcher)
    slots.count()  # refuses a trial that fits nowhere
    if not space.distributions:
        log.info("Nothing to search: one trial of the configuration as it is")
    elif held and settings["n_trials"] and held < settings["n_trials"]:
        asked = settings["n_trials"]
        log.info("The space holds %d configurations: %d trials, not %d", held, total, asked)
    with _terminable():
        _run(trial, of, feasible, plan, total, slots)


def _run(
    trial: DictConfig,
    of: Config,
    feasible: FeasibleSpace,
    plan: Sequence[Planned],
    total: int,
    slots: Slots,
) -> None:
    """Put the sweep together and run it.

    Args:
        trial: a composed trial, ``hydra`` included
        of: the same, typed
        feasible: the search space
        plan: what is run before the sampler is asked
        total: trials of the finished study
        slots: where trials run
    """
    settings, folder = trial.hydra.sweeper, Path(of.study.dir)
    objectives = objectives_of(of.objectives)
    directions = [direction.name for direction in objectives.directions]
    study = _study(settings, feasible, objectives.names, directions)
    past = study.finished()
    sampler = sampler_of(settings["sampler"], feasible.space, of.seed, len(past))
    sampling = Sampling(sampler, directions, feasible, past)
    folder.mkdir(parents=True, exist_ok=True)
    events = EventStream([AuditLog(folder / "events.jsonl"), Lines()])
    limits = Limits(of.study, objectives.directions[0] is Direction.maximize)
    for earlier in past:
        limits.trained(int(metrics(earlier).get("tokens_seen", 0)))
    if (best := study.best()) is not None:
        limits.valued(best.values[0])
    referee = Referee(trial.scheduler, of.stoppers, objectives, of.seed)
    proposals = Proposals(
        sampling,
        feasible,
        plan,
        [earlier.params for earlier in past],
        total,
        lambda parameters, reasons: events.emit(ProposalRejected(parameters, tuple(reasons))),
        of.seed,
        of.study.allow_duplicates,
    )
    names = tuple(objectives.names)
    events.emit(
        StudyStarted(of.study.name, str(folder), total, len(past), names, tuple(directions))
    )
    parts = Parts(Recorder(study), sampling, feasible, objectives, referee, slots, limits, events)
    max_failures = settings["max_failure_rate"] * total
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


def check_jobs(n_jobs: object) -> None:
    """Raise UserError unless it is auto or a whole number above 0."""
    if n_jobs != "auto" and not (isinstance(n_jobs, int) and n_jobs >= 1):
        raise UserError(fault("hydra.sweeper.n_jobs", n_jobs, "auto, or 1 or more"))


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
