"""Fixtures: search spaces, and sweeps of scripted trials."""

from collections.abc import Callable, Sequence

import optuna
import pytest
from omegaconf import DictConfig

from ugro.config import typed
from ugro.events.events import EventStream, SchedulerEvent
from ugro.objectives.objectives import objectives_of
from ugro.sampling.optuna_sampler import OptunaSampler
from ugro.sampling.unit_cube import UnitCube
from ugro.schedulers.early_stopping import EarlyStopping
from ugro.study.recorder import Recorder
from ugro.sweep.components import Components
from ugro.sweep.failures import Failures
from ugro.sweep.fingerprints import Fingerprints
from ugro.sweep.limits import Limits
from ugro.sweep.loop import Sweep
from ugro.sweep.other_drivers import NoPeers, Peers
from ugro.sweep.proposals import Proposals

from ..spaces import Feasible, feasible
from ..studies import in_memory
from .scripted import SIX, EventRecorder, Ran, Run, Script, Scripted

__all__ = ["feasible"]


@pytest.fixture
def run(feasible: Feasible, composed: Callable[..., DictConfig]) -> Run:
    """``run("study.target=3", ..., scripts=..., slots=2)``: a study of six trials, run."""

    def _run(
        *overrides: str,
        scripts: Callable[[int], Script] = lambda number: Script(),
        slots: int | Callable[[float], int] = 2,
        n_jobs: int | str = "auto",
        max_failures: float = 3,
        constraints: Sequence[str] = (),
        ran: Ran | None = None,
        interrupted: Callable[[float], bool] = lambda now: False,
        peers: Peers | None = None,
        fingerprints: Fingerprints | None = None,
        total: int = 6,
    ) -> Ran:
        config = composed("study.name=s", "scheduler=none", *overrides)
        of = typed(config)
        space = feasible(*SIX, constraints=constraints)
        count = slots if callable(slots) else lambda now: slots
        ran = ran or Ran(in_memory(), Scripted(scripts, count), [])
        objectives = objectives_of(of.objectives)
        past, left = ran.study.finished(), ran.study.unfinished()
        cube = UnitCube(space.space.distributions)
        early_stopping = EarlyStopping(
            config.scheduler, of.stoppers, objectives, cube, total, of.seed
        )
        history = [event for event in ran.events if isinstance(event, SchedulerEvent)]
        early_stopping.remember(history, {trial.number for trial in left})
        sampling = OptunaSampler(optuna.samplers.RandomSampler(0), ["minimize"], space, past)
        events = EventStream([EventRecorder(ran.events)])
        parts = Components(
            Recorder(ran.study),
            sampling,
            space,
            objectives,
            early_stopping,
            ran.slots,
            Limits(of.study, maximised=False),
            Failures(max_failures, of.study.fail_fast),
            events,
            peers or NoPeers(),
            fingerprints or Fingerprints("s"),
        )
        proposals = Proposals(sampling, space, [], [*past, *left], total, lambda *_: None, 0)
        sweep = Sweep(
            parts,
            n_jobs,
            of.study.max_retries,
            of.stoppers,
            lambda: interrupted(ran.slots.now),
            clock=lambda: ran.slots.now,
        )
        sweep.run(proposals, left)
        return ran

    return _run
