"""A Gaussian process over configurations and training progress."""

from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize
from scipy.sparse import csr_array

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

    def and_then(self, further: "Observations") -> "Observations":
        """Return these observations and further ones."""
        return Observations(
            numpy.concatenate([self.points, further.points]),
            numpy.concatenate([self.trials, further.trials]),
            numpy.concatenate([self.progress, further.progress]),
            numpy.concatenate([self.values, further.values]),
        )


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
        rows = _Rows(seen)
        limits = zip(
            self._prior - BOUND * self._spread, self._prior + BOUND * self._spread, strict=True
        )
        found = minimize(
            self._loss,
            self._theta,
            (_Pairs(self._cube, rows, rows), seen.values),
            jac=True,
            method="L-BFGS-B",
            bounds=list(limits),
            options={"maxiter": iterations},
        )
        self._theta = found.x

    def condition(self, seen: Observations) -> None:
        """Condition the process on observations."""
        self._seen, self._rows = seen, _Rows(seen)
        self._root = _root(self._covariance(self._rows, self._rows), self.noise)
        self._weights = cho_solve((self._root, True), seen.values, check_finite=False)

    def extend(self, further: Observations) -> None:
        """Condition the process on further observations, which takes a small part of the time."""
        rows = _Rows(further)
        cross = self._covariance(self._rows, rows)
        below = solve_triangular(self._root, cross, lower=True, check_finite=False)
        corner = _root(self._covariance(rows, rows) - below.T @ below, self.noise)
        self._root = numpy.block([[self._root, numpy.zeros_like(below)], [below.T, corner]])
        self._seen = self._seen.and_then(further)
        self._rows = _Rows(self._seen)
        self._weights = cho_solve((self._root, True), self._seen.values, check_finite=False)

    def ends(self, points: Array, trials: NDArray[numpy.int64]) -> tuple[Array, Array]:
        """Predict the values at the end of the run, without noise.

        Args:
            points: configurations, [m, keys]
            trials: their trials; -1 for a new one, [m]

        Returns:
            Means and standard deviations, [m] each.
        """
        ends = _Rows(Observations(points, trials, numpy.ones(len(points)), numpy.array([])))
        cross = self._covariance(ends, self._rows)
        explained = solve_triangular(self._root, cross.T, lower=True, check_finite=False)
        prior = numpy.exp(2 * self._theta[-7:-3]).sum()
        variance = prior - (explained**2).sum(axis=0)
        return cross @ self._weights, numpy.sqrt(numpy.maximum(variance, 1e-10))

    def _covariance(self, first: "_Rows", second: "_Rows") -> Array:
        return _Kernel(self._theta, _Pairs(self._cube, first, second)).matrix()

    def _loss(self, theta: Array, pairs: "_Pairs", values: Array) -> tuple[float, Array]:
        """Return the negative log posterior and its gradient."""
        kernel, noise = _Kernel(theta, pairs), numpy.exp(theta[-1])
        off = (theta - self._prior) / self._spread
        try:
            root = _root(kernel.matrix(), noise)
        except numpy.linalg.LinAlgError:
            return 1e10, numpy.zeros_like(theta)
        lower, _ = dpotri(root, lower=1)
        inverse = lower + numpy.tril(lower, -1).T
        weights = inverse @ values
        loss = 0.5 * values @ weights + numpy.log(numpy.diag(root)).sum() + 0.5 * off @ off
        outer = 0.5 * (inverse - numpy.outer(weights, weights))
        gradient = numpy.append(kernel.gradient(outer), 2 * noise**2 * numpy.trace(outer))
        return float(loss), gradient + off / self._spread


class _Rows:
    """Observations by distinct trials and distinct progress, of which there are few.

    Attributes:
        points: configuration of each distinct trial, [trials, keys]
        numbers: its number, [trials]
        logs: logarithm of each distinct progress, [levels]
        trial: distinct trial of each observation, [n]
        level: distinct progress of each observation, [n]
    """

    def __init__(self, seen: Observations) -> None:
        new = seen.trials < 0  # each is a trial of its own
        own = numpy.where(new, -1 - numpy.arange(len(seen.trials)), seen.trials)
        _, first, self.trial = numpy.unique(own, return_index=True, return_inverse=True)
        self.points, self.numbers = seen.points[first], seen.trials[first]
        levels, self.level = numpy.unique(seen.progress, return_inverse=True)
        self.logs = numpy.log(levels)


