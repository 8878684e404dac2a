"""Scores on the test part, which selects neither checkpoints nor trials."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ugro.analysis.tables import Tables
from ugro.study.study import Study

NORMAL_95 = 1.96  # standard errors on each side of a 95% normal interval


@dataclass(frozen=True)
class Score:
    """Scores of a model on the test part.

    Attributes:
        number: trial number; None for the base model
        loss: nats per token
        bits_per_byte: bits per byte of the targets' content
    """

    number: int | None
    loss: float
    bits_per_byte: float


@dataclass(frozen=True)
class TestPart:
    """Evaluation on the test part.

    Attributes:
        best: best trial
        baseline: baseline trial; None unless complete
        base_model: base model before training
        gain: loss of the base model minus that of the best trial
        gain_low: lower end of the 95% interval, paired by document; None for a single document
        gain_high: upper end of the interval
        gain_over_baseline: loss of the baseline minus that of the best trial, or None
        documents: documents of the test part
        tokens: target tokens of the test part
        measured: number of trials measured as the best so far, including this trial. Extending a
            study raises it above 1: each further look makes the test part less independent
    """

    __test__ = False  # pytest must not collect this class

    best: Score
    baseline: Score | None
    base_model: Score
    gain: float
    gain_low: float | None
    gain_high: float | None
    gain_over_baseline: float | None
    documents: int
    tokens: int
    measured: int


def held_out_of(study: Study, tables: Tables) -> TestPart | None:
    """Return the scores of the best trial; None if not measured."""
    tests, best = study.tests(), study.best()
    if best is None or best.number not in tests:
        return None
    found = tests[best.number]
    baseline = tests.get(tables.baseline) if tables.baseline is not None else None
    gain, error = found["test_gain"], found["test_gain_stderr"]
    known = not math.isnan(error)  # NaN for a single document
    return TestPart(
        best=_score(best.number, found),
        baseline=_score(tables.baseline, baseline) if baseline else None,
        base_model=_score(None, found, "base_"),
        gain=gain,
        gain_low=gain - NORMAL_95 * error if known else None,
        gain_high=gain + NORMAL_95 * error if known else None,
        gain_over_baseline=baseline["test_loss"] - found["test_loss"] if baseline else None,
        documents=int(found["test_documents"]),
        tokens=int(found["test_tokens"]),
        measured=len([number for number in tests if number != tables.baseline]) or 1,
    )


def _score(number: int | None, found: Mapping[str, float], prefix: str = "") -> Score:
    return Score(number, found[f"{prefix}test_loss"], found[f"{prefix}test_bits_per_byte"])
