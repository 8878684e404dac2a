"""What makes one trial better than another? One measured number, or several put together."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ugro.config import Direction, Mode, ObjectiveConfig, ObjectivesConfig
from ugro.errors import UserError, fault

COMPOSITE = "composite_score"
AUGMENTATION = 0.05  # rho of ParEGO (Knowles 2006): what is only weakly dominated never ties


@dataclass(frozen=True)
class Objectives:
    """The configured objectives: what the study is told and what trial schedulers compare."""

    mode: Mode
    metrics: Mapping[str, ObjectiveConfig]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the values that the study is told."""
        if self._each:
            return tuple(self.metrics)
        return (COMPOSITE,)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Of the same values."""
        if self._each:
            return tuple(one.direction for one in self.metrics.values())
        return (Direction.maximize if self.mode is Mode.scalarized else Direction.minimize,)

    @property
    def _each(self) -> bool:
        """Whether the metrics are told as they are."""
        return self.mode is Mode.pareto or len(self.metrics) == 1

    def values(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """What the study is told of a finished trial.

        Args:
            metrics: all that the trial measured

        Raises:
            UserError: an objective was not measured; none is ever skipped.
            FloatingPointError: an objective is not a number.
        """
        missing = [name for name in self.metrics if name not in metrics]
        if missing:
            allowed = f"what the trial measured: {', '.join(sorted(metrics))}"
            raise UserError(fault("objectives.metrics", ", ".join(missing), allowed))
        for name in self.metrics:
            if math.isnan(metrics[name]):
                raise FloatingPointError(f"{name} is not a number")
        if self._each:
            return tuple(metrics[name] for name in self.metrics)
        return (self._composite(metrics),)

    def intermediate(self, metrics: Mapping[str, float]) -> float:
        """One number of a report, in the direction of the study's first value.

        What is known only when a trial has ended (``latency_ms``) does not take part.

        Raises:
            UserError: the report has none of the objectives.
        """
        known = {name: metrics[name] for name in self.metrics if name in metrics}
        if not known:
            allowed = f"with at least one that is reported: {', '.join(sorted(metrics))}"
            raise UserError(fault("objectives.metrics", ", ".join(self.metrics), allowed))
        if len(self.metrics) == 1:
            return next(iter(known.values()))
        if self.mode is Mode.pareto:
            score = self._scalarized(known)
            return -score if self.directions[0] is Direction.minimize else score
        return self._composite(known)

    def progress(self, metrics: Mapping[str, float]) -> float:
        """The same number, smaller is better: what trial schedulers compare."""
        value = self.intermediate(metrics)
        return -value if self.directions[0] is Direction.maximize else value

    def minimised(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """The reported objectives, each turned so that smaller is better."""
        return tuple(
            -metrics[name] if one.direction is Direction.maximize else metrics[name]
            for name, one in self.metrics.items()
            if name in metrics
        )

    def _composite(self, metrics: Mapping[str, float]) -> float:
        return (self._scalarized if self.mode is Mode.scalarized else self._chebyshev)(metrics)

    def _scalarized(self, metrics: Mapping[str, float]) -> float:
        """A minimised value v counts as 1/(1+v), a maximised one as it is; their weighted sum.

        Raises:
            UserError: a minimised value is -1 or below, where 1/(1+v) says nothing.
        """
        total = 0.0
        for name, value in metrics.items():
            if (one := self.metrics.get(name)) is None:
                continue
            if one.direction is Direction.minimize and value <= -1:
                allowed = "above -1 where it is minimised; or objectives.mode=chebyshev"
                raise UserError(fault(f"objectives.metrics.{name}", value, allowed))
            total += one.weight * (
                1 / (1 + value) if one.direction is Direction.minimize else value
            )
        return total

    def _chebyshev(self, metrics: Mapping[str, float]) -> float:
        """The largest weighted distance from the best reference points, 0 there, 1 at the worst.

        Augmented by a small share of the sum: Miettinen, Nonlinear Multiobjective Optimization,
        1999, section 3.4; Knowles 2006. It does not depend on units, as the points scale along.
        """
        distances = [
            one.weight * (metrics[name] - one.best) / (one.worst - one.best)
            for name, one in self.metrics.items()
            if name in metrics and one.best is not None and one.worst is not None
        ]
        return max(distances) + AUGMENTATION * sum(distances)


def objectives_of(config: ObjectivesConfig) -> Objectives:
    """The configured objectives."""
    return Objectives(config.mode, config.metrics)
