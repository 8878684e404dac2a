import math

import pytest

from tests.studies import ended, in_memory
from ugro.analysis.findings.answers import describe_test as said_of_test
from ugro.analysis.findings.held_out import held_out_of
from ugro.analysis.tables import tables_of
from ugro.events.outcome import Outcome
from ugro.study.study import Study

from .test_findings import R

MEASURED = {
    "test_loss": 2.0,
    "test_bits_per_byte": 0.8,
    "base_test_loss": 3.0,
    "base_test_bits_per_byte": 1.2,
    "test_gain": 1.0,
    "test_gain_stderr": 0.1,
    "test_documents": 7,
    "test_tokens": 90,
}


def study_of_two() -> Study:
    study = in_memory(objectives=["eval_loss"])
    ended(study, R, Outcome.COMPLETE, 2.5, source="baseline")
    ended(study, R, Outcome.COMPLETE, 1.5)
    return study


def test_the_best_is_compared_with_baseline_and_base_model_on_the_test_part() -> None:
    study = study_of_two()
    study.tested(1, MEASURED)
    study.tested(0, {**MEASURED, "test_loss": 2.75, "test_gain": 0.25})
    found = held_out_of(study, tables_of(study))
    assert found is not None
    assert (found.best.number, found.best.loss) == (1, 2.0)
    assert found.baseline is not None
    assert (found.baseline.number, found.baseline.loss) == (0, 2.75)
    assert (found.base_model.loss, found.base_model.bits_per_byte) == (3.0, 1.2)
    assert found.gain_over_baseline == 0.75
    assert (found.gain_low, found.gain_high) == pytest.approx((0.804, 1.196))  # 1.96 errors
    assert found.measured == 1


def test_what_was_not_measured_of_the_best_is_not_told_of_another() -> None:
    study = study_of_two()
    study.tested(0, MEASURED)
    assert held_out_of(study, tables_of(study)) is None
    assert list(said_of_test(None)) == []


def test_each_winner_of_an_extended_study_is_counted() -> None:
    study = study_of_two()
    study.tested(0, MEASURED)
    study.tested(1, MEASURED)
    ended(study, R, Outcome.COMPLETE, 1.0)
    study.tested(2, MEASURED)
    found = held_out_of(study, tables_of(study))
    assert found is not None
    assert (found.best.number, found.measured) == (2, 2)
    assert any("measured for 2 winners" in one for one in said_of_test(found))


def test_one_document_gives_no_interval() -> None:
    study = study_of_two()
    study.tested(1, {**MEASURED, "test_gain_stderr": math.nan})
    found = held_out_of(study, tables_of(study))
    assert found is not None
    assert found.gain_low is found.gain_high is None
    assert "interval" not in " ".join(said_of_test(found))


def test_the_interval_of_a_share_ends_at_what_is_possible() -> None:
    study = study_of_two()
    match = {
        "test_exact_match": 0.995,
        "base_test_exact_match": 0.0,
        "test_exact_match_gain": 0.995,
        "test_exact_match_gain_stderr": 0.005,
    }
    study.tested(1, {**MEASURED, **match, "test_exact_match_gain_bound": 1.0})
    first, *_ = said_of_test(held_out_of(study, tables_of(study)))
    assert first.endswith("a gain of 0.995 (95% interval 0.9852 to 1).")
    study.tested(1, {**MEASURED, **match})  # not known to be a share
    first, *_ = said_of_test(held_out_of(study, tables_of(study)))
    assert first.endswith("a gain of 0.995 (95% interval 0.9852 to 1.005).")


def test_configured_metrics_are_told_first_each_with_its_interval() -> None:
    study = study_of_two()
    match = {
        "test_exact_match": 0.75,
        "base_test_exact_match": 0.25,
        "test_exact_match_gain": 0.5,
        "test_exact_match_gain_stderr": 0.1,
    }
    study.tested(
        1,
        {**MEASURED, **match, "test_length": 3.0, "base_test_length": 5.0, "test_length_gain": 2.0},
    )
    study.tested(0, {**MEASURED, **match, "test_exact_match": 0.5})
    found = held_out_of(study, tables_of(study))
    assert found is not None
    exact, length = found.metrics
    assert (exact.name, exact.best, exact.baseline, exact.base_model) == (
        "exact_match",
        0.75,
        0.5,
        0.25,
    )
    assert (exact.gain_low, exact.gain_high) == pytest.approx((0.304, 0.696))  # 1.96 errors
    assert (length.baseline, length.gain, length.gain_low) == (None, 2.0, None)
    first, second, third, *_ = said_of_test(found)
    assert first.endswith(
        "used for no choice): exact_match 0.75; untrained base model 0.25, a gain of 0.5 "
        "(95% interval 0.304 to 0.696)."
    )
    assert second == "length 3; untrained base model 5, a gain of 2."
    assert third.startswith("Loss 2; untrained base model 3, a gain of 1")
