"""A Gaussian process over configurations and training progress."""

from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize

from ugro.schedulers.base import Array, Cube

# Length scales of the mean curve and of a trial's deviation, in e-foldings of the progress
MEAN_LENGTH, TRIAL_LENGTH = 1.5, 2.0
JITTER = 1e-6
BOUND = 4.0  # standard deviations of the priors within which hyperparameters are fitted


@dataclass(frozen=True)
class Observations:
    """Changes of the objective since step 0.

    Attributes:
        points: configuration of each observation, [n, keys]
        trials: trial of each observation, [n]
        progress: share of the run at each observation, in (0, 1], [n]
        values: changes, scaled to a standard deviation near 1, [n]
    """

    points: Array
    trials: NDArray[numpy.int64]
    progress: Array
    values: Array


class CurveProcess:
    """Model of learning curves that freeze-thaw decisions are made from.

    A curve is the sum of a mean curve of all trials, of the configuration's effect at the end of
    the run, which grows with progress to a power, of its effect on the way there, which may change
    sign, so that curves cross, of the trial's own deviation (its seed, and what the other terms do
    not resolve), which also changes on the way, and of noise. Swersky et al. 2014
    (arXiv:1406.3896) proposed to freeze and thaw trials by such a model; the kernel is a sum of
    products over configuration and progress, with Matern-5/2 over configurations. Hyperparameters
    are fitted by maximum a posteriori.
    """

    def __init__(self, cube: Cube) -> None:
        self._cube = cube
        keys = cube.dimensions
        # Logarithms: length scales at the end and on the way, [keys] each, then amplitudes of mean
        # curve, end, way and trial, the power, the length scale of the way, and the noise.
        self._prior = numpy.array([0.6] * (2 * keys) + [0.0, 0.0, -0.7, -2.0, -1.0, 0.0, -3.0])
        self._spread = numpy.array([0.9] * (2 * keys) + [1.0, 0.8, 0.7, 0.7, 0.4, 0.6, 1.2])
        self._theta = self._prior.copy()

    @property
    def noise(self) -> float:
        """Standard deviation of the noise."""
        return float(numpy.exp(self._theta[-1]))

    def fit(self, seen: Observations, iterations: int) -> None:
        """Fit the hyperparameters, from those of the previous fit."""
        squared = self._cube.squared_distances(seen.points, seen.points)
        same = seen.trials[:, None] == seen.trials[None]
        limits = zip(
            self._prior - BOUND * self._spread, self._prior + BOUND * self._spread, strict=True
        )
        found = minimize(
            self._loss,
            self._theta,
            (squared, same, seen),
            jac=True,
            method="L-BFGS-B",
            bounds=list(limits),
            options={"maxiter": iterations},
        )
        self._theta = found.x

    def condition(self, seen: Observations) -> None:
        """Condition the process on observations."""
        squared = self._cube.squared_distances(seen.points, seen.points)
        same = seen.trials[:, None] == seen.trials[None]
        kernel = _Kernel(self._theta, squared, same, seen.progress, seen.progress).matrix
        kernel[numpy.diag_indices_from(kernel)] += self.noise**2 + JITTER
        self._seen = seen
        self._root = cholesky(kernel, lower=True, check_finite=False)
        self._weights = cho_solve((self._root, True), seen.values, check_finite=False)

    def ends(self, points: Array, trials: NDArray[numpy.int64]) -> tuple[Array, Array]:
        """Predict the values at the end of the run, without noise.

        Args:
            points: configurations, [m, keys]
            trials: their trials; -1 for a new one, [m]

        Returns:
            Means and standard deviations, [m] each.
        """
        seen, one = self._seen, numpy.ones(len(points))
        squared = self._cube.squared_distances(points, seen.points)
        same = trials[:, None] == seen.trials[None]
        cross = _Kernel(self._theta, squared, same, one, seen.progress).matrix
        explained = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        prior = numpy.exp(2 * self._theta[-7:-3]).sum()
        variance = prior - (explained**2).sum(axis=0)
        return cross @ self._weights, numpy.sqrt(numpy.maximum(variance, 1e-10))

    def _loss(self, theta: Array, squared: Array, same: Any, seen: Observations) -> Any:
        """Return the negative log posterior and its gradient."""
        kernel = _Kernel(theta, squared, same, seen.progress, seen.progress)
        noise = numpy.exp(2 * theta[-1])
        matrix = kernel.matrix.copy()
        matrix[numpy.diag_indices_from(matrix)] += noise + JITTER
        off = (theta - self._prior) / self._spread
        try:
            root = cholesky(matrix, lower=True, check_finite=False)
        except numpy.linalg.LinAlgError:
            return 1e10, numpy.zeros_like(theta)
        inverse = cho_solve((root, True), numpy.eye(len(matrix)), check_finite=False)
        weights = inverse @ seen.values
        loss = 0.5 * seen.values @ weights + numpy.log(numpy.diag(root)).sum() + 0.5 * off @ off
        outer = 0.5 * (inverse - numpy.outer(weights, weights))
        gradient = numpy.append(kernel.gradient(outer), 2 * noise * numpy.trace(outer))
        return loss, gradient + off / self._spread


