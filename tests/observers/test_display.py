import io
import math
import re
import time
from typing import Any

import pytest
from rich.console import Console

from ugro.events.events import (
    SlotsCounted,
    StudyStarted,
    TrialAsked,
    TrialFinished,
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


def begun(total: int = 10, *objectives: str, slots: int = 2, name: str = "mine") -> StudyState:
    names = objectives or ("eval_loss",)
    standing = StudyState()
    directions = ("minimize",) * len(names)
    folder = f"multirun/{name}"
    standing.observe(
        StudyStarted(name, folder, total, 0, names, directions, (), CONFIGURED, time=NOON)
    )
    standing.observe(SlotsCounted(slots))
    return standing


def start(standing: StudyState, number: int, source: str = "sampler", **given: Any) -> None:
    own = {"lora.r": 8, "lora.dropout": 0.0, "training.learning_rate": 0.00123456, **given}
    standing.observe(TrialAsked(number, own, source, time=NOON))
    standing.observe(TrialStarted(number, time=NOON))


def report(standing: StudyState, number: int, step: int, loss: float, rung: int = 0) -> None:
    """512 tokens and two seconds a step."""
    metrics = {"eval_loss": loss, "peak_memory_mb": 612.34}
    told = Report(step, 40, 512 * step, 20_480, 2.0 * step, metrics, time=0.0)
    standing.observe(TrialReported(number, told, None, rung))


def end(
    standing: StudyState, number: int, how: Outcome, *values: float, after: float = 60.0
) -> None:
    standing.observe(TrialFinished(number, how, values, {}, time=NOON + after))


def drawn(standing: StudyState, width: int = 80, height: int = 24, now: float = 90.0) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, no_color=True)
    console.print(Display(standing, NOON + now))
    return re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue()).splitlines()


def test_a_study_at_one_moment() -> None:
    standing = begun()
    start(standing, 0, "baseline")
    end(standing, 0, Outcome.COMPLETE, 4.0)
    start(standing, 1)
    end(standing, 1, Outcome.COMPLETE, 3.5)
    start(standing, 2)
    end(standing, 2, Outcome.RUNG)
    start(standing, 3, **{"lora.target_modules": "[q_proj,v_proj]"})
    report(standing, 3, 0, 4.25)
    report(standing, 3, 20, 3.75, rung=1)
    start(standing, 4, **{"lora.r": 16, "training.learning_rate": 2e-4})
    # Three trials of 60 s; five wait, two have run for 90 s: 5 * 60 / 2 slots = 150 s.
    assert drawn(standing) == [
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


def test_a_wide_terminal_shows_more_and_nothing_is_wider_than_it() -> None:
    standing = begun()
    start(standing, 0)
    report(standing, 0, 0, 4.0)
    wide = drawn(standing, width=160)
    assert wide[0].endswith("1 of 2 slots busy")
    assert len(wide[0]) == 160
    assert re.search(r"0  r=8 learning_rate=0\.001235 {50,}", wide[-1])
    for width in (160, 100, 80, 60, 40, 20):
        assert max(map(len, drawn(standing, width))) <= width


def test_of_64_running_trials_those_that_fit_are_shown() -> None:
    standing = begun(100, slots=64)
    for number in range(64):
        start(standing, number)
    lines = drawn(standing)
    assert len(lines) == 23  # one less than the terminal has
    assert lines[0].endswith("64 of 64 slots busy")
    # Head, blank and heading take seven; fifteen trials and the last line.
    assert [int(line[:5]) for line in lines[7:22]] == list(range(15))
    assert lines[22] == "       and 49 more"
    assert len(drawn(standing, height=100)) == 7 + 64
    for height in range(1, 12):
        assert len(drawn(standing, height=height)) < max(2, height)


def test_long_parameters_are_shortened_then_cut_off() -> None:
    standing = begun(slots=1)
    given = {f"some.long_name_{'abcdefgh'[n]}{n}": f"value_{n}" for n in range(8)}
    start(standing, 0, **given)
    lines = drawn(standing)
    own = [line[7:34].strip() for line in lines[-3:]]  # three lines at most
    assert own[0] == "r=8 lr=0.001235 lna=value_0"
    assert own[-1].endswith("…")
    assert "some.long_name_a0=value_0" not in " ".join(lines)


def test_a_loss_that_is_no_number_is_shown_as_it_is() -> None:
    standing = begun()
    start(standing, 0)
    report(standing, 0, 20, math.nan)
    assert drawn(standing)[-1].endswith("20/40                  nan")
    assert drawn(standing)[3] == "Best   none yet"


def test_several_objectives_have_their_own_best() -> None:
    standing = begun(10, "eval_loss", "peak_memory_mb", "latency_ms")
    for number, values in enumerate([(3.0, 612.0, 21.5), (3.5, 598.5, 12.0), (4.0, 700.0, 30.0)]):
        start(standing, number)
        end(standing, number, Outcome.COMPLETE, *values)
    start(standing, 3)
    report(standing, 3, 20, 3.75)
    lines = drawn(standing)
    assert lines[3:7] == [
        "Best   eval_loss 3.0000, trial 0",
        "       peak_memory_mb 598.5, trial 1",
        "       latency_ms 12.0000, trial 1",
        "       not dominated: 2",
    ]
    # What is measured at the end only has no column.
    assert lines[-2].endswith("eval_loss  peak_memory_mb")
    assert lines[-1].endswith("3.7500           612.3")


def test_before_anything_ended_nothing_is_promised() -> None:
    standing = begun()
    start(standing, 0)
    lines = drawn(standing, now=5.0)
    assert lines[1].endswith(" 0 of 10 trials")
    assert lines[2:5] == ["Time   5 s so far", "Best   none yet", "Ended  none yet"]


@pytest.mark.parametrize("name", ["n" * 100, "[red]name", "studie_ä_名前"])
def test_any_name_of_a_study_is_shown_on_one_line(name: str) -> None:
    lines = drawn(begun(name=name))
    assert lines[0].startswith(name[:20])
    assert lines[0].endswith("0 of 2 slots busy")
