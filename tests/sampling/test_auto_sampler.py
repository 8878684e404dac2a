"""The default sampler: design, Gaussian process, TPE."""

from dataclasses import dataclass, field
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from tests.spaces import Feasible
from ugro.events.outcome import Outcome
from ugro.sampling import auto_sampler
from ugro.sampling.auto_sampler import AutoSampler, initial_trials
from ugro.space.feasible import FeasibleSpace

SPACE = ("lora.r=4,8,16", "training.learning_rate=tag(log,interval(1e-5,1e-3))")
FIRST = initial_trials(2)


@dataclass
class Study:
    """A study on a clock of its own, in which a trial takes a given time."""

    space: FeasibleSpace
    directions: tuple[str, ...] = ("minimize",)
    proposal_seconds: float = 0.0
    past: tuple[optuna.trial.FrozenTrial, ...] = ()
    now: float = 0.0
    changes: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sampler = AutoSampler(
            0,
            self.directions,
            self.space,
            self.past,
            len(self.past),
            clock=lambda: self.now,
            on_change=lambda *change: self.changes.append(change),
        )
        ask = self.sampler._sampler.ask

        def slow_ask(fixed: Any = None) -> Any:
            self.now += self.proposal_seconds
            return ask(fixed)

        self.sampler._sampler.ask = slow_ask  # type: ignore[method-assign]

    def run(self, trials: int, seconds: float, outcome: Outcome = Outcome.COMPLETE) -> list[str]:
        """Run trials one after the other; return the class of Optuna's sampler for each."""
        used = []
        for _ in range(trials):
            draw = self.sampler.ask()
            used.append(self.sampler._sampler.description)
            self.now += seconds
            loss = 10 * abs(draw.parameters["training.learning_rate"] - 3e-4)
            if len(self.directions) == 1:
                self.sampler.report(draw, 1024, loss)
            self.sampler.tell(draw, outcome, [loss] * len(self.directions))
        return used


def test_a_process_follows_the_design_where_trials_take_long(feasible: Feasible) -> None:
    study = Study(feasible(*SPACE))
    used = study.run(FIRST + 4, seconds=3600)
    assert used == ["RandomSampler"] * FIRST + ["GPSampler"] * 4
    assert not study.changes


def test_tpe_follows_the_design_where_trials_are_short_and_the_user_is_told_once(
    feasible: Feasible,
) -> None:
    study = Study(feasible(*SPACE))
    used = study.run(FIRST + 4, seconds=2)
    assert used == ["RandomSampler"] * FIRST + ["TPESampler"] * 4
    reason = "a proposal of the Gaussian process takes 0.23 s, a trial 2 s"
    assert study.changes == [("TPE", reason)]


def test_tpe_replaces_a_slow_process_and_stays(feasible: Feasible) -> None:
    study = Study(feasible(*SPACE), proposal_seconds=2.0)
    used = study.run(FIRST + 6, seconds=100)
    assert used[FIRST:] == ["GPSampler"] * 3 + ["TPESampler"] * 3  # three are measured first
    assert study.run(3, seconds=36000) == ["TPESampler"] * 3
    assert len(study.changes) == 1


def test_the_best_known_trials_and_open_draws_survive_a_change(feasible: Feasible) -> None:
    study = Study(feasible(*SPACE))
    study.run(FIRST - 1, seconds=2)
    running = study.sampler.ask()
    study.sampler.report(running, 512, 0.7)
    study.run(4, seconds=2)
    assert study.changes
    trials = study.sampler._sampler._study.trials
    assert trials[running.number].state is TrialState.RUNNING
    assert trials[running.number].params == running.parameters
    assert trials[running.number].intermediate_values == {512: 0.7}
    study.sampler.tell(running, Outcome.COMPLETE, [0.5])
    assert study.sampler._sampler._study.trials[running.number].value == 0.5


@pytest.mark.parametrize("kind", ["objectives", "conditions"])
def test_what_a_process_cannot_model_is_proposed_by_tpe(kind: str, feasible: Feasible) -> None:
    if kind == "objectives":
        study = Study(feasible(*SPACE), ("minimize", "maximize"))
        reason = "there are several objectives"
    else:
        keys = (*SPACE, "lora.use_rslora=true,false")
        study = Study(feasible(*keys, conditions={"lora.use_rslora": "lora.r >= 8"}))
        reason = "keys are conditional"
    assert study.sampler.description.endswith(f"then TPE, as {reason}")
    assert study.run(FIRST + 3, seconds=3600)[-2:] == ["TPESampler"] * 2
    assert study.changes == [("TPE", reason)]


def test_parallel_slots_get_points_of_the_design_until_enough_have_a_result(
    feasible: Feasible,
) -> None:
    study = Study(feasible(*SPACE))
    draws = [study.sampler.ask() for _ in range(3 * FIRST)]
    assert len({str(draw.parameters) for draw in draws}) == 3 * FIRST
    study.now = 7200.0
    for draw in draws[:FIRST]:
        study.sampler.report(draw, 512, 1.0)
    study.sampler.ask()
    assert study.sampler._sampler.description == "GPSampler"


def test_a_resumed_study_needs_no_second_design(feasible: Feasible) -> None:
    space = feasible(*SPACE)
    past = tuple(
        create_trial(
            value=1.0 / (1 + number),
            params={"lora.r": 8, "training.learning_rate": 1e-4 * (1 + number)},
            distributions=dict(space.space.distributions),
        )
        for number in range(FIRST)
    )
    # Their recorded durations are zero: the trials of another study's test.
    assert Study(space, past=past).run(1, seconds=2) == ["TPESampler"]


def test_the_design_fills_in_the_open_keys_of_a_given_configuration(feasible: Feasible) -> None:
    draw = Study(feasible(*SPACE)).sampler.ask({"lora.r": 16})
    plain = Study(feasible(*SPACE)).sampler.ask()
    assert draw.parameters == {**plain.parameters, "lora.r": 16}


def test_given_configurations_do_not_import_a_model(feasible: Feasible) -> None:
    study = Study(feasible("lora.r=4,8,16"))
    for rank in (4, 8, 16):
        study.sampler.ask({"lora.r": rank})
    assert study.sampler._sampler.description == "RandomSampler"
    assert "_engine" not in vars(study.sampler._design)


def test_the_initial_trials_grow_with_the_keys() -> None:
    assert [initial_trials(keys) for keys in (1, 7, 8, 20)] == [8, 8, 9, 21]
    assert auto_sampler.MAX_SHARE == 0.01
