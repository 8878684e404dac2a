"""Ray Tune's BOHB, which pauses trials and resumes them from their checkpoints.

Requires ``pip install -e .[bench,bohb]``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy
from ray.tune.experiment import Trial
from ray.tune.schedulers import HyperBandForBOHB, TrialScheduler
from ray.tune.search.bohb import TuneBOHB

from ..curves import POINTS, Curve, Problem
from .choices import proposed
from .config_space import config_space
from .losses import Losses


@dataclass(eq=False)  # Tune's trials are keys of dictionaries
class _Trial:
    """What the scheduler reads of a trial."""

    trial_id: str
    parameters: Mapping[str, Any]
    status: str = Trial.PENDING
    is_saving: bool = False
    evaluations: int = 0  # before it was paused


class _Controller:
    """What the scheduler calls of Tune's controller."""

    def __init__(self, searcher: TuneBOHB, scheduler: HyperBandForBOHB) -> None:
        self.searcher, self._scheduler = searcher, scheduler
        self.search_alg = self  # which has the searcher
        self.trials: list[_Trial] = []

    def get_trials(self) -> list[_Trial]:
        """Return all trials."""
        return self.trials

    def stop_trial(self, trial: _Trial) -> None:
        """Stop a paused trial."""
        self._scheduler.on_trial_remove(self, trial)
        self.searcher.on_trial_complete(trial.trial_id)
        trial.status = Trial.TERMINATED


class RayBohb:
    """``TuneConfig(search_alg=TuneBOHB(...), scheduler=HyperBandForBOHB(...))``.

    With the arguments of their reference and, as in Tune's "BOHB Example", without stopping the
    last trials of a bracket: ``max_t`` of twelve would stop those of the largest at nine
    evaluations. One trial waits for a slot, as in Tune's controller. Choices are categorical:
    HpBandSter has no ordinal hyperparameters.

    Each part of a trial between two pauses is a trial to the simulated clock, with the rest of
    the learning curve (:meth:`resumed`) and a start-up of its own.
    """

    def __init__(self, seed: int) -> None:
        numpy.random.seed(seed)  # HpBandSter draws from the global generator
        of = {"metric": "loss", "mode": "min"}
        searcher = TuneBOHB(config_space(seed, ordered=False), seed=seed, **of)
        self._scheduler = HyperBandForBOHB(
            time_attr="training_iteration", max_t=POINTS, stop_last_trials=False, **of
        )
        self._controller = _Controller(searcher, self._scheduler)
        self._running: dict[int, _Trial] = {}
        self._asked: _Trial
        self._losses = Losses()

    def resumed(self, problem: Problem) -> Problem:
        """Return the problem with the rest of its curves for trials that are resumed."""
        return _Resumed(problem, self)

    def rest(self, curve: Curve) -> Curve:
        """Return what the last trial that was asked for has still to run of its curve."""
        done = self._asked.evaluations
        return replace(
            curve,
            losses=curve.losses[done:],
            hours=[hours - curve.hours[done] for hours in curve.hours[done:]],
            tokens=curve.tokens * (POINTS - done) // POINTS,
        )

    def ask(self, number: int) -> Mapping[str, Any]:
        """Return the parameters of a new trial, or of a paused one that is resumed."""
        trials = self._controller.trials
        if not trials or trials[-1].status != Trial.PENDING:
            name = str(len(trials))
            trials.append(_Trial(name, self._controller.searcher.suggest(name)))
            self._scheduler.on_trial_add(self._controller, trials[-1])
        self._asked = self._scheduler.choose_trial_to_run(self._controller)
        self._asked.status = Trial.RUNNING
        self._running[number] = self._asked
        return proposed(self._asked.parameters)

    def goes_on(self, number: int, evaluation: int, loss: float) -> bool:
        """Return whether the trial is neither paused nor stopped."""
        trial, told = self._running[number], self._losses.told(loss)
        reported = {"training_iteration": trial.evaluations + evaluation, "loss": told}
        decision = self._scheduler.on_trial_result(self._controller, trial, reported)
        if decision == TrialScheduler.STOP:
            trial.status = Trial.TERMINATED
        else:
            self._controller.searcher.on_trial_result(trial.trial_id, reported)
        return bool(decision == TrialScheduler.CONTINUE) and math.isfinite(loss)

    def ended(self, number: int, evaluation: int, loss: float, value: float | None) -> None:
        """Pause the trial, or record it as stopped by the scheduler or as complete."""
        trial = self._running.pop(number)
        if value is None and math.isfinite(loss) and trial.status == Trial.RUNNING:
            trial.evaluations += evaluation
            trial.status = Trial.PAUSED
            return
        if trial.status == Trial.RUNNING:
            self._scheduler.on_trial_complete(self._controller, trial, {})
        self._controller.searcher.on_trial_complete(trial.trial_id)
        trial.status = Trial.TERMINATED


@dataclass(frozen=True)
class _Resumed:
    """A problem whose curves begin where trials were paused."""

    problem: Problem
    peer: RayBohb

    @property
    def name(self) -> str:
        """Name of the problem."""
        return self.problem.name

    def curve(self, parameters: Mapping[str, Any], seed: int) -> Curve:
        """Return the rest of a configuration's curve."""
        return self.peer.rest(self.problem.curve(parameters, seed))
