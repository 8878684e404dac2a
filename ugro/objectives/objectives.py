"""Objectives of a study: values of trials, their directions and their combination."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ugro.config import Direction, Mode, ObjectiveConfig, ObjectivesConfig
from ugro.errors import UserError, fault
from ugro.events.trial_report import MEASURED

COMPOSITE = "composite_score"
AUGMENTATION = 0.05  # rho of ParEGO (Knowles 2006): breaks ties with weakly dominated points


@dataclass(frozen=True)
class Objectives:
    """Configured objectives.

    Attributes:
        mode: how several metrics are combined
        metrics: settings of each objective by the name of its metric
    """

    mode: Mode
    metrics: Mapping[str, ObjectiveConfig]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the values of a trial."""
        if self._is_separate:
            return tuple(self.metrics)
        return (COMPOSITE,)

    @property
    def directions(self) -> tuple[Direction, ...]:
        """Directions of the values of a trial."""
        if self._is_separate:
            return tuple(objective.direction for objective in self.metrics.values())
        return (Direction.maximize if self.mode is Mode.scalarized else Direction.minimize,)

    @property
    def _is_separate(self) -> bool:
        """Whether each metric is a value of its own."""
        return self.mode is Mode.pareto or len(self.metrics) == 1

    def values(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """Compute the values of a finished trial, in the order of ``names``.

        Args:
            metrics: everything that the trial measured

        Raises:
            UserError: an objective was not measured.
            FloatingPointError: an objective is NaN.
        """
        missing = [name for name in self.metrics if name not in metrics]
        if missing:
            allowed = f"what the trial measured: {', '.join(sorted(metrics))}"
            raise UserError(fault("objectives.metrics", ", ".join(missing), allowed))
        for name in self.metrics:
            if math.isnan(metrics[name]):
                raise FloatingPointError(f"{name} is not a number")
        if self._is_separate:
            return tuple(metrics[name] for name in self.metrics)
        return (self._composite(metrics),)

    def intermediate(self, metrics: Mapping[str, float]) -> float | None:
        """Compute a single value of a report, in the direction of the study's first value.

        Metrics that are measured only at the end of a trial (``latency_ms``) are left out. Without
        a configured metric that is not computed at every evaluation, there is no value.

        Raises:
            UserError: the report has none of the objectives.
        """
        reported = {name: metrics[name] for name in self.metrics if name in metrics}
        if any(name not in metrics and name not in MEASURED for name in self.metrics):
            return None
        if not reported:
            allowed = f"with at least one that is reported: {', '.join(sorted(metrics))}"
            raise UserError(fault("objectives.metrics", ", ".join(self.metrics), allowed))
        if len(self.metrics) == 1:
            return next(iter(reported.values()))
        if self.mode is Mode.pareto:
            score = self._scalarized(reported, bounded=False)
            return -score if self.directions[0] is Direction.minimize else score
        return self._composite(reported)

    def progress(self, metrics: Mapping[str, float]) -> float | None:
        """Compute the intermediate value, negated if maximised, for trial schedulers to compare."""
        value = self.intermediate(metrics)
        return (
            None if value is None else -value if self.directions[0] is Direction.maximize else value
        )

    def minimised(self, metrics: Mapping[str, float]) -> tuple[float, ...]:
        """Return the reported objectives, the maximised ones negated."""
        return tuple(
            -metrics[name] if objective.direction is Direction.maximize else metrics[name]
            for name, objective in self.metrics.items()
            if name in metrics
        )

    def _composite(self, metrics: Mapping[str, float]) -> float:
        return (self._scalarized if self.mode is Mode.scalarized else self._chebyshev)(metrics)

    def _scalarized(self, metrics: Mapping[str, float], bounded: bool = True) -> float:
        """Compute the weighted sum of 1/(1+v) for each minimised v and v for each maximised v.

        Args:
            metrics: values by name
            bounded: whether values must be above -1; else negative values continue as 1-v

        Raises:
            UserError: a minimised value is -1 or below, where 1/(1+v) is meaningless.
        """
        total = 0.0
        for name, value in metrics.items():
            if (objective := self.metrics.get(name)) is None:
                continue
            is_minimised = objective.direction is Direction.minimize
            if is_minimised and not bounded and value < 0:
                total += objective.weight * (1 - value)
                continue
            if is_minimised and value <= -1:
                allowed = "above -1 where it is minimised; or objectives.mode=chebyshev"
                raise UserError(fault(f"objectives.metrics.{name}", value, allowed))
            total += objective.weight * (1 / (1 + value) if is_minimised else value)
        return total

    def _chebyshev(self, metrics: Mapping[str, float]) -> float:
        """Compute the augmented Chebyshev distance: 0 at the best reference points, 1 at the worst.

        The result is the largest weighted distance plus a small share of their sum: Miettinen,
        Nonlinear Multiobjective Optimization, 1999, section 3.4; Knowles 2006. The reference points
        make it independent of units.
        """
        distances = [
            objective.weight * (metrics[name] - objective.best) / (objective.worst - objective.best)
            for name, objective in self.metrics.items()
            if name in metrics and objective.best is not None and objective.worst is not None
        ]
        return max(distances) + AUGMENTATION * sum(distances)


def objectives_of(config: ObjectivesConfig) -> Objectives:
    """Create the objectives from their configuration."""
    return Objectives(config.mode, config.metrics)
