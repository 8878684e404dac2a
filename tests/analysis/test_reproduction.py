import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from ugro.analysis.reproduction import Number, Reproduction, TrialRun, reproduction_of

PROVENANCE = {
    "git_commit": "abc",
    "torch": "2.13.0",
    "ray": "2.60.0",
    "host": "laptop",
    "processor": "a CPU",
    "train_data": "123",
    "seed": "42",
    "device": "cpu",
    "threads": "1",
}


def report(step: int, loss: float) -> Mapping[str, Any]:
    return {
        "step": step,
        "tokens_seen": 128 * step,
        "eval_loss": loss,
        "seconds": 0.5 * step,
        "time": 1e9 + step,
    }


THEN = TrialRun(
    [report(0, 5.5), report(2, 5.0), report(4, 4.0)],
    {"eval_loss": 4.0, "base_eval_loss": 5.5, "tokens_seen": 512, "train_seconds": 2.0},
    PROVENANCE,
)


def now(loss: float = 4.0, **changed: str) -> Reproduction:
    """Return a run with this final loss."""
    again = replace(
        THEN,
        reports=[*THEN.reports[:2], {**report(4, loss), "seconds": 9.0}],
        metrics={**THEN.metrics, "eval_loss": loss, "train_seconds": 9.0},
        provenance={**PROVENANCE, **changed},
    )
    return reproduction_of(THEN, again)


def test_time_may_pass_otherwise_but_no_digit_of_a_loss_may_change() -> None:
    found = now()
    assert found.succeeded
    assert found.tolerance == 0
    assert found.changes == ()
    # Losses and tokens of three reports, and three numbers of the end.
    assert found.verdict == "The same to the last digit: 9 numbers."
    different = now(4.0000004)  # by 1e-7 of it
    assert not different.succeeded
    assert [(one.name, one.step) for one in different.mismatches] == [
        ("eval_loss", 4),
        ("eval_loss", None),
    ]
    assert different.verdict == (
        "Not the same: 2 of 9 numbers are off by more than the last digit, "
        "eval_loss most, by 1e-07."
    )


@pytest.mark.parametrize(
    "changed",
    [{"torch": "2.14.0"}, {"git_commit": "def"}, {"processor": "another"}, {"threads": "2"}],
    ids=lambda one: next(iter(one)),
)
def test_other_software_or_another_cpu_may_change_the_last_digits(changed: dict[str, str]) -> None:
    found = now(4.003, **changed)
    assert found.succeeded
    assert [one.name for one in found.changes] == list(changed)
    assert found.verdict.startswith("The same within 0.001: of 9 numbers none is off by more than ")
    assert not now(4.005, **changed).succeeded


def test_another_host_or_storage_does_not() -> None:
    found = now(host="server", ray="3")
    assert [one.name for one in found.changes] == ["ray", "host"]
    assert found.tolerance == 0


def test_a_gpu_adds_up_in_another_order_each_time() -> None:
    on_gpu = replace(THEN, provenance={**PROVENANCE, "device": "H100"})
    assert reproduction_of(on_gpu, on_gpu).tolerance == 0.001


@pytest.mark.parametrize("changed", [{"train_data": "124"}, {"seed": "43"}])
def test_with_other_data_or_another_seed_it_is_another_training(changed: dict[str, str]) -> None:
    found = now(**changed)
    assert not found.mismatches
    assert not found.succeeded
    assert found.verdict == f"Not the same training: another {next(iter(changed))}."


def test_a_tolerance_that_is_given_counts() -> None:
    again = replace(THEN, metrics={**THEN.metrics, "eval_loss": 4.2})
    assert not reproduction_of(THEN, again, 0.01).succeeded
    assert reproduction_of(THEN, again, 0.06).succeeded


def test_it_is_compared_as_far_as_it_was_run() -> None:
    stopped = replace(THEN, reports=THEN.reports[:2], metrics={})
    again = replace(THEN, metrics={"eval_loss": 4.0})
    found = reproduction_of(stopped, again)
    assert found.succeeded
    assert len(found.numbers) == 4


def test_a_report_that_does_not_come_is_missed() -> None:
    found = reproduction_of(THEN, replace(THEN, reports=THEN.reports[:2]))
    assert {one.step for one in found.mismatches} == {4}


def test_an_error_comes_again_or_it_is_not_the_same_end() -> None:
    failed = TrialRun([], {}, PROVENANCE, "ValueError: no")
    assert reproduction_of(failed, failed).succeeded
    assert reproduction_of(failed, failed).verdict == "It fails again: ValueError: no"
    found = reproduction_of(failed, THEN)
    assert not found.succeeded
    assert found.verdict == "Not the same end: no error now, ValueError: no then."


def test_nothing_is_not_the_same() -> None:
    nothing = TrialRun([], {}, PROVENANCE)
    assert not reproduction_of(nothing, nothing).succeeded


@pytest.mark.parametrize(
    ("then", "found", "relative_difference"),
    [(math.nan, math.nan, 0.0), (1.0, math.nan, math.inf), (0.0, 0.1, math.inf),
     (math.inf, math.inf, 0.0), (-2.0, -2.5, 0.25)],
)  # fmt: skip
def test_how_far_a_number_is_off(then: float, found: float, relative_difference: float) -> None:
    assert Number("eval_loss", None, then, found).relative_difference == relative_difference
