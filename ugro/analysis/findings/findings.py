"""What does a person want to know of a study first? Its best, how sure, what it gained and cost."""

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
from ugro.study.study import Study, retried


@dataclass(frozen=True)
class Findings:
    """What came out of a study, running or finished.

    Attributes:
        name: the study's
        objectives: their names, one or several
        directions: ``minimize`` or ``maximize``, one an objective
        counts: trials by how they stand: an Outcome's value, or running
        total: trials that it shall have; None where nobody said
        finished_because: why the last driver ended; None while it runs, or where it was killed
        best: the complete trial with the best first objective; None before there is one
        front: with several objectives, the trials that no other one beats in all of them
        baseline: the configuration as it was, and what was gained over it; None without one
        test: the best, the baseline and the base model on the test part; None where not measured
        data: what became of the documents, by part, and notes
        certainty: how sure the best is the best
        confirmation: the best trained again with other seeds; None where that was not asked for
        importances: what mattered
        cost: what it cost
        advice: what to try next, the most useful first
        answers: the same in sentences, to the six questions that people have
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
    """Find them.

    Args:
        study: its record
        tables: its values
        importances: of its keys; none where they were not asked for
        confirmation: of its best trials, where there was one
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
