"""Example studies and their reports."""

import math
import random
from pathlib import Path

from optuna.distributions import CategoricalDistribution, FloatDistribution

from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.figures.catalog import sections_of
from ugro.analysis.figures.study_view import study_view
from ugro.analysis.findings.findings import findings_of
from ugro.analysis.importance.importance import Importances
from ugro.analysis.report.report import write_report
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.events.trial_report import TrialResult
from ugro.study.study import Study

from ..studies import in_memory, start

RANK = CategoricalDistribution((8, 16, 32))
RATE = FloatDistribution(1e-5, 1e-2, log=True)
OVER = {"lora.r": RANK, "training.learning_rate": RATE}


def searched(count: int, *directions: str, objectives: list[str] | None = None) -> Study:
    """A study of complete trials, the first of them the baseline; every second reported twice.

    The first objective is best at the rank 32 and a learning rate of 1e-3.
    """
    study, draw = in_memory(*directions, objectives=objectives or ["eval_loss"]), random.Random(0)
    for number in range(count):
        rank, power = draw.choice(RANK.choices), draw.uniform(-5, -2)
        source = "sampler" if number else "baseline"
        given = {"lora.r": rank, "training.learning_rate": 10**power}
        trial = start(study, OVER, source, **given)
        loss = 4 - 0.1 * math.log2(float(rank)) + 0.2 * (power + 3) ** 2  # type: ignore[arg-type]
        for share in (0.5, 1.0) if number % 2 else ():
            study.report(trial, int(4096 * share), loss / share)
        values = (loss, *(float(rank) for _ in study.objectives[1:]))  # type: ignore[arg-type]
        measured = dict(zip(study.objectives, values, strict=True)) | {"tokens_seen": 4096}
        study.tell(trial, Outcome.COMPLETE, TrialResult(values, measured))
    return study


def report(
    study: Study,
    folder: Path,
    importances: tuple[Importances, ...] = (),
    confirmation: Confirmation | None = None,
) -> Path:
    """The report of a study, where a study's own is."""
    tables = tables_of(study)
    findings = findings_of(study, tables, importances, confirmation)
    path = folder / "analysis" / "report.html"
    view = study_view(tables, importances)
    write_report(view, sections_of(view, confirmation), findings, path)
    return path


def page(study: Study, folder: Path, confirmation: Confirmation | None = None) -> str:
    """What we wrote of a report's page, without plotly.js."""
    text = report(study, folder, confirmation=confirmation).read_text(encoding="utf-8")
    before, _, rest = text.partition("<script>/**\n* plotly.js")
    return before + rest.partition("</script>")[2]
