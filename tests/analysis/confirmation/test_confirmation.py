import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ugro.analysis.confirmation.candidates import read_log
from ugro.analysis.confirmation.confirmation import confirmation_of
from ugro.events.event_log import as_line
from ugro.events.events import Event, StudyStarted, TrialAsked, TrialFinished
from ugro.events.outcome import Outcome
from ugro.paths import CONFIRM, EVENTS

NAN = math.nan
Run = tuple[Mapping[str, Any], str, Outcome, float]  # parameters, source, how it ended, value


def log(folder: Path, *runs: Run, direction: str = "minimize", total: int | None = None) -> None:
    """Return the event log of a study of these trials."""
    events: list[Event] = [
        StudyStarted("s", str(folder), total or len(runs), 0, ("eval_loss",), (direction,))
    ]
    for number, (parameters, source, how, value) in enumerate(runs):
        values = () if math.isnan(value) else (value,)
        events.append(TrialAsked(number, parameters, source))
        events.append(TrialFinished(number, how, values, {}))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVENTS).write_text("".join(f"{as_line(event)}\n" for event in events))


def ran(r: int, value: float, source: str = "sampler", how: Outcome = Outcome.COMPLETE) -> Run:
    return {"lora.r": r}, source, how, value


def again(r: int, *values: float, how: Outcome = Outcome.COMPLETE) -> list[Run]:
    """Return an event log of trainings with seeds 43, 44, ..."""
    return [
        ({"lora.r": r, "seed": 43 + at}, "enqueued", how if math.isnan(value) else Outcome.COMPLETE,
         value)
        for at, value in enumerate(values)
    ]  # fmt: skip


def test_a_study_that_was_not_confirmed_has_no_confirmation(tmp_path: Path) -> None:
    log(tmp_path, ran(8, 2.0))
    assert confirmation_of(tmp_path) is None


def test_the_best_that_really_is(tmp_path: Path) -> None:
    log(tmp_path, ran(16, 2.5, "baseline"), ran(8, 2.0), ran(4, 2.1))
    log(
        tmp_path / CONFIRM,
        *again(8, 2.01, 2.02, 2.03),
        *again(4, 2.02, 2.01, 2.04),
        *again(16, 2.51, 2.53, 2.52),
    )
    found = confirmation_of(tmp_path)
    assert found is not None
    assert found.seeds == (43, 44, 45)
    assert [(one.number, one.role) for one in found.candidates] == [
        (1, "best"),
        (2, "second"),
        (0, "baseline"),
    ]
    best = found.candidates[0]
    assert best.values == (2.01, 2.02, 2.03)
    assert best.mean == pytest.approx(2.02)
    assert best.spread == pytest.approx(0.01)
    assert best.found == 2.0
    # The second: 0.01, -0.01, 0.01 worse: mean 0.00333, deviation 0.011547, error 0.0066667,
    # half of the interval 4.30265 * 0.0066667 = 0.028684.
    # The baseline: 0.50, 0.51, 0.49 worse: half 4.30265 * 0.01 / sqrt(3) = 0.024841.
    assert found.verdicts == (
        "Trial 1, the best: eval_loss 2.020 ± 0.010 with seeds 43, 44 and 45; 2.000 in the search.",
        "Trial 2, the second, is as good as trial 1, as far as 3 seeds can tell: trial 1 is ahead "
        "by 0.003 on average of 3 seeds (95% interval -0.025 to 0.032), which is within the noise.",
        "Trial 1 clearly beats trial 0, the baseline: by 0.500 on average of 3 seeds "
        "(95% interval 0.475 to 0.525).",
    )
    assert found.preferred is None


def test_another_one_that_is_better_by_its_mean_is_told_and_clearly_so_preferred(
    tmp_path: Path,
) -> None:
    log(tmp_path, ran(8, 2.0), ran(4, 2.1), ran(2, 2.2))
    log(
        tmp_path / CONFIRM,
        *again(8, 2.30, 2.31, 2.32),
        *again(4, 2.10, 2.11, 2.12),
        *again(2, 2.00, 2.31, 2.12),
    )
    found = confirmation_of(tmp_path)
    assert found is not None
    assert found.preferred == 1  # the third is ahead by 0.167 on average, by -0.26 to 0.59
    _, second, third, means, best = found.verdicts
    assert best == "experiment/best.yaml runs trial 1 again."
    assert second.startswith("Trial 1, the second, clearly beats trial 0: by ")
    assert third.startswith("Trial 2, the third, is as good as trial 0, as far as 3 seeds can tell")
    assert "trial 2 is ahead by 0.17 on average" in third
    assert means == (
        "The mean over the seeds puts trial 1, the second, first: 2.110 ± 0.010, "
        "against 2.310 ± 0.010 of trial 0."
    )


