"""Comparison of studies as terminal tables and as the content of ``comparison.json``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ugro.analysis.comparable import unit
from ugro.analysis.comparison.comparison import Comparison, Side
from ugro.analysis.comparison.differing import of_another_task
from ugro.analysis.findings.anytime import Spent
from ugro.formatting import duration, large, listed, number, share

MOST_ROWS = 20  # maximum rows of differing settings
NOTHING = "-"


def summary(found: Comparison) -> dict[str, Any]:
    """Return the content of ``comparison.json``.

    Keys: ``objective``, ``direction``, ``best_study``, ``target`` (worst of the best values),
    ``studies`` (by name: ``best`` and ``baseline`` with ``trial`` and ``value``, ``gain``,
    ``parameters``, ``trials``, ``tokens``, ``slot_seconds``, ``wall_seconds``, ``utilisation``,
    ``tokens_to_target``, ``seconds_to_target``), ``importance`` (``method``, then by key and study
    ``share``, ``low``, ``high``) and ``differing`` (by key and study).
    """
    names = [side.name for side in found.sides]
    return {
        "objective": found.objective,
        "direction": "minimize" if found.minimised else "maximize",
        "best_study": found.winner.name if found.winner else None,
        "target": found.target,
        "studies": {side.name: _summary(found, side) for side in found.sides},
        "importance": {
            "method": found.method or None,
            **{
                key: {side.name: vars(found.importance(side, key)) for side in found.sides}
                for key in found.shared
            },
        },
        "differing": {
            key: dict(zip(names, row, strict=True)) for key, row in found.differing.items()
        },
    }


def _summary(found: Comparison, side: Side) -> dict[str, Any]:
    best, baseline, cost = side.best, side.baseline, side.cost
    gain = baseline.gains[0] if baseline and baseline.gains else None
    return {
        "best": {"trial": best.number, "value": best.values[0]} if best else None,
        "baseline": {"trial": baseline.number, "value": gain.baseline}
        if baseline and gain
        else None,
        "gain": gain.absolute if gain else None,
        "parameters": dict(best.parameters) if best else None,
        "trials": cost.trials,
        "tokens": cost.tokens,
        "slot_seconds": cost.slot_seconds,
        "wall_seconds": cost.wall_seconds,
        "utilisation": cost.utilisation,
        "tokens_to_target": _reached(found, side.tokens),
        "seconds_to_target": _reached(found, side.seconds),
    }


def _reached(found: Comparison, spent: Spent) -> float | None:
    return None if found.target is None else spent.reached(found.target, found.minimised)


# The terminal


def show(found: Comparison, console: Console) -> None:
    """Print the comparison: results and cost, importances, differing settings."""
    console.print(_table("", found, results(found)))
    if found.shared:
        console.print(_table(f"What mattered, by {found.method}", found, list(_mattered(found))))
    rows = differences(found)
    if rows:
        console.print(_table("What differs", found, rows[:MOST_ROWS]))
    if len(rows) > MOST_ROWS:
        console.print(f"and {len(rows) - MOST_ROWS} more, in comparison.json", highlight=False)
    if keys := of_another_task(found.differing):
        warning = (
            f"Not of the same task, so values cannot be compared: they differ in {listed(keys)}."
        )
        console.print(warning, markup=False, highlight=False)


def _table(title: str, found: Comparison, rows: Sequence[tuple[str, Sequence[str]]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    for side in found.sides:
        table.add_column(escape(side.name), justify="right", overflow="fold")
    for name, row in rows:
        table.add_row(escape(name), *map(escape, row))
    return table


def differences(found: Comparison) -> list[tuple[str, list[str]]]:
    """Settings that differ, a value per study."""
    return [(key, list(row)) for key, row in found.differing.items()]


def results(found: Comparison) -> list[tuple[str, list[str]]]:
    """Results and costs, a value per study."""
    return list(_results(found))


def _results(found: Comparison) -> Iterator[tuple[str, list[str]]]:
    summaries = [_summary(found, side) for side in found.sides]
    counted = {unit(side.tables) for side in found.sides}
    resource = counted.pop() if len(counted) == 1 else "tokens or steps"
    yield f"best {found.objective}", [_value(one["best"]) for one in summaries]
    yield "  of trial", [str(one["best"]["trial"]) if one["best"] else NOTHING for one in summaries]
    yield "baseline", [_value(one["baseline"]) for one in summaries]
    yield "gain", [_format(one["gain"], number) for one in summaries]
    yield "trials", [f"{one['trials']:,}" for one in summaries]
    yield resource, [_format(side.tokens.total or None, large) for side in found.sides]
    yield "time on the clock", [_format(one["wall_seconds"], duration) for one in summaries]
    yield "time in slots", [_format(one["slot_seconds"] or None, duration) for one in summaries]
    yield "slots filled", [_format(one["utilisation"], share) for one in summaries]
    if found.target is not None:
        yield f"to reach {number(found.target)}", ["" for _ in summaries]
        yield f"  {resource}", [_format(one["tokens_to_target"], large) for one in summaries]
        yield (
            "  time on the clock",
            [_format(one["seconds_to_target"], duration) for one in summaries],
        )


def _value(of: Mapping[str, float] | None) -> str:
    return NOTHING if of is None else f"{of['value']:.5g}"


def _format(value: float | None, how: Callable[[float], str]) -> str:
    return NOTHING if value is None else how(value)


def _mattered(found: Comparison) -> Iterator[tuple[str, list[str]]]:
    for key in found.shared:
        importances = [found.importance(side, key) for side in found.sides]
        shown = [(one.share, one.low, one.high) for one in importances if one]
        yield key, ["{} ({} to {})".format(*map(_percent, shares)) for shares in shown]


def _percent(of: float) -> str:
    return "<1%" if 0 < of < 0.01 else f"{of:.0%}"
