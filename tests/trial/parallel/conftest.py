"""Trials in two processes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.events.channel import Channel, channel
from ugro.events.trial_report import TrialResult
from ugro.trial.parallel.processes import in_processes
from ugro.trial.trial import run_trial

from ...conftest import QUICK

Parallel = Callable[..., tuple[TrialResult, Path]]


@pytest.fixture
def in_two(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Parallel:
    """``in_two("ddp", "lora.r=4", ...)``: a quick trial in two processes; its result and folder."""

    def _run(
        parallel: str, *overrides: str, folder: Path | None = None, to: Channel | None = None
    ) -> tuple[TrialResult, Path]:
        folder = folder or tmp_path_factory.mktemp("trial")
        config = settings(
            *QUICK, f"training.parallel={parallel}", "training.processes=2", *overrides
        )
        return in_processes(run_trial, config, folder, to or channel()), folder

    return _run
