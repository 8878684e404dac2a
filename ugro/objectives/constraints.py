"""Constraints on configurations and on measured results."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from ugro.config import ConstraintsConfig
from ugro.errors import UserError, fault
from ugro.events.trial_report import MEASURED
from ugro.objectives.expressions import Expression, parse

Lookup = Callable[[str], object]  # value of a key or metric by name


@dataclass(frozen=True)
class Constraints:
    """Parsed constraints of a study.

    Attributes:
        on_config: constraints on keys only, checked before a trial runs
        on_results: constraints with metrics, checked after a trial has finished
        measured: names of all metrics that trials measure
    """

    on_config: tuple[Expression, ...] = ()
    on_results: tuple[Expression, ...] = ()
    measured: frozenset[str] = frozenset()


def constraints_of(
    config: ConstraintsConfig,
    is_key: Callable[[str], bool],
    measured: Collection[str] = MEASURED,
) -> Constraints:
    """Parse the constraints.

    Args:
        config: the expressions
        is_key: whether the configuration has a key
        measured: names of all metrics that trials measure

    Raises:
        UserError: an expression does not parse, or a name is neither a key nor a metric.
    """
    on_config: list[Expression] = []
    on_results: list[Expression] = []
    for text in config.expressions:
        expression = parse(text)
        unknown = sorted(
            name for name in expression.names if name not in measured and not is_key(name)
        )
        if unknown:
            allowed = f"keys of the configuration, or {', '.join(measured)}"
            raise UserError(fault(f"constraints.expressions: {text}", unknown[0], allowed))
        (on_results if expression.names & set(measured) else on_config).append(expression)
    return Constraints(tuple(on_config), tuple(on_results), frozenset(measured))


def broken(expressions: Iterable[Expression], lookup: Lookup) -> list[str]:
    """Return the text of each expression that does not hold.

    Raises:
        UserError: an expression cannot be evaluated for these values, or is not a condition.
    """
    return [expression.text for expression in expressions if not expression.holds(lookup)]


def names(config: ConstraintsConfig) -> frozenset[str]:
    """Return the keys and metrics that the expressions read."""
    return frozenset().union(*(parse(text).names for text in config.expressions))
