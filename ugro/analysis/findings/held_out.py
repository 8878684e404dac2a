"""Read what the test part says of the best trial; it chose neither checkpoint nor trial."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ugro.analysis.tables import Tables
from ugro.study.study import Study

NORMAL_95 = 1.96  # standard errors to either side that hold 95% of a normal distribution


@dataclass(frozen=True)
class Score:
    """How good a model is on the test part.

    Attributes:
        number: the trial's; None for the base model
        loss: nats a token
        bits_per_byte: of the targets' content
    """

    number: int | None
    loss: float
    bits_per_byte: float


@dataclass(frozen=True)
class TestPart:
    """What was measured on the test part.

    Attributes:
        best: the best trial
        baseline: the configuration as it was; None without one that is complete
        base_model: before training
        gain: how much lower the best one's loss is than the base model's
        gain_low: lower end of its 95% interval, documents paired; None where there is one alone
        gain_high: upper end
        gain_over_baseline: how much lower the best one's loss is than the baseline's, or None
        documents: in the test part
        tokens: of them, those that carry loss
        measured: trials that were measured as the best, this one included; above 1 where a study
            was extended: the more often the test part is looked at, the less it is unseen
    """

    __test__ = False  # no test of pytest's

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
    """Return what was measured of the best trial; None where it was not."""
    tests, best = study.tests(), study.best()
    if best is None or best.number not in tests:
        return None
    found = tests[best.number]
    baseline = tests.get(tables.baseline) if tables.baseline is not None else None
    gain, error = found["test_gain"], found["test_gain_stderr"]
    known = not math.isnan(error)  # as it is with one document
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
