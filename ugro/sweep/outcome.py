"""How did a trial end that returned? As it was told, unless its results break a constraint."""

from collections.abc import Mapping
from typing import Any

from ugro.constraints import broken
from ugro.ending import Ending
from ugro.errors import UserError, fault
from ugro.report import MEASURED, TrialResult
from ugro.space.composition import lookup
from ugro.space.feasible import FeasibleSpace


def result_of(returned: Any) -> TrialResult:
    """What a trial returned; a task of the user's own may return numbers."""
    if isinstance(returned, TrialResult):
        return returned
    values = tuple(returned) if isinstance(returned, (list, tuple)) else (float(returned),)
    return TrialResult(values, {})


def ending_of(
    told: Ending, result: TrialResult, feasible: FeasibleSpace, parameters: Mapping[str, Any]
) -> Ending:
    """How a trial ended.

    Args:
        told: how it was told to end
        result: what it returned
        feasible: with the constraints over results
        parameters: the trial's

    Raises:
        UserError: a constraint is over what the trial did not measure.
    """
    constraints = feasible.constraints.on_results
    if not told.has_value or not constraints:
        return told
    config = feasible.composer.compose(parameters)

    def value(name: str) -> object:
        if name in MEASURED and name not in result.metrics:
            allowed = f"what the trial measured: {', '.join(sorted(result.metrics))}"
            raise UserError(fault("constraints.expressions", name, allowed))
        return result.metrics[name] if name in result.metrics else lookup(config, name)

    return Ending.INFEASIBLE if broken(constraints, value) else told
