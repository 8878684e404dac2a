"""Generate a study of any size without training: record and event log as a sweep writes them.

    python benchmarks/synthetic_study.py FOLDER [trials] [reports] [whole]

Eight keys of the LoRA space, stops as by ASHA (none with ``whole``), eight slots, some failures.
Each loss falls towards a floor that depends on learning rate, then rank and target modules.
"""

import json
import math
import random
import sqlite3
import sys
from bisect import insort
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.events.event_log import as_line
from ugro.events.events import (
    Event,
    SlotsCounted,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.study.storage import open_storage
from ugro.study.study import silence_optuna

SPACE = {
    "lora.r": CategoricalDistribution((8, 16, 32, 64, 128)),
    "lora.alpha_ratio": CategoricalDistribution((0.5, 1.0, 2.0, 4.0)),
    "lora.dropout": FloatDistribution(0.0, 0.2),
    "lora.target_modules": CategoricalDistribution(("[q_proj,v_proj]", "all-linear")),
    "training.learning_rate": FloatDistribution(1e-5, 2e-3, log=True),
    "training.warmup_ratio": FloatDistribution(0.0, 0.1),
    "training.weight_decay": CategoricalDistribution((0.0, 0.01, 0.1)),
    "training.batch_size": IntDistribution(4, 32),
}
BASELINE = {
    "lora.r": 16,
    "lora.alpha_ratio": 2.0,
    "lora.dropout": 0.0,
    "lora.target_modules": "all-linear",
    "training.learning_rate": 2e-4,
    "training.warmup_ratio": 0.05,
    "training.weight_decay": 0.01,
    "training.batch_size": 8,
}
SLOTS, TOKENS, BASE_LOSS, SECONDS = 8, 1_000_000, 3.6, 600.0
BEGAN = 1_790_000_000.0  # Unix time


def main(folder: Path, trials: int = 1000, reports: int = 20, stops: bool = True) -> None:
    """Write ``study.db`` and ``events.jsonl`` of a study named like its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    silence_optuna()
    storage = open_storage(f"sqlite:///{folder}/study.db")
    optuna.create_study(study_name=folder.name, storage=storage).set_metric_names(["eval_loss"])
    made = _StudyGenerator(folder, trials, reports, stops)
    _write(list(made.trials()), folder / "study.db")
    events = sorted(made.events, key=lambda event: event.time)
    (folder / "events.jsonl").write_text("".join(f"{as_line(event)}\n" for event in events))


def _write(trials: list[FrozenTrial], database: Path) -> None:
    """Write trials into an Optuna database that holds an empty study.

    A single transaction is used: Optuna's add_trial takes 20 ms per trial.
    """
    numbers = [(trial.number + 1, trial) for trial in trials]
    over = {key: distribution_to_json(distribution) for key, distribution in SPACE.items()}
    rows = {
        "trials (trial_id, number, study_id, state, datetime_start, datetime_complete)": (
            (
                key,
                trial.number,
                1,
                trial.state.name,
                str(trial.datetime_start),
                str(trial.datetime_complete),
            )
            for key, trial in numbers
        ),
        "trial_params (trial_id, param_name, param_value, distribution_json)": (
            (key, name, SPACE[name].to_internal_repr(value), over[name])
            for key, trial in numbers
            for name, value in trial.params.items()
        ),
        "trial_values (trial_id, objective, value, value_type)": (
            (key, 0, trial.value, "FINITE") for key, trial in numbers if trial.values
        ),
        "trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type)": (
            (key, step, value, "FINITE")
            for key, trial in numbers
            for step, value in trial.intermediate_values.items()
        ),
        "trial_user_attributes (trial_id, key, value_json)": (
            (key, name, json.dumps(value))
            for key, trial in numbers
            for name, value in trial.user_attrs.items()
        ),
    }
    with sqlite3.connect(database) as connection:
        for table, values in rows.items():
            marks = ", ".join("?" * (table.count(",") + 1))
            connection.executemany(f"INSERT INTO {table} VALUES ({marks})", values)
    connection.close()


class _StudyGenerator:
    """Generator of trials and their events."""

    def __init__(self, folder: Path, count: int, reports: int, stops: bool) -> None:
        self._draw, self._stops = random.Random(0), stops
        self._count, self._reports = count, reports
        self._free = [BEGAN] * SLOTS  # time at which each slot becomes free
        self._rungs: dict[int, list[float]] = {}
        objective, direction = ("eval_loss",), ("minimize",)
        given = ("search_space=lora", f"study.name={folder.name}")
        started = StudyStarted(
            folder.name, str(folder), count, 0, objective, direction, given, time=BEGAN
        )
        self.events: list[Event] = [started, SlotsCounted(SLOTS, time=BEGAN)]

    def trials(self) -> Iterator[FrozenTrial]:
        """Yield the trials in order."""
        for number in range(self._count):
            yield self._trial(number, BASELINE if number == 0 else self._parameters())
        self.events.append(StudyFinished("all trials are done", time=max(self._free)))

    def _parameters(self) -> dict[str, Any]:
        draw = self._draw
        return {
            "lora.r": draw.choice((8, 16, 32, 64, 128)),
            "lora.alpha_ratio": draw.choice((0.5, 1.0, 2.0, 4.0)),
            "lora.dropout": draw.uniform(0.0, 0.2),
            "lora.target_modules": draw.choice(("[q_proj,v_proj]", "all-linear")),
            "training.learning_rate": 10 ** draw.uniform(-5, math.log10(2e-3)),
            "training.warmup_ratio": draw.uniform(0.0, 0.1),
            "training.weight_decay": draw.choice((0.0, 0.01, 0.1)),
            "training.batch_size": draw.randint(4, 32),
        }

    def _floor(self, parameters: dict[str, Any]) -> float:
        rate = math.log10(parameters["training.learning_rate"]) + 0.3 * math.log2(
            parameters["lora.alpha_ratio"]
        )
        gain = 0.9 - 0.25 * (rate + 3.1) ** 2 + 0.03 * math.log2(parameters["lora.r"] / 8)
        gain += 0.1 * (parameters["lora.target_modules"] == "all-linear")
        return BASE_LOSS - max(gain, -0.5) + self._draw.gauss(0, 0.01)

    def _trial(self, number: int, parameters: dict[str, Any]) -> FrozenTrial:
        slot = min(range(SLOTS), key=self._free.__getitem__)
        began = self._free[slot]
        self.events.append(
            TrialAsked(number, parameters, "sampler" if number else "baseline", time=began)
        )
        self.events.append(TrialStarted(number, f"node{slot // 4}:{100 + slot}", time=began))
        floor, length = self._floor(parameters), SECONDS * (0.7 + 0.6 * self._draw.random())
        outcome, values = Outcome.COMPLETE, {}
        if number and self._draw.random() < 0.01:
            outcome = Outcome.FAILED
        for step in range(1, self._reports + 1):
            if outcome is Outcome.FAILED:
                break
            share = step / self._reports
            loss = floor + (BASE_LOSS - floor) * (1 - share) ** 3 + self._draw.gauss(0, 0.005)
            rung = self._passed(step, loss)
            behind = rung < 0 and number > 0 and self._stops
            values[TOKENS * step // self._reports] = loss
            when, seconds = began + length * share, length * share
            report = Report(
                step, self._reports, TOKENS * step // self._reports, TOKENS, seconds,
                {"eval_loss": loss, "peak_memory_mb": 8000.0}, time=when,
            )  # fmt: skip
            stop = Outcome.RUNG if behind and step < self._reports else None
            self.events.append(TrialReported(number, report, stop, abs(rung), time=when))
            if stop:
                outcome = stop
                break
        tokens = max(values, default=0)
        ended = began + length * max(tokens / TOKENS, 0.02)
        self._free[slot] = ended + 1.0
        return self._ended(number, parameters, outcome, values, (began, ended), tokens)

    def _passed(self, step: int, loss: float) -> int:
        """Return the number of passed rungs, negative if stopped at the last of them."""
        rungs = [
            step for step in (self._reports // 8, self._reports // 4, self._reports // 2) if step
        ]
        passed = sum(rung <= step for rung in rungs)
        if step not in rungs:
            return passed
        before = self._rungs.setdefault(step, [])
        behind = bool(before) and loss > before[len(before) // 3]
        insort(before, loss)
        return -passed if behind else passed

    def _ended(
        self, number: int, parameters: dict[str, Any], outcome: Outcome, values: dict[int, float],
        span: tuple[float, float], tokens: int,
    ) -> FrozenTrial:  # fmt: skip
        best = min(values.values(), default=math.nan)
        measured = {
            "eval_loss": best, "base_eval_loss": BASE_LOSS,
            "tokens_seen": tokens, "train_seconds": span[1] - span[0], "peak_memory_mb": 8000.0,
        }  # fmt: skip
        failed = outcome is Outcome.FAILED
        final = (best,) if outcome is Outcome.COMPLETE else ()
        error = "ValueError: made up" if failed else ""
        ending = TrialFinished(
            number, outcome, final, {} if failed else measured, error, time=span[1]
        )
        self.events.append(ending)
        source = "sampler" if number else "baseline"
        attributes: dict[str, Any] = {"source": source, "reason": outcome.value}
        attributes |= {"error": error} if failed else {"metrics": measured}
        states = {Outcome.COMPLETE: TrialState.COMPLETE, Outcome.FAILED: TrialState.FAIL}
        trial = create_trial(
            state=states.get(outcome, TrialState.PRUNED),
            value=None if failed else best,
            params=parameters,
            distributions=SPACE,
            user_attrs=attributes,
            intermediate_values=values,
        )
        trial.number = number
        trial.datetime_start, trial.datetime_complete = map(datetime.fromtimestamp, span)
        return trial


if __name__ == "__main__":
    whole = sys.argv[-1] == "whole"
    numbers = sys.argv[2 : -1 if whole else None]
    main(Path(sys.argv[1]), *map(int, numbers), stops=not whole)
