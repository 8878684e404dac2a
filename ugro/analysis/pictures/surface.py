"""What does the objective look like between trials? A Gaussian process over two numbers."""

import warnings
from dataclasses import dataclass

import numpy

from ugro.analysis.pictures.ticks import Numbers

MOST = 150  # trials that it is fitted to, drawn evenly: it takes the cube of them
KNOWN = 0.75  # of the spread far from any trial: where it is less sure than that it says nothing
CELLS = 80  # each way


@dataclass(frozen=True)
class Surface:
    """A surface over the unit square.

    Attributes:
        values: at ``cells`` x ``cells``, a row a height; NaN far from any trial
        cells: where they are, 0 to 1, along both sides
        explained: the share of the variance of trials that the others explain; below 0 where
            their mean says more
    """

    values: Numbers
    cells: Numbers
    explained: float


def surface(at: Numbers, values: Numbers) -> Surface:
    """Fit the surface: each side with a length of its own, noise with them (scikit-learn).

    Args:
        at: a row a trial, its two places, 0 to 1
        values: one a trial, not all the same
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    if len(at) > MOST:
        some = numpy.random.default_rng(0).permutation(len(at))[:MOST]
        at, values = at[some], values[some]
    shape = ConstantKernel(1.0, (0.01, 100.0)) * RBF([0.3, 0.3], (0.08, 3.0))
    process = GaussianProcessRegressor(shape + WhiteKernel(0.1, (1e-4, 3.0)), normalize_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length at its bound: the key says nothing
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
    """Each trial by the others: Rasmussen and Williams 2006, equation 5.12."""
    from scipy.linalg import cho_solve

    weights, lower = process.alpha_, process.L_  # type: ignore[attr-defined]
    inverse = cho_solve((lower, True), numpy.eye(len(lower)))
    missed = weights / numpy.diag(inverse)  # in standard deviations of the values
    return float(1 - numpy.mean(missed**2))
