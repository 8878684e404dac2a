"""Configurations as points of a unit cube, and distances between them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.random import Generator
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ugro.sampling.ordinal_encoding import OrdinalEncoding
from ugro.schedulers.base import Array, Cube
from ugro.space.prior import Belief, Near
from ugro.space.scale import position, value_at

MAX_LEVELS = 32  # a range with more values counts as continuous
MAX_CHANGED = 4  # keys in which a neighbour differs


class UnitCube(Cube):
    """Conversion of configurations to points, a coordinate per searched key.

    Numbers are scaled to between 0 and 1, on a logarithmic scale where the distribution is
    logarithmic; numeric choices are equidistant in their order. Other choices are names, with
    coordinates that are only equal or different. The coordinate of a key that a configuration lacks
    is NaN.

    Args:
        distributions: distribution of each searched key
        prior: beliefs about good values of some keys
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        prior: Mapping[str, Belief] | None = None,
    ) -> None:
        self._encoding = OrdinalEncoding(distributions)
        encoded = self._encoding.distributions(distributions)
        self._axes = {key: _axis(over) for key, over in encoded.items()}
        self._prior = {
            index: self._log_density(key, prior[key])
            for index, key in enumerate(self._axes)
            if prior and key in prior
        }
        self._named = numpy.array([axis.named for axis in self._axes.values()], dtype=bool)

    @property
    def dimensions(self) -> int:
        """Number of searched keys."""
        return len(self._axes)

    def point(self, parameters: Mapping[str, Any]) -> Array:
        """Return the point of a configuration, [keys]."""
        encoded = self._encoding.encode(parameters)
        return numpy.array(
            [
                axis.coordinate(encoded[key]) if key in encoded else math.nan
                for key, axis in self._axes.items()
            ]
        )

    def parameters(self, point: Array) -> dict[str, Any]:
        """Return the configuration at a point; the opposite of :meth:`point`."""
        encoded = {
            key: axis.value(float(coordinate))
            for (key, axis), coordinate in zip(self._axes.items(), point, strict=True)
            if not math.isnan(coordinate)
        }
        return self._encoding.decode(encoded)

    def squared_distances(self, first: Array, second: Array) -> Array:
        """Return the squared distance between points along each key, [keys, m, n].

        A key that only one of two configurations has is at a distance of 1.
        """
        one, other = first.T[:, :, None], second.T[:, None, :]
        apart: Array = one - other
        apart *= apart
        apart[self._named] = one[self._named] != other[self._named]
        missing, lacking = numpy.isnan(one), numpy.isnan(other)
        if missing.any() or lacking.any():
            apart = numpy.where(missing | lacking, missing != lacking, apart)
        return apart

    def log_prior(self, points: Array) -> Array:
        """Return the logarithm of the prior density of points, [n]; 0 if it is uniform.

        A key that a configuration lacks adds nothing.
        """
        total = numpy.zeros(len(points))
        for index, density in self._prior.items():
            known = ~numpy.isnan(points[:, index])
            total[known] += density(points[known, index])
        return total

    def _log_density(self, key: str, belief: Belief) -> Callable[[Array], Array]:
        """Return the logarithm of a belief's density as a function of the key's coordinate."""
        if isinstance(belief, Near):
            return belief.log_density
        axis = self._axes[key]
        last = len(belief.choices) - 1
        levels = [axis.value(level / max(1, last)) for level in range(last + 1)]
        ordered = [self._encoding.decode({key: level})[key] for level in levels]
        table = belief.log_density(ordered)
        return lambda coordinates: table[numpy.rint(coordinates * last).astype(int)]

    def random(self, count: int, generator: Generator) -> Array:
        """Return random points, [count, keys]."""
        uniform = generator.random((self.dimensions, count))
        columns = zip(self._axes.values(), uniform, strict=True)
        return numpy.stack([axis.nearest(column) for axis, column in columns], axis=1)

    def neighbours(self, point: Array, count: int, width: float, generator: Generator) -> Array:
        """Return points that differ from a point in one to four keys, [count, keys]."""
        near = numpy.tile(point, (count, 1))
        axes, known = list(self._axes.values()), numpy.flatnonzero(~numpy.isnan(point))
        for row in near:
            changed = generator.integers(1, min(len(known), MAX_CHANGED) + 1)
            for index in generator.choice(known, changed, replace=False):
                row[index] = axes[index].moved(row[index], width, generator)
        return near


@dataclass(frozen=True)
class _Axis:
    """Coordinate of a key.

    Attributes:
        over: encoded distribution of the key
        levels: number of its equidistant values; None if it is continuous
    """

    over: BaseDistribution
    levels: int | None

    @property
    def named(self) -> bool:
        """Whether the values are names."""
        return isinstance(self.over, CategoricalDistribution)

    def coordinate(self, value: Any) -> float:
        """Return the coordinate of a value, from 0 to 1."""
        match self.over:
            case CategoricalDistribution(choices=choices):
                return choices.index(value) / max(1, len(choices) - 1)
            case (
                IntDistribution(low=low, high=high, log=log)
                | FloatDistribution(low=low, high=high, log=log)
            ):
                return position(value, low, high, log)
        raise TypeError(f"{self.over} is unknown")

    def value(self, coordinate: float) -> Any:
        """Return the value at a coordinate."""
        match self.over:
            case CategoricalDistribution(choices=choices):
                return choices[round(coordinate * (len(choices) - 1))]
            case IntDistribution(low=low, high=high, step=step, log=log):
                nearest = round((value_at(coordinate, low, high, log) - low) / step)
                return min(low + nearest * step, high)
            case FloatDistribution(low=low, high=high, step=step, log=log):
                value = value_at(coordinate, low, high, log)
                value = value if step is None else low + round((value - low) / step) * step
                return min(max(value, low), high)
        raise TypeError(f"{self.over} is unknown")

    def nearest(self, uniform: Array) -> Array:
        """Return the coordinates that numbers from 0 to 1 select, with equal chances."""
        if self.levels is None:
            return uniform
        index = numpy.minimum(numpy.floor(uniform * self.levels), self.levels - 1)
        return index / max(1, self.levels - 1)

    def moved(self, coordinate: float, width: float, generator: Generator) -> float:
        """Return a nearby coordinate; of names, any."""
        if self.levels is None:
            return float(numpy.clip(coordinate + generator.normal(0, width), 0, 1))
        last = max(1, self.levels - 1)
        if self.named:
            return float(generator.integers(self.levels)) / last
        level = round(coordinate * last) + int(generator.choice([-1, 1]))
        return min(max(level, 0), last) / last  # exactly a level: a tried point is recognised


def _axis(over: BaseDistribution) -> _Axis:
    match over:
        case CategoricalDistribution(choices=choices):
            return _Axis(over, len(choices))
        case IntDistribution(low=low, high=high, step=float() | int() as step, log=False) | (
            FloatDistribution(low=low, high=high, step=float() | int() as step, log=False)
        ):
            levels = round((high - low) / step) + 1
            return _Axis(over, levels if levels <= MAX_LEVELS else None)
    return _Axis(over, None)
