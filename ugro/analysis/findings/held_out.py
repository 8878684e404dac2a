"""Scores on the test part, which selects neither checkpoints nor trials."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ugro.analysis.intervals import normal_interval
from ugro.analysis.tables import Tables
from ugro.study.study import Study


@dataclass(frozen=True)
class Score:
    """Scores of a model on the test part.

    Attributes:
        number: trial number; None for the base model
        loss: nats per target: token, pair or text
        bits_per_byte: bits per byte of the targets' content; None except for language models
    """

    number: int | None
    loss: float
    bits_per_byte: float | None


@dataclass(frozen=True)
class MetricScore:
    """Values of a metric on the test part: a configured one, or one of the task.

    Attributes:
        name: name of the metric
        best: value of the best trial
        baseline: value of the baseline trial; None unless measured
        base_model: value of the base model
        gain: improvement of the best trial over the base model, in the metric's direction
        gain_low: lower end of the 95% interval, paired by document; None without values per example
        gain_high: upper end of the interval
    """

    name: str
    best: float
    baseline: float | None
    base_model: float
    gain: float
    gain_low: float | None
    gain_high: float | None


@dataclass(frozen=True)
class TestPart:
    """Evaluation on the test part.

    Attributes:
        best: best trial, or the trial that was asked for
        baseline: baseline trial; None unless complete
        base_model: base model before training
        gain: loss of the base model minus that of the best trial
        gain_low: lower end of the 95% interval, paired by document; None for a single document
        gain_high: upper end of the interval
        gain_over_baseline: loss of the baseline minus that of the best trial, or None
        documents: documents of the test part
        tokens: targets of the test part: tokens, pairs or texts
        measured: number of trials measured as the best so far, including this trial. Extending a
            study raises it above 1: each further look makes the test part less independent
        metrics: configured metrics, and those of the task
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
    metrics: tuple[MetricScore, ...] = ()


def held_out_of(study: Study, tables: Tables, number: int | None = None) -> TestPart | None:
    """Return the scores of a trial, by default of the best; None if not measured."""
    tests = study.tests()
    if number is None:
        best = study.best()
        number = None if best is None else best.number
    if number is None or number not in tests:
        return None
    found = tests[number]
    baseline = tests.get(tables.baseline) if tables.baseline is not None else None
    gain, error = found["test_gain"], found["test_gain_stderr"]
    low, high = _interval(gain, error)
    return TestPart(
        best=_score(number, found),
        baseline=_score(tables.baseline, baseline) if baseline else None,
        base_model=_score(None, found, "base_"),
        gain=gain,
        gain_low=low,
        gain_high=high,
        gain_over_baseline=baseline["test_loss"] - found["test_loss"] if baseline else None,
        documents=int(found["test_documents"]),
        tokens=int(found["test_tokens"]),
        measured=len([number for number in tests if number != tables.baseline]) or 1,
        metrics=tuple(_metric_scores(found, baseline or {})),
    )


def _metric_scores(
    found: Mapping[str, float], baseline: Mapping[str, float]
) -> Iterator[MetricScore]:
    for key, gain in found.items():
        name = key.removeprefix("test_").removesuffix("_gain")
        if key != f"test_{name}_gain":
            continue
        error = found.get(f"{key}_stderr", math.nan)
        low, high = _interval(gain, error, found.get(f"{key}_bound", math.inf))
        own, base = found[f"test_{name}"], found[f"base_test_{name}"]
        yield MetricScore(name, own, baseline.get(f"test_{name}"), base, gain, low, high)


def _interval(
    gain: float, error: float, bound: float = math.inf
) -> tuple[float | None, float | None]:
    """Return the 95% interval; None where the standard error is unknown."""
    if math.isnan(error):
        return None, None
    return normal_interval(gain, error, bound)


def _score(number: int | None, found: Mapping[str, float], prefix: str = "") -> Score:
    return Score(number, found[f"{prefix}test_loss"], found.get(f"{prefix}test_bits_per_byte"))
