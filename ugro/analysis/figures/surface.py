"""The objective between trials: a Gaussian process over two numbers."""

import warnings
from dataclasses import dataclass

import numpy

from ugro.analysis.figures.drawing.ticks import Numbers

MOST = 150  # trials to fit; the time grows with their cube
KNOWN = 0.75  # of the prior deviation: above it, far from any trial, the surface is left out
CELLS = 80  # each way


@dataclass(frozen=True)
class Surface:
    """A surface over the unit square.

    Attributes:
        values: [cells, cells], rows along the second key; NaN far from any trial
        cells: grid positions along both sides, 0 to 1
        explained: share of the variance that leave-one-out predictions explain; negative where
            the mean predicts better
    """

    values: Numbers
    cells: Numbers
    explained: float


def surface(at: Numbers, values: Numbers) -> Surface:
    """Fit the surface: an RBF kernel with a length scale per key, and noise (scikit-learn).

    Args:
        at: [trials, 2], positions in 0..1
        values: [trials], not all equal
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    if len(at) > MOST:
        some = numpy.random.default_rng(0).permutation(len(at))[:MOST]
        at, values = at[some], values[some]
    shape = ConstantKernel(1.0, (0.01, 100.0)) * RBF([0.3, 0.3], (0.08, 3.0))
    process = GaussianProcessRegressor(shape + WhiteKernel(0.1, (1e-4, 3.0)), normalize_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound: an irrelevant key
        process.fit(at, values)
    cells = numpy.linspace(0, 1, CELLS)
    grid = numpy.stack(numpy.meshgrid(cells, cells), axis=-1).reshape(-1, 2)
    predicted, deviation = process.predict(grid, return_std=True)
    unit = float(values.std()) ** 2
    noise, signal = process.kernel_.k2.noise_level, process.kernel_.k1.k1.constant_value
    unsure = numpy.sqrt(numpy.clip(deviation**2 / unit - noise, 0, None) / signal)
    predicted[unsure > KNOWN] = numpy.nan
    return Surface(predicted.reshape(CELLS, CELLS), cells, _explained(process))


def _explained(process: object) -> float:
    """Score leave-one-out predictions: Rasmussen and Williams 2006, equation 5.12."""
    from scipy.linalg import cho_solve

    weights, lower = process.alpha_, process.L_  # type: ignore[attr-defined]
    inverse = cho_solve((lower, True), numpy.eye(len(lower)))
    missed = weights / numpy.diag(inverse)  # in standard deviations of the values
    return float(1 - numpy.mean(missed**2))