class _Kernel:
    """Covariance of two sets of observations, and its gradient."""

    def __init__(
        self, theta: Array, squared: Array, same: Any, first: Array, second: Array
    ) -> None:
        self._squared = squared
        keys = len(squared)
        self._rates_end, self._rates_way = numpy.exp(-2 * theta[: 2 * keys]).reshape(2, keys)
        self._mean, self._end, self._way, self._trial = numpy.exp(
            2 * theta[2 * keys : 2 * keys + 4]
        )
        self._power, self._length = numpy.exp(theta[2 * keys + 4 : 2 * keys + 6])
        log_first, log_second = numpy.log(first), numpy.log(second)
        self._gaps = numpy.abs(log_first[:, None] - log_second[None])
        self._logs = log_first[:, None] + log_second[None]
        self._grown = numpy.exp(self._power * self._logs)
        self._of_trial = same * _matern32(self._gaps, TRIAL_LENGTH)
        self._of_mean = _matern32(self._gaps, MEAN_LENGTH)
        self._of_way = _matern32(self._gaps, self._length)
        self._near_end = _Matern52(self._rates_end, squared)
        self._near_way = _Matern52(self._rates_way, squared)
        self._grown_end = self._end * self._near_end.values + self._trial * self._of_trial
        self.matrix = (
            self._mean * self._of_mean
            + self._grown_end * self._grown
            + self._way * self._near_way.values * self._of_way
        )

    def gradient(self, outer: Array) -> Array:
        """Return the derivatives of a loss by the hyperparameters except the noise.

        Args:
            outer: derivative of the loss by the matrix, [n, n]
        """
        by_end = outer * self._grown
        by_way = outer * self._of_way
        scaled = numpy.sqrt(3) * self._gaps / self._length
        near_end, near_way = self._near_end, self._near_way
        return numpy.concatenate(
            [
                5 * self._end * self._rates_end * self._along_keys(by_end * near_end.slopes()),
                5 * self._way * self._rates_way * self._along_keys(by_way * near_way.slopes()),
                [
                    2 * self._mean * (outer * self._of_mean).sum(),
                    2 * self._end * (by_end * near_end.values).sum(),
                    2 * self._way * (by_way * near_way.values).sum(),
                    2 * self._trial * (by_end * self._of_trial).sum(),
                    self._power * (by_end * self._grown_end * self._logs).sum(),
                    self._way * (outer * near_way.values * scaled**2 * numpy.exp(-scaled)).sum(),
                ],
            ]
        )

    def _along_keys(self, weights: Array) -> Array:
        return numpy.tensordot(self._squared, weights, 2)


class _Matern52:
    """Matern-5/2 kernel over configurations."""

    def __init__(self, rates: Array, squared: Array) -> None:
        self._distances = numpy.sqrt(5 * numpy.tensordot(rates, squared, 1))
        self._decay = numpy.exp(-self._distances)
        self.values = (1 + self._distances + self._distances**2 / 3) * self._decay

    def slopes(self) -> Array:
        """Return the derivatives by a key's squared distance, over -5 times its rate."""
        derivatives: Array = (1 + self._distances) / 3 * self._decay
        return derivatives


def _matern32(gaps: Array, length: float) -> Array:
    scaled = numpy.sqrt(3) * gaps / length
    covariance: Array = (1 + scaled) * numpy.exp(-scaled)
    return covariance