def test_what_is_maximised_is_better_where_it_is_larger(tmp_path: Path) -> None:
    log(tmp_path, ran(8, 0.5), ran(4, 0.4), direction="maximize")
    log(tmp_path / CONFIRM, *again(8, 0.50, 0.51), *again(4, 0.40, 0.41), direction="maximize")
    found = confirmation_of(tmp_path)
    assert found is not None
    assert [one.number for one in found.candidates] == [0, 1]
    assert found.verdicts[1].startswith("Trial 0 clearly beats trial 1, the second: by 0.1 ")


def test_seeds_that_failed_are_told_and_left_out(tmp_path: Path) -> None:
    log(tmp_path, ran(8, 2.0), ran(4, 2.1))
    log(
        tmp_path / CONFIRM,
        *again(8, 2.0, NAN, how=Outcome.DIVERGED),
        *again(4, 2.1, 2.2),
        total=4,
    )
    found = confirmation_of(tmp_path)
    assert found is not None
    best, second = found.candidates
    assert best.values[0] == 2.0
    assert math.isnan(best.values[1])
    assert best.mean == 2.0
    assert math.isnan(best.spread)
    assert second.values == (2.1, 2.2)
    assert found.verdicts == (
        "Trial 0, the best: eval_loss 2 with seed 43; 2 in the search.",
        "Whether trial 0 beats trial 1, the second, is unknown: "
        "this requires two seeds with values of both.",
        "1 of 4 trainings gave no value: diverged.",
    )


def test_one_that_is_not_done_yet_says_how_many_are_left(tmp_path: Path) -> None:
    log(tmp_path, ran(8, 2.0))
    log(tmp_path / CONFIRM, *again(8, 2.0, NAN, how=Outcome.INTERRUPTED), total=3)
    found = confirmation_of(tmp_path)
    assert found is not None
    assert found.verdicts[-1] == "2 of 3 trainings remain: the same command resumes."


def test_a_best_that_has_come_since_is_not_taken_for_confirmed(tmp_path: Path) -> None:
    log(tmp_path, ran(8, 2.0), ran(4, 1.9))
    log(tmp_path / CONFIRM, *again(8, 2.0, 2.1))
    found = confirmation_of(tmp_path)
    assert found is not None
    assert [(one.number, one.role) for one in found.candidates] == [(0, "second")]
    assert found.verdicts[0].startswith("Trial 1, the best so far, was not retrained")
    assert found.preferred is None


def test_a_baseline_that_is_the_best_is_told_once(tmp_path: Path) -> None:
    log(tmp_path, ran(16, 2.0, "baseline"), ran(8, 2.1), ran(16, 2.05))
    log(tmp_path / CONFIRM, *again(16, 2.0, 2.1), *again(8, 2.2, 2.3))
    found = confirmation_of(tmp_path)
    assert found is not None
    assert [(one.number, one.role) for one in found.candidates] == [(0, "best"), (1, "second")]
    assert (
        "Trial 0 is the configuration as it was: the search found nothing better." in found.verdicts
    )


def test_a_baseline_that_was_stopped_has_no_value_in_the_study(tmp_path: Path) -> None:
    log(tmp_path, ran(16, NAN, "baseline", Outcome.RUNG), ran(8, 2.1))
    log(tmp_path / CONFIRM, *again(16, 2.4, 2.4), *again(8, 2.2, 2.2))
    found = confirmation_of(tmp_path)
    assert found is not None
    assert [one.role for one in found.candidates] == ["best", "baseline"]
    assert math.isnan(found.candidates[1].found)


def test_seeds_that_were_searched_do_not_make_two_configurations(tmp_path: Path) -> None:
    one = ({"lora.r": 8, "seed": 1}, "space", Outcome.COMPLETE, 2.0)
    other = ({"lora.r": 8, "seed": 2}, "space", Outcome.COMPLETE, 2.1)
    log(tmp_path, other, one)
    log(tmp_path / CONFIRM, *again(8, 2.2, 2.2))
    found = confirmation_of(tmp_path)
    assert found is not None
    assert [(one.number, one.found) for one in found.candidates] == [(1, 2.0)]


def test_candidates_are_of_the_newest_group() -> None:
    started = {"event": "StudyStarted", "objectives": ["eval_loss"], "directions": ["minimize"]}
    asked = {"event": "TrialAsked", "parameters": {"lora.r": 4}, "source": "sampler"}
    ended = {"event": "TrialFinished", "ending": "complete"}
    found = read_log(
        [
            {**started, "trials": 1},  # of an earlier version: without a group
            {**asked, "number": 0},
            {**ended, "number": 0, "values": [1.0]},
            {**started, "trials": 1, "group": 1},
            {**asked, "number": 1, "group": 1},
            {**ended, "number": 1, "values": [3.0]},
        ]
    )
    assert list(found.ranked().values()) == [1]
