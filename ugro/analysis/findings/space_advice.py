"""Advice on the search space: widen it, narrow it, or fix keys."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from ugro.analysis.importance.importance import FANOVA, Importance, Importances
from ugro.analysis.importance.points import Axis, points_of
from ugro.formatting import listed, number
from ugro.shell import override
from ugro.space.scale import value_at
from ugro.space.search_space import as_sweep

MIN_TOP_TRIALS = 5  # minimum number of top trials for advice on a range
TRIALS_PER_KEY = 10  # minimum number of trials per key for advice to fix keys
TOP_SHARE = 0.1  # share of trials that count as top
EDGE, NEAR_EDGE = 0.05, 0.2  # share of a range next to a bound: for the best, for other top trials
TOP_QUANTILES = (0.05, 0.95)  # quantiles of the top trials that a narrowed range must cover
MAX_NARROW_SHARE = 0.5  # maximum share of a range for advice to narrow it
MARGIN = 0.1  # share of a range added as margin on each side
NEGLIGIBLE = 0.05  # maximum importance of a negligible key


@dataclass(frozen=True)
class Change:
    """A change of the search space.

    Attributes:
        why: evidence from the data, a sentence
        overrides: overrides that make the change
    """

    why: str
    overrides: tuple[str, ...]


@dataclass(frozen=True)
class _KeyPositions:
    """Positions of the top trials along a key; the first is the best trial."""

    axis: Axis
    top: NDArray[numpy.float64]
    values: Sequence[Any]

    @property
    def key(self) -> str:
        return self.axis.key


def changes_of(
    ranked: Sequence[FrozenTrial], importances: Sequence[Importances]
) -> tuple[Change, ...]:
    """Return suggested changes of the search space, the most important first.

    Args:
        ranked: trials, the best first, stopped trials behind complete trials
        importances: importance of the keys, by method
    """
    complete = sum(trial.state is TrialState.COMPLETE for trial in ranked)
    if len(ranked) < 2 * MIN_TOP_TRIALS or complete < MIN_TOP_TRIALS:
        return ()
    count = max(MIN_TOP_TRIALS, min(complete, math.ceil(TOP_SHARE * len(ranked))))
    lines = list(_lines(ranked, count))
    negligible = [line for line in lines if _is_negligible(line.key, importances)]
    relevant = [line for line in lines if line not in negligible]
    wider = {line.key: change for line in relevant if (change := _wider(line))}
    rest = [line for line in relevant if line.key not in wider]
    narrower = [change for line in rest if (change := _narrower(line, importances))]
    fixed = _fixed(negligible, importances) if len(ranked) >= TRIALS_PER_KEY * len(lines) else ()
    return (*wider.values(), *narrower, *fixed)


def _lines(ranked: Sequence[FrozenTrial], count: int) -> Iterator[_KeyPositions]:
    points = points_of(ranked)
    for axis, column in zip(points.axes, points.at.T, strict=True):
        there = [row for row in range(count) if not math.isnan(column[row])]
        if len(there) >= MIN_TOP_TRIALS and 0 in there:
            values = [ranked[row].params[axis.key] for row in there]
            yield _KeyPositions(axis, column[there], values)


# Widen


def _wider(line: _KeyPositions) -> Change | None:
    """Suggest a wider range if the best trial and half of the top trials are near a bound."""
    ends = _ends(line.axis)
    if ends is None:
        return None
    best = line.top[0]
    for upper, at_edge, near in (
        (False, best <= ends[0], line.top <= max(NEAR_EDGE, ends[0])),
        (True, best >= ends[1], line.top >= min(1 - NEAR_EDGE, ends[1])),
    ):
        over = _extend(line.axis.over, upper) if at_edge and near.mean() >= 0.5 else None
        if over is not None:
            side = "upper" if upper else "lower"
            why = (
                f"The best trial's {line.key}, {number(line.values[0])}, is at the {side} edge of "
                f"what was searched, and so are {near.sum()} of the best {len(near)}: look beyond."
            )
            return Change(why, (f"{line.key}={as_sweep(over)}",))
    return None


def _ends(axis: Axis) -> tuple[float, float] | None:
    """Return the positions where the edges begin; None for unordered choices."""
    match axis.over:
        case CategoricalDistribution(choices=choices):
            half = 0.5 / len(choices)  # the first and last choice are the edges
            return (half + 1e-9, 1 - half - 1e-9) if axis.ordered and len(choices) > 1 else None
        case IntDistribution(low=low, high=high):
            half = 0.5 / (high - low + 1)
            return max(EDGE, half + 1e-9), min(1 - EDGE, 1 - half - 1e-9)
    return EDGE, 1 - EDGE


def _extend(over: BaseDistribution, upper: bool) -> BaseDistribution | None:
    """Extend a distribution on one side; None if that is impossible."""
    if isinstance(over, CategoricalDistribution):
        choices: Any = over.choices
        further = _next_value(sorted(choices), upper)
        if further is None:
            return None
        return CategoricalDistribution((*choices, further) if upper else (further, *choices))
    assert isinstance(over, FloatDistribution | IntDistribution)
    if over.step is not None and isinstance(over, FloatDistribution):
        return None
    low, high = over.low, over.high
    if over.log:
        factor = min(max((high / low) ** 0.25, 2.0), 10.0)
        low, high = (low, _round(high * factor)) if upper else (_round(low / factor), high)
    elif upper:
        further = high + (high - low) / 2
        high = _round(further if high >= 1 or further < 1 else (high + 1) / 2)
    elif low > 0:
        low = max(_round(low - (high - low) / 2), 0.0)
    else:
        return None  # searched keys are not negative
    if isinstance(over, IntDistribution):
        low, high = max(int(low), 1), int(high)
        return (
            None if (low, high) == (over.low, over.high) else IntDistribution(low, high, over.log)
        )
    return FloatDistribution(low, high, log=over.log)


def _next_value(choices: Sequence[float], upper: bool) -> float | None:
    """Continue a series of numbers: geometrically if its ratio is at least 1.5, else linearly."""
    row = list(choices) if upper else list(choices)[::-1]
    last, before = row[-1], row[-2]
    if min(row) > 0 and (max(last, before) / min(last, before) >= 1.5):
        found = last * last / before
    else:
        found = last + (last - before)
    if found <= 0:
        return None
    if all(isinstance(number, int) for number in row):
        return int(found) if float(found).is_integer() else None
    return _round(found)


# Narrow


def _narrower(line: _KeyPositions, importances: Sequence[Importances]) -> Change | None:
    """Suggest a narrower range if the top trials concentrate in a part of an important key."""
    if not any(_mattered(line.key, by_method) for by_method in importances):
        return None
    over, count = line.axis.over, len(line.top)
    if isinstance(over, CategoricalDistribution):
        return _fewer(line, over, count)
    assert isinstance(over, FloatDistribution | IntDistribution)
    most = [float(at) for at in numpy.quantile(line.top, TOP_QUANTILES)]
    low, high = max(most[0] - MARGIN, 0.0), min(most[1] + MARGIN, 1.0)
    if high - low > MAX_NARROW_SHARE or over.step not in (None, 1):
        return None
    bounds = [_value_at(over, at) for at in (low, high)]
    if bounds[0] >= bounds[1]:
        return None
    narrow: BaseDistribution = (
        IntDistribution(int(bounds[0]), int(bounds[1]), log=over.log)
        if isinstance(over, IntDistribution)
        else FloatDistribution(bounds[0], bounds[1], log=over.log)
    )
    first, last = (number(_value_at(over, at)) for at in most)
    why = f"Most of the best {count} trials have {line.key} from {first} to {last}: search there."
    return Change(why, (f"{line.key}={as_sweep(narrow)}",))


def _fewer(line: _KeyPositions, over: CategoricalDistribution, count: int) -> Change | None:
    kept = [choice for choice in over.choices if choice in line.values]
    if len(kept) == len(over.choices) or len(kept) > math.ceil(len(over.choices) / 2):
        return None
    why = f"The best {count} trials have {line.key} at {listed([str(choice) for choice in kept])}: "
    if len(kept) == 1:
        return Change(f"{why}keep it.", (override(line.key, kept[0]),))
    chosen = as_sweep(CategoricalDistribution(kept))
    return Change(f"{why}leave out the rest.", (f"{line.key}={chosen}",))


def _value_at(over: FloatDistribution | IntDistribution, at: float) -> float:
    low, high = float(over.low), float(over.high)
    found = value_at(at, low, high, over.log)
    if isinstance(over, IntDistribution):
        return float(min(max(round(found), over.low), over.high))
    return min(max(_round(found), low), high)


def _fixed(
    negligible: Sequence[_KeyPositions], importances: Sequence[Importances]
) -> Iterator[Change]:
    """Suggest to fix negligible keys."""
    if not negligible:
        return
    basis = next(by_method.basis for by_method in importances if by_method.method == FANOVA)
    keys = listed([line.key for line in negligible])
    each, them = ("each ", "them") if len(negligible) > 1 else ("", "it")
    why = (
        f"{keys} hardly mattered ({each}under {NEGLIGIBLE:.0%} of the variance, {basis}): "
        f"fix {them}, and search the rest."
    )
    values = [_plain(line.values[0]) for line in negligible]
    yield Change(
        why,
        tuple(override(line.key, value) for line, value in zip(negligible, values, strict=True)),
    )


def _mattered(key: str, importances: Importances) -> bool:
    """Return whether a key is among the two most important and clearly not negligible."""
    return any(
        importance.key == key and importance.low > NEGLIGIBLE for importance in importances.of[:2]
    )


def _is_negligible(key: str, importances: Sequence[Importances]) -> bool:
    """Return whether a key is negligible by fANOVA and not important by the other method."""
    by_method = {by_method.method: _by_key(by_method) for by_method in importances if by_method.of}
    if FANOVA not in by_method:
        return False
    if key not in by_method[FANOVA] or by_method[FANOVA][key].high > NEGLIGIBLE:
        return False
    return all(by_key[key].high <= 2 * NEGLIGIBLE for by_key in by_method.values() if key in by_key)


def _by_key(importances: Importances) -> Mapping[str, Importance]:
    return {importance.key: importance for importance in importances.of}


def _plain(value: Any) -> Any:
    return _round(value, 3) if isinstance(value, float) else value


def _round(value: float, digits: int = 2) -> float:
    return float(f"{value:.{digits}g}")
