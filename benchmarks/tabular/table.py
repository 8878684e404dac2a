"""A problem fitted to recorded runs, which predicts curves of other configurations.

A Gaussian process over the configurations predicts the losses at each evaluation point, a linear
model the processor seconds. These curves are smoother than real ones; the difference between two
seeds of a configuration is added as noise. :func:`errors` measures the accuracy of the fit.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
import pandas
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from .curves import HOURS, POINTS, Curve, noise_of, plain
from .families import MODULES

KEYS = (
    "lora.r",
    "lora.alpha_ratio",
    "lora.dropout",
    "lora.target_modules",
    "training.learning_rate",
    "training.warmup_ratio",
    "training.weight_decay",
    "training.batch_size",
)


@dataclass(frozen=True)
class Table:
    """A problem fitted to recorded runs.

    Attributes:
        name: of the problem
        path: recorded runs
        model: base model
        data: what it was fine-tuned on
        evaluation: what an evaluated row holds
    """

    name: str
    path: Path
    model: str = ""
    data: str = ""
    evaluation: str = ""

    @cached_property
    def runs(self) -> pandas.DataFrame:
        """Recorded reports, a row each."""
        return pandas.read_parquet(self.path)

    @cached_property
    def whole(self) -> pandas.DataFrame:
        """Losses and seconds of each configuration with its first seed, without diverged runs.

        Columns are KEYS, then loss_0, loss_1, ..., and seconds_0, ...
        """
        return _wide(self._first_runs)

    @property
    def tokens(self) -> int:
        """Training tokens of a complete run."""
        return int(self.runs.total_tokens.max())

    @cached_property
    def losses(self) -> Any:
        """Losses of all configurations with their first seed, [configurations, points].

        NaN once a run has diverged.
        """
        return _pivoted(self._first_runs)["eval_loss"].to_numpy()

    @property
    def repeated(self) -> int:
        """Number of configurations with a second seed."""
        return len(self._twice)

    @cached_property
    def noise(self) -> Any:
        """Standard deviation of the loss between seeds at each point, [points]."""
        names = _names(self.whole, "loss")
        second = self._twice[[f"{name}_second" for name in names]].to_numpy()
        return numpy.sqrt(((self._twice[names].to_numpy() - second) ** 2).mean(axis=0) / 2)

    @property
    def _first_runs(self) -> pandas.DataFrame:
        return self.runs[self.runs.seed == self.runs.seed.min()]

    @cached_property
    def _twice(self) -> pandas.DataFrame:
        second = _wide(self.runs[self.runs.seed == self.runs.seed.max()])
        return self.whole.join(second, rsuffix="_second", how="inner")

    @cached_property
    def _fit(self) -> "_Fit":
        return _fitted(self.whole)

    def curve(self, parameters: Mapping[str, Any], seed: int) -> Curve:
        """Return the curve of a configuration with noise of this seed."""
        losses, seconds = self._fit.at(parameters)
        draw = noise_of(parameters, seed).normal(0, 1)  # fully correlated along the curve
        scale = HOURS / self._fit.median_seconds
        return Curve(
            (losses + draw * self.noise).tolist(),
            (seconds * scale).tolist(),
            HOURS / 100,
            self.tokens,
            float(losses[1:].min()),
        )


@dataclass(frozen=True)
class _Fit:
    """Weights of the recorded configurations for each evaluation point."""

    points: Any  # features, [configurations, features]
    scales: Any  # length scales, [features]
    weights: Any  # of log losses, [configurations, points]
    center: Any  # mean log losses, [points]
    log_seconds: Any  # linear coefficients, [1 + features, points - 1]
    median_seconds: float

    def at(self, parameters: Mapping[str, Any]) -> tuple[Any, Any]:
        """Return losses and seconds, [points] each."""
        here = features(parameters)
        apart = ((self.points - here) / self.scales) ** 2
        near = numpy.exp(-0.5 * apart.sum(axis=1))
        losses = numpy.exp(self.center + near @ self.weights)
        seconds = numpy.exp(self.log_seconds[0] + here @ self.log_seconds[1:])
        return losses, numpy.concatenate([[0.0], numpy.maximum.accumulate(seconds)])


def features(configuration: Mapping[str, Any]) -> Any:
    """Map a configuration to features scaled to similar effects."""
    return numpy.array(
        [
            math.log2(configuration["lora.r"] / 8) / 4,
            math.log2(configuration["lora.alpha_ratio"]) / 2,
            configuration["lora.dropout"] * 5,
            MODULES[configuration["lora.target_modules"]],
            math.log10(configuration["training.learning_rate"]) + 4,
            configuration["training.warmup_ratio"] * 10,
            configuration["training.weight_decay"] * 10,
            math.log2(configuration["training.batch_size"] / 4) / 3,
        ]
    )


def _fitted(whole: pandas.DataFrame) -> _Fit:
    """Fit length scales by the likelihood of the last loss, shared by all points."""
    points = numpy.stack(
        [features(plain(configuration)) for configuration in whole[list(KEYS)].to_dict("records")]
    )
    losses = numpy.log(whole[_names(whole, "loss")].to_numpy())
    seconds = whole[_names(whole, "seconds")].to_numpy()[:, 1:]
    center = losses.mean(axis=0)
    kernel = ConstantKernel(1.0) * RBF([1.0] * points.shape[1], (0.2, 30.0)) + WhiteKernel(0.01)
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        # Keys without effect have a scale at the upper bound.
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(points, losses[:, -1])
    amplitude, noise = process.kernel_.k1.k1.constant_value, process.kernel_.k2.noise_level
    scales = process.kernel_.k1.k2.length_scale
    apart = ((points[:, None] - points[None]) / scales) ** 2
    near = numpy.exp(-0.5 * apart.sum(axis=2))
    among = near + noise / amplitude * numpy.eye(len(points))
    weights = numpy.linalg.solve(among, losses - center)
    design = numpy.hstack([numpy.ones((len(points), 1)), points])
    log_seconds = numpy.linalg.lstsq(design, numpy.log(seconds), rcond=None)[0]
    return _Fit(points, scales, weights, center, log_seconds, float(numpy.median(seconds[:, -1])))


def errors(table: Table, folds: int = 10) -> dict[str, float]:
    """Cross-validate the predicted last loss."""
    whole = table.whole
    order = numpy.random.default_rng(0).permutation(len(whole))
    predicted = numpy.empty(len(whole))
    for held in numpy.array_split(order, folds):
        fit = _fitted(whole.iloc[numpy.setdiff1d(order, held)])
        for row in held:
            predicted[row] = fit.at(plain(whole.iloc[row][list(KEYS)].to_dict()))[0][-1]
    true = whole[_names(whole, "loss")[-1]].to_numpy()
    return {
        "configurations": len(whole),
        "mean absolute error": float(numpy.abs(predicted - true).mean()),
        "standard deviation": float(true.std()),
        "kendall": kendall(predicted, true),
    }


def kendall(one: Any, other: Any) -> float:
    """Return the rank correlation of two sequences."""
    return float(pandas.Series(one).corr(pandas.Series(other), method="kendall"))


def _wide(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Return a row per configuration with only finite losses."""
    wide = _pivoted(runs)
    wide.columns = [f"{'loss' if of == 'eval_loss' else 'seconds'}_{n}" for of, n in wide.columns]
    keys = runs.groupby("configuration")[list(KEYS)].first()
    whole: pandas.DataFrame = keys.join(wide[numpy.isfinite(wide).all(axis=1)], how="inner")
    return whole


def _pivoted(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Return losses and seconds at each twelfth of the run, a row per configuration.

    Runs of few steps have fewer than twelve evaluations, as the steps between them round up; they
    are interpolated. After the last report of a run that ended early all is NaN.
    """
    shares = numpy.arange(POINTS + 1) / POINTS
    values = ("eval_loss", "cpu_seconds")
    rows = {
        configuration: numpy.concatenate(
            [
                numpy.interp(shares, run.step / run.total_steps, run[value], right=math.nan)
                for value in values
            ]
        )
        for configuration, run in runs.groupby("configuration")
    }
    columns = pandas.MultiIndex.from_product([values, range(POINTS + 1)])
    wide = pandas.DataFrame.from_dict(rows, orient="index", columns=columns)
    return wide.rename_axis("configuration")


def _names(whole: pandas.DataFrame, of: str) -> list[str]:
    return [name for name in whole.columns if name.startswith(f"{of}_")]
