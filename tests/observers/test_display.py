import io
import math
import re
import time
from typing import Any

import pytest
from rich.console import Console

from ugro.events.events import (
    ModelChanged,
    SlotsCounted,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.study_state import StudyState
from ugro.events.trial_report import Report
from ugro.observers.display import Display

CONFIGURED: dict[str, Any] = {
    "lora": {"r": 16, "dropout": 0.0, "target_modules": "all-linear"},
    "training": {"learning_rate": 2e-4, "weight_decay": 0.01},
}
NOON = time.mktime((2026, 11, 25, 12, 0, 0, 0, 0, -1))


def started(total: int = 10, *objectives: str, slots: int = 2, name: str = "mine") -> StudyState:
    names = objectives or ("eval_loss",)
    state = StudyState()
    directions = ("minimize",) * len(names)
    folder = f"multirun/{name}"
    state.observe(
        StudyStarted(name, folder, total, 0, names, directions, (), CONFIGURED, time=NOON)
    )
    state.observe(SlotsCounted(slots))
    return state


def start(state: StudyState, number: int, source: str = "sampler", **given: Any) -> None:
    own = {"lora.r": 8, "lora.dropout": 0.0, "training.learning_rate": 0.00123456, **given}
    state.observe(TrialAsked(number, own, source, time=NOON))
    state.observe(TrialStarted(number, time=NOON))


def report(state: StudyState, number: int, step: int, loss: float, rung: int = 0) -> None:
    """512 tokens and two seconds per step."""
    metrics = {"eval_loss": loss, "peak_memory_mb": 612.34}
    trial_report = Report(step, 40, 512 * step, 20_480, 2.0 * step, metrics, time=0.0)
    state.observe(TrialReported(number, trial_report, None, rung))


def end(
    state: StudyState, number: int, outcome: Outcome, *values: float, after: float = 60.0
) -> None:
    state.observe(TrialFinished(number, outcome, values, {}, time=NOON + after))


def rendered(state: StudyState, width: int = 80, height: int = 24, now: float = 90.0) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, no_color=True)
    console.print(Display(state, NOON + now))
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()


def test_a_change_of_the_samplers_model_is_shown() -> None:
    state = started()
    state.observe(ModelChanged("TPE", "there are several objectives"))
    assert rendered(state)[-1] == "Model  TPE: there are several objectives"


def test_a_study_at_one_moment() -> None:
    state = started()
    start(state, 0, "baseline")
    end(state, 0, Outcome.COMPLETE, 4.0)
    start(state, 1)
    end(state, 1, Outcome.COMPLETE, 3.5)
    start(state, 2)
    end(state, 2, Outcome.RUNG)
    start(state, 3, **{"lora.target_modules": "[q_proj,v_proj]"})
    report(state, 3, 0, 4.25)
    report(state, 3, 20, 3.75, rung=1)
    start(state, 4, **{"lora.r": 16, "training.learning_rate": 2e-4})
    # Three trials of 60 s; five wait, two have run for 90 s: 5 * 60 / 2 slots = 150 s.
    assert rendered(state) == [
        "mine                                                           2 of 2 slots busy",
        "━━━━━━━━━━━━━━━━━━━                                               3 of 10 trials",
        "Time   1 min 30 s so far, about 2 min 30 s to go, until 12:04",
        "Best   eval_loss 3.5000, trial 1; 0.5000 (12.5%) better than the baseline",
        "       r=8 learning_rate=0.001235",
        "Ended  2 complete, 1 stopped at rung",
        "",
        "trial  with                                      step  tokens/s  eval_loss  rung",
        "    3  r=8 learning_rate=0.001235  ━━━━         20/40       256     3.7500     1",
        "       target_modules=[q,v]",
        "    4  as configured                            loads",
    ]


def test_paused_trials_are_counted_beside_the_ended_ones() -> None:
    state = started()
    start(state, 0)
    end(state, 0, Outcome.COMPLETE, 4.0)
    for number in (1, 2):
        start(state, number)
        state.observe(TrialPaused(number, time=NOON + 30.0))
    lines = rendered(state)
    assert lines[1].endswith(" 1 of 10 trials, 2 paused")
    # A trial has taken (60 + 30 + 30) / 3 = 40 s so far; seven wait for two slots.
    assert "about 2 min 20 s to go" in lines[2]
    assert lines[0].endswith(" 0 of 2 slots busy")


