"""The sampler interface, and the draws of a sampler."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from ugro.events.outcome import Outcome


@dataclass(frozen=True)
class Draw:
    """Parameters drawn by a sampler.

    Attributes:
        number: number of the draw in its sampler
        parameters: parameters as in the study
        distributions: distributions of these keys as in the study
    """

    number: int
    parameters: Mapping[str, Any]
    distributions: Mapping[str, BaseDistribution]


class Sampler(Protocol):
    """Proposer of configurations, which learns from reports and outcomes."""

    @property
    def description(self) -> str:
        """The sampler in words, for the plan of a study."""

    def ask(self, fixed: Mapping[str, Any] | None = None) -> Draw:
        """Draw a configuration, except for the parameters in ``fixed``."""

    def report(self, draw: Draw, resource: int, value: float) -> None:
        """Report an intermediate value; with several objectives no sampler uses it."""

    def tell(self, draw: Draw, outcome: Outcome, values: Sequence[float] | None = None) -> None:
        """Record the outcome of a trial, unless the trial will be resumed."""

    def add(self, trial: FrozenTrial) -> None:
        """Add a finished trial of another driver."""

    def reject(self, draw: Draw) -> None:
        """Mark a draw as infeasible, which ranks it behind all trials that ran."""

    def discard(self, draw: Draw) -> None:
        """Discard a draw that carries no information, such as a duplicate."""
