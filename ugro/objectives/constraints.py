"""What must a configuration, or what it measured, satisfy?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ugro.config import ConstraintsConfig
from ugro.errors import UserError, fault
from ugro.events.trial_report import MEASURED
from ugro.objectives.expressions import Expression, parse

Lookup = Callable[[str], object]  # from a key or a metric's name to its value


@dataclass(frozen=True)
class Constraints:
    """Those on keys alone are checked before a trial runs, the others when it has ended."""

    on_config: tuple[Expression, ...] = ()
    on_results: tuple[Expression, ...] = ()


def constraints_of(config: ConstraintsConfig, is_key: Callable[[str], bool]) -> Constraints:
    """Parse the expressions.

    Args:
        config: the expressions
        is_key: whether the configuration has this key

    Raises:
        UserError: an expression does not parse, or names what is neither key nor metric.
    """
    on_config: list[Expression] = []
    on_results: list[Expression] = []
    for text in config.expressions:
        expression = parse(text)
        unknown = sorted(n for n in expression.names if n not in MEASURED and not is_key(n))
        if unknown:
            allowed = f"keys of the configuration, or {', '.join(MEASURED)}"
            raise UserError(fault(f"constraints.expressions: {text}", unknown[0], allowed))
        measured = expression.names & set(MEASURED)
        (on_results if measured else on_config).append(expression)
    return Constraints(tuple(on_config), tuple(on_results))


def broken(expressions: Iterable[Expression], lookup: Lookup) -> list[str]:
    """The expressions that do not hold, as they were written.

    Raises:
        UserError: one cannot be evaluated for these values, or is no condition.
    """
    return [expression.text for expression in expressions if not expression.holds(lookup)]


def names(config: ConstraintsConfig) -> frozenset[str]:
    """The keys and metrics that the expressions read."""
    return frozenset().union(*(parse(text).names for text in config.expressions))
