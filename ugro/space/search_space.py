"""Search spaces: Hydra's sweep syntax as Optuna distributions."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import product
from math import prod
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ugro.errors import UserError, fault
from ugro.objectives.expressions import Expression
from ugro.objectives.expressions import parse as parse_expression
from ugro.shell import override
from ugro.space.prior import Belief, beliefs_of


@dataclass(frozen=True)
class SearchSpace:
    """Search space of a study.

    Attributes:
        distributions: Optuna distributions by searched key
        fixed: overrides that all trials share
        conditions: a key is searched only where its condition holds, otherwise it is as configured
        prior: beliefs about good values of some keys
    """

    distributions: Mapping[str, BaseDistribution]
    fixed: tuple[str, ...]
    conditions: Mapping[str, Expression] = field(default_factory=dict)
    prior: Mapping[str, Belief] = field(default_factory=dict)

    @property
    def size(self) -> int | None:
        """Upper bound of the number of configurations; None if a key is continuous."""
        counts = [count(distribution) for distribution in self.distributions.values()]
        return None if None in counts else prod(c for c in counts if c is not None)

    def without(self, key: str) -> "SearchSpace":
        """Return the space without a key, which then is as configured."""
        distributions = {name: d for name, d in self.distributions.items() if name != key}
        conditions = {name: c for name, c in self.conditions.items() if name != key}
        prior = {name: belief for name, belief in self.prior.items() if name != key}
        return SearchSpace(distributions, self.fixed, conditions, prior)

    def combinations(self) -> Iterator[dict[str, Any]]:
        """Yield each combination of a finite space once, the last key varying fastest."""
        levels = [values(distribution) for distribution in self.distributions.values()]
        for combination in product(*levels):
            yield dict(zip(self.distributions, combination, strict=True))

    def one_at_a_time(self) -> Iterator[dict[str, Any]]:
        """Yield configurations that vary one key, with the first value of all others.

        The configured defaults are no substitute, as they may lie outside the space.
        """
        first = {key: extreme_values(over)[0] for key, over in self.distributions.items()}
        return ({**first, **single} for single in self.single_parameters())

    def single_parameters(self) -> Iterator[dict[str, Any]]:
        """Yield the choices or bounds of each key as a single parameter."""
        for key, distribution in self.distributions.items():
            for value in extreme_values(distribution):
                yield {key: value}

    def overrides(self, parameters: Mapping[str, Any]) -> list[str]:
        """Return a trial's overrides, the shared ones first, as later overrides win."""
        return [*self.fixed, *(override(key, value) for key, value in parameters.items())]


def parse(
    params: Mapping[str, str],
    arguments: Sequence[str],
    conditions: Mapping[str, str] | None = None,
    prior: Mapping[str, Mapping[str, Any]] | None = None,
) -> SearchSpace:
    """Parse the search space of a config group and the command line, which takes precedence.

    Args:
        params: ``hydra.sweeper.params``, a sweep (``choice(8,16)``) or value by key
        arguments: overrides and sweeps of the command line
        conditions: ``hydra.sweeper.conditions``, a condition by searched key
        prior: ``hydra.sweeper.prior``, a belief by key

    Raises:
        UserError: Hydra cannot parse a sweep, Optuna cannot express it, a condition does not parse
            or depends on a conditional key, or a belief is malformed.
    """
    lines = [*(f"{key}={value}" for key, value in params.items()), *arguments]
    by_key = {_without_plus(override): override for override in map(_parsed, lines)}
    sweeps = {o.get_key_element(): o for o in by_key.values() if o.is_sweep_override()}
    distributions = {key: _distribution(key, sweep) for key, sweep in sweeps.items()}
    return SearchSpace(
        distributions=distributions,
        fixed=tuple(str(o.input_line) for o in by_key.values() if not o.is_sweep_override()),
        conditions=_conditions(
            {key: text for key, text in (conditions or {}).items() if key in sweeps}
        ),
        prior=beliefs_of(prior or {}, distributions),
    )


