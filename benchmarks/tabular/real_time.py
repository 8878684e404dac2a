"""Compare sweeps in real time with simulated sweeps: UGRO, the upstream plugins and Ray Tune.

    python -m benchmarks.tabular.real_time PROBLEM SEED [SECONDS_AN_HOUR] [--ugro] > TABLE.md

The sweeps run one after another on Ray with eight slots and the same replay trial. Nothing is
trained, so only the overhead of driver and Ray slows them down. UGRO and upstream are shown beside
a simulation of the same sweep, which has no such overhead.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from .budget import Budget, Seeds
from .curves import plain
from .methods import SLOTS
from .peers.upstream import in_batches
from .plans import space
from .problems import problem, reference_configurations
from .reference import SEQUENTIAL, TRIALS
from .simulate import simulate
from .trace import Trace, TrialTrace

ROOT = Path(__file__).parents[2]
STOPPED = 60  # trials of methods with early stopping
UPSTREAM = ("hydra/sweeper=optuna", "hydra/sweeper/sampler=tpe", "hydra/launcher=ray")


def main(name: str, seed: int, scale: float, only_ugro: bool) -> None:
    """Print a table with a row per sweep."""
    found = problem(name)
    seeds = Seeds(seed, seed, seed)  # as the replay trials have
    sequential = simulate(found, SEQUENTIAL, 1, Budget(TRIALS), seeds)
    target = list(sequential.best())[-1][2]
    print(
        f"`python -m benchmarks.tabular.real_time {name} {seed} {scale:g}`: "
        f"{SLOTS} slots; as good as {TRIALS} sequential trials of TPE, "
        f"which take {sequential.hours:.1f} h, with the same seed.\n\n"
        "| | hours until as good | hours in all | trials | in whole ones | best loss | idle |\n"
        f"|{'---|' * 7}"
    )
    runs = {
        "sequential TPE, simulated": lambda: sequential,
        "UGRO": lambda: by_hydra((), name, STOPPED, seed, scale),
        "UGRO, simulated": lambda: simulate(found, (), SLOTS, Budget(STOPPED), seeds),
        "Ray Tune, OptunaSearch, ASHA": lambda: by_tune(name, STOPPED, seed, scale),
        "hydra-optuna-sweeper": lambda: by_hydra(
            (*UPSTREAM, f"hydra.sweeper.sampler.seed={seed}"), name, TRIALS, seed, scale
        ),
        "hydra-optuna-sweeper, simulated": lambda: in_batches(found, SLOTS, Budget(TRIALS), seeds),
    }
    for who, run in runs.items():
        if not only_ugro or who.startswith("UGRO"):
            _tell(who, run(), target)


def _tell(who: str, trace: Trace, target: float) -> None:
    reached, length = trace.until(target), max(trial.tokens for trial in trace.trials)
    best = min((loss for _, _, loss in trace.best()), default=float("nan"))
    print(
        f"| {who} | {f'{reached[0]:.1f}' if reached else 'never'} | {trace.hours:.1f} "
        f"| {len(trace.trials)} | {trace.tokens / length:.1f} | {best:.4f} | {trace.idle:.1%} |",
        flush=True,
    )


def by_hydra(sweeper: tuple[str, ...], name: str, trials: int, seed: int, scale: float) -> Trace:
    """Run a sweep of replay trials from the command line."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, str(ROOT / "benchmarks/tabular/replay_trial.py"), "-m"),
                *(*sweeper, "search_space=lora", "tracking=none", "study.analysis=false"),
                *("study.name=s", f"seed={seed}", f"hydra.sweeper.n_trials={trials}"),
                *(f"hydra.sweeper.n_jobs={SLOTS}", f"++hydra.launcher.ray.init.num_cpus={SLOTS}"),
                "++hydra.launcher.ray.init.include_dashboard=false",
                "++hydra.launcher.ray.init.log_to_driver=false",
            ],
            cwd=folder,
            env={**os.environ, "REPLAY": name, "REPLAY_SECONDS_AN_HOUR": str(scale)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return _read(Path(folder), scale)


def by_tune(name: str, trials: int, seed: int, scale: float) -> Trace:
    """Run Ray Tune as documented: a reporting function, OptunaSearch, ASHA."""
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with tempfile.TemporaryDirectory() as folder:

        def train(parameters: dict[str, Any]) -> None:
            sys.path.insert(0, str(ROOT))
            from benchmarks.tabular.replay_trial import replay
            from ugro.events.channel import Answer

            class ToTune:  # unannotated, as Ray serialises the class
                def report(self, report):  # type: ignore[no-untyped-def]
                    if report.step:
                        tune.report({"loss": report.metrics["eval_loss"], "step": report.step})
                    return Answer.CONTINUE

                def interrupted(self):  # type: ignore[no-untyped-def]
                    return False

            curve = problem(name).curve(plain(parameters), seed)
            note = Path(folder, tune.get_context().get_trial_id(), "replayed.json")
            replay(curve, time.time(), scale, ToTune(), note)

        points = len(problem(name).curve(plain(reference_configurations()[0]), seed).losses) - 1
        tuner = tune.Tuner(
            train,
            tune_config=tune.TuneConfig(
                metric="loss",
                mode="min",
                search_alg=OptunaSearch(space=dict(space()), metric="loss", mode="min", seed=seed),
                scheduler=ASHAScheduler(time_attr="step", max_t=points),
                num_samples=trials,
                max_concurrent_trials=SLOTS,
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        tuner.fit()
        ray.shutdown()
        return _read(Path(folder), scale)


def _read(folder: Path, scale: float) -> Trace:
    """Read the notes of replayed trials."""
    notes = [json.loads(path.read_text()) for path in folder.glob("**/replayed.json")]
    notes.sort(key=lambda note: note["periods"][0])
    origin = notes[0]["periods"][0][0]

    def trial(number: int, note: Mapping[str, Any]) -> TrialTrace:
        periods = [[(at - origin) / scale for at in period] for period in note["periods"]]
        (began, _), (_, ended) = periods[0], periods[-1]
        pauses = [(left, went_on) for (_, left), (went_on, _) in pairwise(periods)]
        progress = [(began, 0), (ended, note["tokens"])]
        return TrialTrace(number, progress, ended, note["value"], note["true_loss"], pauses)

    return Trace(SLOTS, trials=[trial(number, note) for number, note in enumerate(notes)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("problem")
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds_an_hour", type=float, nargs="?", default=4.0)
    parser.add_argument("--ugro", action="store_true", help="without the peers")
    given = parser.parse_args()
    main(given.problem, given.seed, given.seconds_an_hour, given.ugro)
