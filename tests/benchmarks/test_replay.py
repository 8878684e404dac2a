"""Sweeps in real time and on a simulated clock make the same decisions in the same order."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.tabular.budget import Budget, Seeds
from benchmarks.tabular.families import Family
from benchmarks.tabular.simulate import simulate
from benchmarks.tabular.trace import decisions
from ugro.events.event_log import as_event
from ugro.events.outcome import Outcome

from ..conftest import ROOT

SLOTS, TRIALS, SEED = 2, 8, 7
BEAT = 2.0  # seconds between two reports; what is late by less than half of it changes no order
ASHA = (
    "hydra/sweeper/sampler=tpe_multivariate",
    "hydra.sweeper.sampler.n_startup_trials=3",
    "scheduler=asha",
    "scheduler.grace_period=0.25",
    "scheduler.reduction_factor=2",
)
DEFAULT = ()


def in_real_time(folder: Path, sweep: Sequence[str]) -> list[tuple[object, ...]]:
    """Return the decisions of a sweep on Ray from its event log."""
    subprocess.run(
        [
            *(sys.executable, str(ROOT / "benchmarks/tabular/replay_trial.py"), "-m", *sweep),
            *("search_space=lora", "study.name=s", "study.analysis=false", "tracking=none"),
            *(f"seed={SEED}", f"hydra.sweeper.n_trials={TRIALS}"),
            *(f"hydra.sweeper.n_jobs={SLOTS}", f"++hydra.launcher.ray.init.num_cpus={SLOTS}"),
        ],
        cwd=folder,
        env={**os.environ, "REPLAY": "crossing_extreme:3", "REPLAY_BEAT": str(BEAT)},
        check=True,
        capture_output=True,
        text=True,
    )
    lines = (folder / "multirun/s/events.jsonl").read_text().splitlines()
    events = (as_event(json.loads(line)) for line in lines)
    return decisions(event for event in events if event is not None)


@pytest.mark.idle
@pytest.mark.parametrize(
    ("sweep", "shortened"),
    [(ASHA, Outcome.RUNG), (DEFAULT, Outcome.PAUSED)],
    ids=["asha", "default"],
)
def test_simulated_and_real_time_replays_decide_alike_in_the_same_order(
    tmp_path: Path, sweep: tuple[str, ...], shortened: Outcome
) -> None:
    seeds = Seeds(3, SEED, SEED)
    trace = simulate(Family("crossing_extreme", 3), sweep, SLOTS, Budget(TRIALS), seeds, BEAT)
    told = trace.decisions()
    assert in_real_time(tmp_path, sweep) == told
    assert sum(one[0] == "asked" for one in told) == TRIALS
    decided = {one[4] for one in told if one[0] == "reported"}
    assert {None, shortened} <= decided
    assert Outcome.COMPLETE in {one[2] for one in told if one[0] == "ended"}
