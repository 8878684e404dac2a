"""The model of learning curves, against SciPy and against curves that it describes."""

import dataclasses

import numpy
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

from ugro.sampling.unit_cube import UnitCube
from ugro.schedulers.base import Array
from ugro.schedulers.freeze_thaw.curve_process import (
    JITTER,
    CurveProcess,
    Observations,
    _Kernel,
    _Pairs,
    _Rows,
)

from .curves import SPACE, observed

PROGRESS = numpy.array([1, 2, 3, 6, 9, 12]) / 12


def covariance(
    process: CurveProcess, cube: UnitCube, one: Observations, other: Observations
) -> Array:
    """Covariance of observations without noise."""
    return _Kernel(process._theta, _Pairs(cube, _Rows(one), _Rows(other))).matrix()


def drawn(seed: int, trials: int) -> tuple[UnitCube, CurveProcess, Observations]:
    """Curves drawn from a process with the hyperparameters of its prior."""
    cube, generator = UnitCube(SPACE), numpy.random.default_rng(seed)
    process, points = CurveProcess(cube), cube.random(trials, generator)
    empty = observed(points, PROGRESS, numpy.zeros((trials, len(PROGRESS))))
    matrix = covariance(process, cube, empty, empty)
    matrix[numpy.diag_indices_from(matrix)] += process.noise**2
    values = generator.multivariate_normal(numpy.zeros(len(matrix)), matrix)
    return cube, process, observed(points, PROGRESS, values.reshape(trials, -1))


def test_the_loss_is_that_of_scipys_normal_distribution_and_its_gradient_is_right() -> None:
    cube, process, seen = drawn(0, 8)
    theta = process._theta + numpy.random.default_rng(1).normal(0, 0.3, len(process._theta))
    pairs = _Pairs(cube, _Rows(seen), _Rows(seen))
    loss, gradient = process._loss(theta, pairs, seen.values)
    matrix = _Kernel(theta, pairs).matrix()
    matrix[numpy.diag_indices_from(matrix)] += numpy.exp(2 * theta[-1]) + JITTER
    off = (theta - process._prior) / process._spread
    constant = len(seen.values) / 2 * numpy.log(2 * numpy.pi)
    expected = -multivariate_normal(cov=matrix).logpdf(seen.values) - constant + 0.5 * off @ off
    assert loss == pytest.approx(expected)
    numeric = approx_fprime(theta, lambda at: process._loss(at, pairs, seen.values)[0], 1e-6)
    assert gradient == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_predictions_are_the_conditional_distribution() -> None:
    """By solving the joint covariance of observations and ends directly."""
    cube, process, seen = drawn(2, 6)
    points = numpy.vstack([seen.points[::6][:2], cube.random(2, numpy.random.default_rng(3))])
    trials = numpy.array([0, 1, -1, -1])
    ends = Observations(points, trials, numpy.ones(4), numpy.zeros(4))
    process.condition(seen)
    mean, deviation = process.ends(points, trials)
    inner = covariance(process, cube, seen, seen)
    inner[numpy.diag_indices_from(inner)] += process.noise**2 + JITTER
    cross = covariance(process, cube, ends, seen)
    # Two configurations that were not tried have deviations of their own.
    outer = covariance(process, cube, ends, ends) * numpy.eye(4)
    solved = numpy.linalg.solve(inner, cross.T)
    assert mean == pytest.approx(solved.T @ seen.values)
    assert deviation**2 == pytest.approx(numpy.diag(outer - cross @ solved), abs=1e-6)


def test_further_observations_condition_the_process_as_if_all_had_come_at_once() -> None:
    cube, process, seen = drawn(4, 6)
    _, _, further = drawn(5, 2)
    of_both = further.trials[:, None] == 0  # the last trial of the first ones
    all_points = numpy.where(of_both, seen.points[-1], further.points)
    further = dataclasses.replace(further, points=all_points, trials=further.trials + 5)
    points, trials = cube.random(2, numpy.random.default_rng(6)), numpy.array([0, 5, 6, -1, -1])
    points = numpy.vstack([seen.points[[0, -1]], further.points[-1:], points])
    process.condition(seen.and_then(further))
    at_once = process.ends(points, trials)
    process.condition(seen)
    process.extend(further)
    assert numpy.array(process.ends(points, trials)) == pytest.approx(numpy.array(at_once))


@pytest.mark.parametrize("reports", [1, 3, 4])  # until progress 1/12, 1/4 and 1/2
def test_intervals_hold_the_ends_of_curves_that_the_model_describes(reports: int) -> None:
    """Of 24 trials half are complete; the ends of the others are predicted.

    With the right hyperparameters nine of ten are in the 90% interval. Fitted ones are single
    values, whose uncertainty the interval leaves out.
    """
    known, fitted = [], []
    for seed in range(8):
        _, process, whole = drawn(seed, 24)
        until = numpy.where(whole.trials < 12, 1.0, PROGRESS[reports - 1])
        seen = Observations(*(column[whole.progress <= until] for column in vars(whole).values()))
        last = (whole.progress == 1) & (whole.trials >= 12)
        for inside in (known, fitted):
            if inside is fitted:
                process.fit(seen, 15)
            process.condition(seen)
            mean, deviation = process.ends(whole.points[last], whole.trials[last])
            spread = numpy.hypot(deviation, process.noise)
            inside.extend(abs(whole.values[last] - mean) < 1.645 * spread)
    assert len(known) == 96
    assert numpy.mean(known) == pytest.approx(0.9, abs=0.07)
    assert numpy.mean(fitted) > 0.75
