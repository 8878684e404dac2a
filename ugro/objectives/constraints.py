"""Constraints on configurations and on measured results."""

from collections.abc import Callable, Iterable
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
    """

    on_config: tuple[Expression, ...] = ()
    on_results: tuple[Expression, ...] = ()


def constraints_of(config: ConstraintsConfig, is_key: Callable[[str], bool]) -> Constraints:
    """Parse the constraints.

    Args:
        config: the expressions
        is_key: whether the configuration has a key

    Raises:
        UserError: an expression does not parse, or a name is neither a key nor a metric.
    """
    on_config: list[Expression] = []
    on_results: list[Expression] = []
    for text in config.expressions:
        expression = parse(text)
        unknown = sorted(
            name for name in expression.names if name not in MEASURED and not is_key(name)
        )
        if unknown:
            allowed = f"keys of the configuration, or {', '.join(MEASURED)}"
            raise UserError(fault(f"constraints.expressions: {text}", unknown[0], allowed))
        measured = expression.names & set(MEASURED)
        (on_results if measured else on_config).append(expression)
    return Constraints(tuple(on_config), tuple(on_results))


def broken(expressions: Iterable[Expression], lookup: Lookup) -> list[str]:
    """Return the text of each expression that does not hold.

    Raises:
        UserError: an expression cannot be evaluated for these values, or is not a condition.
    """
    return [expression.text for expression in expressions if not expression.holds(lookup)]


def names(config: ConstraintsConfig) -> frozenset[str]:
    """Return the keys and metrics that the expressions read."""
    return frozenset().union(*(parse(text).names for text in config.expressions))
