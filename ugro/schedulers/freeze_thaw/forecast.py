"""Predicted ends of trials, and what the rest of a run is expected to gain."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm

from ugro.schedulers.base import Array, Cube
from ugro.schedulers.freeze_thaw.curve_process import CurveProcess, Observations
from ugro.schedulers.freeze_thaw.curves import Curve, Prediction, State

POOL, BEST, NEAR, WIDTH = 400, 3, 40, 0.12  # random points; neighbours of each of the best trials
FINER, FINER_BEST, FINER_NEAR = (0.08, 0.03), 6, 12  # then of the points that gain most
# Deviations of trials' ends count as larger early in a run, (1 - progress)^FADING of this share: a
# fit has single hyperparameters, whose uncertainty it leaves out. By measured coverage.
WIDER, FADING = 0.55, 4
PRIOR_RUNS = 3  # trained runs from which on the prior fades
NO_TRIAL = -1  # number of a configuration that was not tried


class Forecast:
    """Predictions of a process for the trials that are running, paused or complete.

    Args:
        process: fitted process; it is conditioned here
        seen: scaled observations
        curves: curves of all trials by id
        caution: factor of the standard deviations of trials' ends; those of new configurations,
            which no curve misleads, are left as they are
    """

    def __init__(
        self,
        process: CurveProcess,
        seen: Observations,
        curves: Mapping[str, Curve],
        caution: float,
    ) -> None:
        self._process = process
        self._caution = caution
        self._curves = {
            key: curve for key, curve in curves.items() if curve.state is not State.ENDED
        }
        self._tried = numpy.array([curve.point for curve in curves.values()])
        process.condition(seen)
        means, deviations = self._ends(self._curves)
        self.mean: Mapping[str, float] = dict(zip(self._curves, means.tolist(), strict=True))
        self._deviation: Mapping[str, float] = dict(
            zip(self._curves, deviations.tolist(), strict=True)
        )
        self._best = min(self.mean.values())
        self._believes = False  # whether the process is conditioned on ends of running trials

    def trials(self, state: State) -> list[str]:
        """Return the ids of the trials in a state."""
        return [key for key, curve in self._curves.items() if curve.state is state]

    def predictions(self, scale: float) -> Iterator[tuple[str, Prediction]]:
        """Yield the model's own prediction for each trial, noise included, times a scale."""
        for key, deviation in self._deviation.items():
            spread = math.hypot(deviation, self._process.noise)
            yield key, Prediction(scale * self.mean[key], scale * spread)

    def lowest(self, keys: Iterable[str]) -> str | None:
        """Return the trial with the lowest predicted end, if any."""
        return min(keys, key=self.mean.__getitem__, default=None)

    def below(self, key: str, deviations: float) -> float:
        """Return a trial's predicted end minus a number of its standard deviations."""
        return self.mean[key] - deviations * (self._caution * self._deviation[key])

    def gains(self, keys: Sequence[str]) -> Array:
        """Return the expected improvement of the lowest predicted end by each trial, [trials].

        Running trials count as if they had come to their predicted ends, so that trials like them
        gain less.
        """
        self._believe_in_running_trials()
        means, deviations = self._ends(keys)
        return self._improvement(means, self._caution * deviations)

    def best_new(self, cube: Cube, generator: Generator) -> tuple[Array, float]:
        """Return the new point with the largest expected improvement, and the improvement.

        A prior shifts the choice, but not what a new trial is worth beside a paused one.
        """
        self._believe_in_running_trials()
        best = sorted(self.mean, key=self.mean.__getitem__)[:BEST]
        near = [cube.neighbours(self._curves[key].point, NEAR, WIDTH, generator) for key in best]
        pool = numpy.concatenate([cube.random(POOL, generator), *near])
        gains = self._worth(cube, pool)
        for width in FINER:
            top = pool[numpy.argsort(-gains)[:FINER_BEST]]
            near = [cube.neighbours(point, FINER_NEAR, width, generator) for point in top]
            pool = numpy.concatenate([top, *near])
            gains = self._worth(cube, pool)
        chosen = pool[[int(numpy.argmax(gains))]]
        return chosen[0], float(self._gains_at(chosen)[0])

    def _worth(self, cube: Cube, points: Array) -> Array:
        """Return the expected improvement times a power of the prior that fades with training.

        As in piBO (Hvarfner et al. 2022, arXiv:2204.11051).
        """
        trained = sum(curve.reached for curve in self._curves.values())
        power = min(1.0, PRIOR_RUNS / (1 + trained))
        return self._gains_at(points) * numpy.exp(power * cube.log_prior(points))

    def _ends(self, keys: Iterable[str]) -> tuple[Array, Array]:
        curves = [self._curves[key] for key in keys]
        points = numpy.array([curve.point for curve in curves])
        means, deviations = self._process.ends(points, _numbers(curves))
        left = numpy.array([1 - curve.reached for curve in curves])
        return means, deviations * (1 + WIDER * left**FADING)

    def _believe_in_running_trials(self) -> None:
        """Condition the process as if running trials had come to their predicted ends."""
        keys = self.trials(State.RUNNING)
        if self._believes or not keys:
            return
        self._believes = True
        curves = [self._curves[key] for key in keys]
        self._process.extend(
            Observations(
                numpy.array([curve.point for curve in curves]),
                _numbers(curves),
                numpy.ones(len(curves)),
                numpy.array([self.mean[key] for key in keys]),
            )
        )

    def _gains_at(self, points: Array) -> Array:
        """Return the expected improvement of new trials; none if the configuration was tried."""
        gains = self._improvement(*self._process.ends(points, numpy.full(len(points), NO_TRIAL)))
        tried = (points[:, None] == self._tried[None]).all(axis=2).any(axis=1)
        return numpy.where(tried, 0.0, gains)

    def _improvement(self, mean: Array, deviation: Array) -> Array:
        score = (self._best - mean) / deviation
        improvement: Array = deviation * (score * norm.cdf(score) + norm.pdf(score))
        return improvement


def _numbers(curves: Sequence[Curve]) -> NDArray[numpy.int64]:
    return numpy.array([curve.number for curve in curves], dtype=numpy.int64)
