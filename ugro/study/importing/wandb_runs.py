"""Turn runs of Weights & Biases into a study's trials.

W&B's files say neither what was searched nor in which ranges. Configuration values that differ
between runs are taken as searched, over the range of the values that occur.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial

from ugro.errors import UserError, fault
from ugro.events.outcome import Outcome
from ugro.shell import literal
from ugro.study.importing.foreign_study import (
    ForeignStudy,
    Measured,
    ended_trial,
    is_key,
)
from ugro.study.importing.renamed_keys import check_renaming, renamed
from ugro.study.importing.wandb_run import FINISHED, Run, number

FAILED = ("failed", "crashed", "preempted")
KILLED = "killed"  # by a person, or by a sweep's early_terminate
WIDE = 10.0  # a range that spans this factor counts as logarithmic
FEW = 3  # runs: with fewer, texts that all differ may be choices


def study_of(
    runs: Sequence[Run],
    origin: str,
    objectives: Mapping[str, str],
    directions: Sequence[str],
    keys: Mapping[str, str],
) -> ForeignStudy:
    """Turn runs into the trials of a study; runs that have not ended are left out.

    Args:
        runs: oldest first
        origin: where they are, in words
        objectives: new names by the names in the summaries
        directions: of the objectives
        keys: new names of parameters

    Raises:
        UserError: the runs have no such objectives or parameters, or none at all.
    """
    _check_objectives(runs, objectives, directions)
    ended = [run for run in runs if run.state in (FINISHED, KILLED, *FAILED)]
    names = _searched(ended, objectives, keys)
    over = {
        name: distribution_of(values)
        for name in names
        if (values := [value for run in ended for value in _values(run, name)])
    }
    trials = (_trial(run, over, objectives, keys) for run in ended)
    return ForeignStudy(
        origin,
        tuple(objectives.values()),
        tuple(directions),
        dict(enumerate(trials)),
        Counter(run.state for run in runs if run not in ended),
    )


def _check_objectives(
    runs: Sequence[Run], objectives: Mapping[str, str], directions: Sequence[str]
) -> None:
    numbers = {
        name: None for run in runs for name, one in run.summary.items() if number(one) is not None
    }
    allowed = f"a number of the runs: {', '.join(numbers)}"
    if not objectives:
        raise UserError(fault("objective", None, allowed))
    for name in objectives:
        if name not in numbers:
            raise UserError(fault("objective", name, allowed))
    if len(directions) != len(objectives):
        given = ", ".join(directions) or None
        raise UserError(fault("direction", given, "minimize or maximize, for each objective"))


def _searched(
    runs: Sequence[Run], objectives: Mapping[str, str], keys: Mapping[str, str]
) -> list[str]:
    """Return the names of the searched parameters.

    In a table that mixes parameters and metrics these are the configuration's keys and the names
    given in ``keys``.
    """
    found = dict.fromkeys(name for run in runs for name in run.config)
    check_renaming({*found} - {*objectives}, keys)
    mixed = any(run.is_mixed for run in runs)
    searched = [
        name
        for name in found
        if name not in objectives
        and (name in keys or (is_key(name) if mixed else _differs(runs, name)))
    ]
    if not searched:
        allowed = f"{{NAME: KEY}} for the searched ones of {', '.join(found)}"
        raise UserError(fault("keys", dict(keys), allowed))
    return searched


def _differs(runs: Sequence[Run], name: str) -> bool:
    """Whether a value differs between runs, and is no text that names each run."""
    values = [literal(run.config.get(name)) for run in runs]
    is_text = all(isinstance(run.config.get(name), str) for run in runs)
    names_runs = is_text and len(set(values)) == len(runs) >= FEW
    return len(set(values)) > 1 and not names_runs


def _values(run: Run, name: str) -> Iterator[Any]:
    """Yield a parameter's value, as Optuna stores it, if the run has one."""
    if name in run.config:
        value = run.config[name]
        is_stored = value is None or isinstance(value, bool | int | float | str)
        yield value if is_stored else literal(value)


def distribution_of(values: Sequence[Any]) -> BaseDistribution:
    """Return a distribution over the values that occur.

    Args:
        values: numbers, texts, truth values or None; at least one
    """
    numbers = [value for value in values if number(value) is not None and math.isfinite(value)]
    if len(numbers) < len(values):
        return CategoricalDistribution(tuple({(type(one), one): one for one in values}.values()))
    low, high = min(numbers), max(numbers)
    is_wide = low > 0 and high / low >= WIDE
    if all(float(value).is_integer() for value in numbers):
        return IntDistribution(int(low), int(high), log=is_wide)
    return FloatDistribution(float(low), float(high), log=is_wide)


def _trial(
    run: Run,
    over: Mapping[str, BaseDistribution],
    objectives: Mapping[str, str],
    keys: Mapping[str, str],
) -> FrozenTrial:
    parameters = {
        name: one.to_external_repr(one.to_internal_repr(value))
        for name, one in over.items()
        for value in _values(run, name)
    }
    return ended_trial(
        renamed(parameters, keys),
        renamed({name: over[name] for name in parameters}, keys),
        _measured(run, objectives, parameters),
        run.began,
        run.ended,
        {"run": run.name} if run.name else {},
    )


def _measured(run: Run, objectives: Mapping[str, str], parameters: Mapping[str, Any]) -> Measured:
    numbers = {
        objectives.get(name, name): found
        for name, value in run.summary.items()
        if (found := number(value)) is not None and math.isfinite(found)
        if not (run.is_mixed and name in parameters)
    }
    missing = [name for name, new in objectives.items() if new not in numbers]
    curve = dict(_curve(run, objectives))
    if run.state in FAILED or missing:
        why = run.state if run.state in FAILED else f"no finite {missing[0]}"
        return Measured(Outcome.FAILED, (), numbers, curve, f"W&B: {why}")
    values = [numbers[new] for new in objectives.values()]
    outcome = Outcome.RUNG if run.state == KILLED else Outcome.COMPLETE
    return Measured(outcome, values, numbers, curve)


def _curve(run: Run, objectives: Mapping[str, str]) -> Iterator[tuple[int, float]]:
    """Yield the logged values of a single objective by step; several have no curve in Optuna."""
    if len(objectives) == 1:
        [name] = objectives
        for step, logged in run.history.items():
            if (value := number(logged.get(name))) is not None:
                yield step, value