def _conditions(texts: Mapping[str, str]) -> dict[str, Expression]:
    conditions = {key: parse_expression(text) for key, text in texts.items()}
    for key, condition in conditions.items():
        conditional = sorted(condition.names & set(conditions))
        if conditional:
            allowed = "keys that have no condition of their own"
            raise UserError(fault(f"hydra.sweeper.conditions.{key}", conditional[0], allowed))
    return conditions


def _without_plus(override: Override) -> str:
    """Return the key without prefix: ``++lora.r=8`` sets the same key as ``lora.r=8``."""
    return str(override.get_key_element()).lstrip("+")


def _parsed(line: str) -> Override:
    try:
        return OverridesParser.create().parse_override(line)
    except HydraException as error:
        raise UserError(f"{line}: not a value or sweep ({str(error).splitlines()[0]})") from error


def _distribution(key: str, sweep: Override) -> BaseDistribution:
    try:
        distribution = create_optuna_distribution_from_override(sweep)
    except (AssertionError, NotImplementedError, ValueError) as error:
        raise UserError(f"{key}: {sweep.input_line} cannot be searched ({error})") from error
    assert isinstance(distribution, BaseDistribution)
    return distribution


def count(distribution: BaseDistribution) -> int | None:
    """Count the values of a distribution; None if it is continuous."""
    match distribution:
        case CategoricalDistribution(choices=choices):
            return len(dict.fromkeys(choices))
        case IntDistribution(low=low, high=high, step=step):
            return (high - low) // step + 1
        case FloatDistribution(low=low, high=high, step=float(step)):
            return round((high - low) / step) + 1
    return None


def values(distribution: BaseDistribution) -> list[Any]:
    """List the values of a finite distribution in order.

    Raises:
        TypeError: the distribution is continuous.
    """
    match distribution:
        case CategoricalDistribution(choices=choices):
            return list(dict.fromkeys(choices))
        case IntDistribution(low=low, high=high, step=step):
            return list(range(low, high + 1, step))
        case FloatDistribution(low=low, high=high, step=float(step)):
            steps = round((high - low) / step)
            first, stride = Decimal(str(low)), Decimal(str(step))  # 0.3, not 0.30000000000000004
            return [float(first + index * stride) for index in range(steps + 1)]
    raise TypeError(f"{distribution} is continuous")


def extreme_values(distribution: BaseDistribution) -> list[Any]:
    """List all choices, or the lowest and highest value of a numeric distribution."""
    match distribution:
        case CategoricalDistribution():
            return values(distribution)
        case IntDistribution(low=low, high=high) | FloatDistribution(low=low, high=high):
            return [low, high]
    raise TypeError(f"{distribution} is unknown")


def described(over: BaseDistribution) -> str:
    """Describe a distribution for messages and tables: ``1e-05 to 0.001, log``."""
    if isinstance(over, CategoricalDistribution):
        return ", ".join(map(str, over.choices))
    assert isinstance(over, FloatDistribution | IntDistribution)
    step = f" in steps of {over.step:g}" if over.step else ""
    return f"{over.low:g} to {over.high:g}{step}{', log' if over.log else ''}"


def as_sweep(over: BaseDistribution) -> str:
    """Format a distribution as an override: ``choice(8,16)``, ``interval(0.0,0.2)``."""
    if isinstance(over, CategoricalDistribution):
        choices = list(map(_as_choice, over.choices))
        line = ",".join(choices)
        return line if "null" in choices else f"choice({line})"  # choice() accepts no null
    assert isinstance(over, FloatDistribution | IntDistribution)
    if over.step and (isinstance(over, FloatDistribution) or over.step != 1):
        first, last, step = (Decimal(str(number)) for number in (over.low, over.high, over.step))
        return f"range({first},{last + step},{step})"  # range() excludes its end
    bounds = f"interval({over.low!r},{over.high!r})"
    bounds = f"int({bounds})" if isinstance(over, IntDistribution) else bounds
    return f"tag(log,{bounds})" if over.log else bounds


def _as_choice(choice: object) -> str:
    if choice is None or isinstance(choice, bool):
        return {None: "null", True: "true", False: "false"}[choice]
    if not isinstance(choice, str) or choice.replace("_", "").replace("-", "").isalnum():
        return str(choice)
    return '"' + choice.replace('"', '\\"') + '"'
