"""Studies whose figures can be worked out by hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution

from ugro.analysis.figures.drawing.points import Points
from ugro.analysis.figures.study_view import StudyView, study_view
from ugro.analysis.importance.importance import Importance, Importances
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study

from ...studies import in_memory, start

RATE, RANK = "training.learning_rate", "lora.r"
SPACE = {
    RATE: FloatDistribution(1e-5, 1e-3, log=True),
    RANK: CategoricalDistribution((16, 4, 8)),
}
KNOWN = (
    Importances("fANOVA", (Importance(RANK, 0.6, 0.5, 0.7), Importance(RATE, 0.2, 0.1, 0.3)), ""),
)
UNKNOWN = (Importances("fANOVA", (), "It needs 12 comparable trials for 2 keys; there are 5."),)


def add(
    study: Study,
    how: Outcome | None,
    *values: float,
    given: Mapping[str, Any] | None = None,
    curve: Sequence[float] = (),
    source: str = "sampler",
    measured: Mapping[str, float] | None = None,
    space: Mapping[str, Any] = SPACE,
) -> None:
    """Add a trial with an outcome, or a running one; its curve has a report every 100 tokens."""
    trial = start(study, space, source, **(given or {}))
    for at, value in enumerate(curve, 1):
        study.report(trial, 100 * at, value)
    if how is not None:
        result = TrialResult(values, measured or {}) if values else None
        study.tell(trial, how, result)


def mixed(direction: str = "minimize") -> Study:
    """Baseline 4.0, one stopped at 5.0, the best at 3.0; a failed, an infeasible, a running one."""
    study = in_memory(direction, objectives=["eval_loss"])
    add(
        study,
        Outcome.COMPLETE,
        4.0,
        given={RATE: 1e-4, RANK: 16},
        curve=[6.0, 4.0],
        source="baseline",
    )
    add(study, Outcome.RUNG, given={RATE: 1e-5, RANK: 4}, curve=[5.0])
    add(study, Outcome.COMPLETE, 3.0, given={RATE: 1e-3, RANK: 8}, curve=[4.5, 3.0])
    add(study, Outcome.FAILED, given={RATE: 1e-4, RANK: 4})
    add(study, Outcome.INFEASIBLE, 3.5, given={RATE: 1e-4, RANK: 4}, curve=[4.0, 3.5])
    add(study, None, given={RATE: 1e-4, RANK: 4}, curve=[4.2])
    return study


def view(study: Study, importances: tuple[Importances, ...] = KNOWN) -> StudyView:
    """A study as its figures show it."""
    return study_view(tables_of(study), importances)


def at(points: Sequence[Points], label: str) -> list[tuple[float, float]]:
    """Positions of the points with this label."""
    found = [group for group in points if group.label == label]
    return [place for group in found for place in zip(group.x, group.y, strict=True)]
