"""The findings of a study, as in its report and ``summary.json``."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ugro.analysis.confirmation.certainty import Certainty, certainty_of
from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.findings.advice import Advice, advice_of
from ugro.analysis.findings.answers import Answer, answers_of
from ugro.analysis.findings.best import Baseline, Best, baseline_of, best_of, front_of
from ugro.analysis.findings.cost import Cost, cost_of
from ugro.analysis.findings.held_out import TestPart, held_out_of
from ugro.analysis.importance.importance import Importances
from ugro.analysis.tables import Tables
from ugro.study.study import Study
from ugro.study.trial_record import retried


@dataclass(frozen=True)
class Findings:
    """Findings of a running or finished study.

    Attributes:
        name: name of the study
        objectives: names of the objectives
        directions: ``minimize`` or ``maximize`` for each objective
        counts: number of trials by status: an Outcome's value, or running
        total: planned number of trials; None if unknown
        finished_because: why the last driver ended; None if it runs or was killed
        best: complete trial with the best first objective; None without a complete trial
        front: Pareto front of several objectives
        baseline: the baseline trial and the gains over it; None without a baseline
        test: evaluation on the test part; None if not measured
        data: document counts by part, and notes
        certainty: certainty that the best trial is the best
        confirmation: the best trials trained with other seeds; None if not requested
        importances: importance of the keys, by method
        cost: cost of the study
        advice: what to try next, the most useful first
        answers: the findings in sentences, as answers to six questions
    """

    name: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    counts: Mapping[str, int]
    total: int | None
    finished_because: str | None
    best: Best | None
    front: tuple[Best, ...]
    baseline: Baseline | None
    test: TestPart | None
    data: Mapping[str, Any]
    certainty: Certainty
    confirmation: Confirmation | None
    importances: tuple[Importances, ...]
    cost: Cost
    advice: tuple[Advice, ...]
    answers: tuple[Answer, ...]


def findings_of(
    study: Study,
    tables: Tables,
    importances: Sequence[Importances],
    confirmation: Confirmation | None,
) -> Findings:
    """Derive the findings.

    Args:
        study: record of the study
        tables: tables of the study
        importances: importance of the keys, by method; empty if not computed
        confirmation: confirmation of the best trials, if any
    """
    best, front, baseline = best_of(study), front_of(study), baseline_of(tables)
    test = held_out_of(study, tables)
    certainty = certainty_of(study, tables, confirmation)
    cost = cost_of(tables, sum(map(retried, study.trials())))
    advice = advice_of(study, tables, importances, confirmation)
    return Findings(
        name=tables.name,
        objectives=tables.objectives,
        directions=tables.directions,
        counts=dict(Counter(tables.trials["ending"]).most_common()),
        total=tables.total,
        finished_because=tables.finished_because,
        best=best,
        front=front,
        baseline=baseline,
        test=test,
        data=tables.data,
        certainty=certainty,
        confirmation=confirmation,
        importances=tuple(importances),
        cost=cost,
        advice=advice,
        answers=answers_of(
            tables, best, front, baseline, test, certainty, importances, cost, advice
        ),
    )