def test_a_wide_terminal_shows_more_and_no_line_exceeds_its_width() -> None:
    state = started()
    start(state, 0)
    report(state, 0, 0, 4.0)
    wide = rendered(state, width=160)
    assert wide[0].endswith("1 of 2 slots busy")
    assert len(wide[0]) == 160
    assert re.search(r"0  r=8 learning_rate=0\.001235 {50,}", wide[-1])
    for width in (160, 100, 80, 60, 40, 20):
        assert max(map(len, rendered(state, width))) <= width


def test_64_running_trials_are_cut_to_the_height_of_the_terminal() -> None:
    state = started(100, slots=64)
    for number in range(64):
        start(state, number)
    lines = rendered(state)
    assert len(lines) == 23  # one less than the terminal has
    assert lines[0].endswith("64 of 64 slots busy")
    # Head, blank and heading take seven; fifteen trials and the last line.
    assert [int(line[:5]) for line in lines[7:22]] == list(range(15))
    assert lines[22] == "       and 49 more"
    assert len(rendered(state, height=100)) == 7 + 64
    for height in range(1, 12):
        assert len(rendered(state, height=height)) < max(2, height)


def test_long_parameters_are_shortened_then_truncated() -> None:
    state = started(slots=1)
    given = {f"some.long_name_{'abcdefgh'[n]}{n}": f"value_{n}" for n in range(8)}
    start(state, 0, **given)
    lines = rendered(state)
    own = [line[7:34].strip() for line in lines[-3:]]  # three lines at most
    assert own[0] == "r=8 lr=0.001235 lna=value_0"
    assert own[-1].endswith("…")
    assert "some.long_name_a0=value_0" not in " ".join(lines)


def test_a_nan_loss_is_shown() -> None:
    state = started()
    start(state, 0)
    report(state, 0, 20, math.nan)
    assert rendered(state)[-1].endswith("20/40                  nan")
    assert rendered(state)[3] == "Best   none yet"


def test_several_objectives_have_their_own_best() -> None:
    state = started(10, "eval_loss", "peak_memory_mb", "latency_ms")
    for number, values in enumerate([(3.0, 612.0, 21.5), (3.5, 598.5, 12.0), (4.0, 700.0, 30.0)]):
        start(state, number)
        end(state, number, Outcome.COMPLETE, *values)
    start(state, 3)
    report(state, 3, 20, 3.75)
    lines = rendered(state)
    assert lines[3:7] == [
        "Best   eval_loss 3.0000, trial 0",
        "       peak_memory_mb 598.5, trial 1",
        "       latency_ms 12.0000, trial 1",
        "       not dominated: 2",
    ]
    # What is measured at the end only has no column.
    assert lines[-2].endswith("eval_loss  peak_memory_mb")
    assert lines[-1].endswith("3.7500           612.3")


def test_no_estimate_is_shown_before_a_trial_has_ended() -> None:
    state = started()
    start(state, 0)
    lines = rendered(state, now=5.0)
    assert lines[1].endswith(" 0 of 10 trials")
    assert lines[2:5] == ["Time   5 s so far", "Best   none yet", "Ended  none yet"]


@pytest.mark.parametrize("name", ["n" * 100, "[red]name", "studie_ä_名前"])
def test_any_name_of_a_study_is_shown_on_one_line(name: str) -> None:
    lines = rendered(started(name=name))
    assert lines[0].startswith(name[:20])
    assert lines[0].endswith("0 of 2 slots busy")


def test_what_early_stopping_saved_and_what_early_ranks_are_worth_is_shown() -> None:
    """Eight complete trials keep their ranks, but for two that swap; two others pause early."""
    state = started()
    order = [0, 1, 2, 3, 4, 5, 7, 6]
    for number, rank in enumerate(order):
        start(state, number)
        report(state, number, 10, 3 + number / 10)
        report(state, number, 40, 2 + rank / 10)
        end(state, number, Outcome.COMPLETE, 2 + rank / 10)
    assert not any(line.startswith("Saved") for line in rendered(state))
    for number in (8, 9):
        start(state, number)
        report(state, number, 4, 5.0)
        state.observe(TrialPaused(number, time=NOON + 60))
    # Of ten runs' tokens, nine tenths of two were saved. Spearman: 1 - 6 * 2 / (8 * 63).
    assert (
        "Saved  18% of the tokens by early stopping; ranks at a quarter agree by 1.0"
        in rendered(state)
    )
    assert state.rank_agreement() == pytest.approx(1 - 12 / 504)