class _Pairs:
    """Pairs of observations: what is the same for all hyperparameters.

    A covariance is a sum of products of a matrix over pairs of trials and one over pairs of levels
    of progress. Both are small beside the covariance, so that they take the exponentials.

    Attributes:
        squared: squared distance of two trials along each key, [keys, trials, trials]
        same: whether they are the same trial, [trials, trials]
        gaps: distance of two levels, in e-foldings, [levels, levels]
        logs: sum of their logarithms, [levels, levels]
    """

    def __init__(self, cube: Cube, first: _Rows, second: _Rows) -> None:
        self._first, self._second = first, second
        self.squared = cube.squared_distances(first.points, second.points)
        self.same = (first.numbers[:, None] == second.numbers[None]).astype(float)
        self.gaps = numpy.abs(first.logs[:, None] - second.logs[None])
        self.logs = first.logs[:, None] + second.logs[None]

    def of_trials(self, values: Array) -> Array:
        """Return the value of each pair of observations from that of its trials, [n, m]."""
        return values[self._first.trial].take(self._second.trial, axis=1)

    def of_levels(self, values: Array) -> Array:
        """Return the value of each pair of observations from that of its levels, [n, m]."""
        return values[self._first.level].take(self._second.level, axis=1)

    def sum_by_trials(self, weights: Array) -> Array:
        """Return the sum of weights, [n, m], over each pair of trials."""
        return _sums(weights, self._first.trial, self._second.trial)

    def sum_by_levels(self, weights: Array) -> Array:
        """Return the sum of weights, [n, m], over each pair of levels."""
        return _sums(weights, self._first.level, self._second.level)


def _sums(weights: Array, first: NDArray[numpy.int64], second: NDArray[numpy.int64]) -> Array:
    along: Array = _indicator(first) @ weights
    sums: Array = _indicator(second) @ along.T
    return sums.T


def _indicator(groups: NDArray[numpy.int64]) -> csr_array:
    """Return the matrix that sums rows by group, [groups, n]."""
    return csr_array((numpy.ones(len(groups)), (groups, numpy.arange(len(groups)))))


def _root(covariance: Array, noise: float) -> Array:
    """Return the Cholesky factor of a covariance with noise; overwrites the covariance."""
    covariance[numpy.diag_indices_from(covariance)] += noise**2 + JITTER
    root: Array = cholesky(covariance, lower=True, overwrite_a=True, check_finite=False)
    return root


class _Kernel:
    """Covariance of pairs of observations, and its gradient."""

    def __init__(self, theta: Array, pairs: _Pairs) -> None:
        self._pairs = pairs
        keys = len(pairs.squared)
        self._rates_end, self._rates_way = numpy.exp(-2 * theta[: 2 * keys]).reshape(2, keys)
        mean, self._end, self._way, trial = numpy.exp(2 * theta[2 * keys : 2 * keys + 4])
        self._power, self._length = numpy.exp(theta[2 * keys + 4 : 2 * keys + 6])
        self._near_end = _Matern52(self._rates_end, pairs.squared)
        self._near_way = _Matern52(self._rates_way, pairs.squared)
        grown = numpy.exp(self._power * pairs.logs)
        # Each term of the covariance, over trials and over levels
        self._end_of_trials, self._end_of_levels = self._end * self._near_end.values, grown
        self._way_of_trials = self._way * self._near_way.values
        self._way_of_levels = _matern32(pairs.gaps, self._length)
        self._own_of_trials = trial * pairs.same
        self._own_of_levels = grown * _matern32(pairs.gaps, TRIAL_LENGTH)
        self._mean_of_levels = mean * _matern32(pairs.gaps, MEAN_LENGTH)

    def matrix(self) -> Array:
        """Return the covariance, [n, m]."""
        of_trials, of_levels = self._pairs.of_trials, self._pairs.of_levels
        covariance = of_levels(self._mean_of_levels)
        covariance += of_trials(self._end_of_trials) * of_levels(self._end_of_levels)
        covariance += of_trials(self._way_of_trials) * of_levels(self._way_of_levels)
        covariance += of_trials(self._own_of_trials) * of_levels(self._own_of_levels)
        return covariance

    def gradient(self, outer: Array) -> Array:
        """Return the derivatives of a loss by the hyperparameters except the noise.

        Args:
            outer: derivative of the loss by the covariance, [n, m]
        """
        pairs = self._pairs
        by_end = pairs.sum_by_trials(outer * pairs.of_levels(self._end_of_levels))
        by_way = pairs.sum_by_trials(outer * pairs.of_levels(self._way_of_levels))
        end, way, own = (
            pairs.sum_by_levels(outer * pairs.of_trials(over))
            for over in (self._end_of_trials, self._way_of_trials, self._own_of_trials)
        )
        grown = end * self._end_of_levels + own * self._own_of_levels
        scaled = numpy.sqrt(3) * pairs.gaps / self._length
        slopes_end = by_end * self._near_end.slopes()
        slopes_way = by_way * self._near_way.slopes()
        return numpy.concatenate(
            [
                5 * self._end * self._rates_end * numpy.tensordot(pairs.squared, slopes_end, 2),
                5 * self._way * self._rates_way * numpy.tensordot(pairs.squared, slopes_way, 2),
                [
                    2 * (pairs.sum_by_levels(outer) * self._mean_of_levels).sum(),
                    2 * (end * self._end_of_levels).sum(),
                    2 * (way * self._way_of_levels).sum(),
                    2 * (own * self._own_of_levels).sum(),
                    self._power * (grown * pairs.logs).sum(),
                    (way * scaled**2 * numpy.exp(-scaled)).sum(),
                ],
            ]
        )


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
