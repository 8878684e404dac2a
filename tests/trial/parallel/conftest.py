"""Trials in two processes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.events.channel import Channel, channel
from ugro.events.trial_report import TrialResult
from ugro.trial.parallel.messages import Run as Function
from ugro.trial.parallel.processes import in_processes
from ugro.trial.trial import run_trial

from ...conftest import QUICK
from ..conftest import reports

Parallel = Callable[..., tuple[TrialResult, Path]]
CLOSE = 1e-5
LONGER = ("training.max_steps=8", "training.learning_rate=0.01", "lora.dropout=0")
SAME = ("eval_loss", "eval_bits_per_byte", "train_loss", "tokens_seen", "learning_rate")


def check_same(one: Path, two: Path) -> None:
    """Check that the reports of two trials agree."""
    assert [line["step"] for line in reports(two)] == [line["step"] for line in reports(one)]
    for a, b in zip(reports(one), reports(two), strict=True):
        assert a["tokens_seen"] == b["tokens_seen"]
        for name in SAME:
            assert b.get(name) == pytest.approx(a.get(name), abs=CLOSE), name


@pytest.fixture
def in_two(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Parallel:
    """``in_two("ddp", "lora.r=4", ...)``: a quick trial in two processes; its result and folder."""

    def _run(
        parallel: str,
        *overrides: str,
        folder: Path | None = None,
        to: Channel | None = None,
        function: Function = run_trial,
    ) -> tuple[TrialResult, Path]:
        folder = folder or tmp_path_factory.mktemp("trial")
        config = settings(
            *QUICK, f"training.parallel={parallel}", "training.processes=2", *overrides
        )
        return in_processes(function, config, folder, to or channel()), folder

    return _run
