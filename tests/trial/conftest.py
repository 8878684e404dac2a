"""Fixtures for quick trials and their reports."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.events.channel import channel
from ugro.events.trial_report import TrialResult
from ugro.trial.trial import run_trial

from ..conftest import QUICK

Run = Callable[..., tuple[TrialResult, Path]]


@pytest.fixture
def run(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Run:
    """``run("lora.r=4", ...)``: a quick trial on tiny; its result and folder."""

    def _run(*overrides: str) -> tuple[TrialResult, Path]:
        folder = tmp_path_factory.mktemp("trial")
        return run_trial(settings(*QUICK, *overrides), folder, channel()), folder

    return _run


def reports(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
