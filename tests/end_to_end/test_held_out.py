"""The winner of a study on the test part, as a user sees it."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from ..conftest import QUICK

Command = Callable[..., CompletedProcess[str]]
SWEEP = ("-m", *QUICK, "search_space=lora_small", "hydra/launcher=basic", "study.name=held")


def test_part(folder: Path) -> Any:
    return json.loads((folder / "analysis" / "summary.json").read_text())["test"]


test_part.__test__ = False  # type: ignore[attr-defined]


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


@pytest.mark.long
def test_a_study_measures_its_winner_once_and_again_after_a_kill(
    train_py: Command, tmp_path: Path
) -> None:
    first = train_py(*SWEEP, "hydra.sweeper.n_trials=2")
    assert first.returncode == 0, first.stderr
    folder = tmp_path / "multirun" / "held"
    measured = [one["number"] for one in events(folder) if one["event"] == "TestMeasured"]
    found = test_part(folder)
    assert sorted(measured) == sorted({found["best"]["number"], 0})
    assert found["base_model"]["loss"] > 0
    assert found["measured"] == 1
    assert "used for no choice): loss" in first.stdout
    for number in measured:  # the trial's own configuration is as it was
        config = yaml.safe_load((folder / f"trials/{number:04d}/.hydra/config.yaml").read_text())
        assert not config["study"]["measure_test"]

    again = train_py(*SWEEP, "hydra.sweeper.n_trials=2")
    assert again.returncode == 0, again.stderr
    assert len([one for one in events(folder) if one["event"] == "TestMeasured"]) == len(measured)

    with sqlite3.connect(folder / "study.db") as record:  # as if killed before it was written
        gone = record.execute("DELETE FROM study_user_attributes WHERE key LIKE 'test of%'")
        assert gone.rowcount == 1
    once_more = train_py(*SWEEP, "hydra.sweeper.n_trials=2")
    assert once_more.returncode == 0, once_more.stderr
    assert test_part(folder) == found


@pytest.mark.long
def test_a_winner_that_cannot_be_measured_is_told_and_tried_again(
    train_py: Command, tmp_path: Path
) -> None:
    first = train_py(*SWEEP, "hydra.sweeper.n_trials=1")
    folder = tmp_path / "multirun" / "held"
    adapter = folder / "trials/0000/adapter"
    shutil.move(adapter, tmp_path / "adapter")
    with sqlite3.connect(folder / "study.db") as record:
        record.execute("DELETE FROM study_user_attributes WHERE key LIKE 'test of%'")
    failed = train_py(*SWEEP, "hydra.sweeper.n_trials=1")
    assert failed.returncode == 0, first.stderr
    assert "Trial 0 could not be measured on the test part" in failed.stdout + failed.stderr
    assert test_part(folder) is None
    shutil.move(tmp_path / "adapter", adapter)
    train_py(*SWEEP, "hydra.sweeper.n_trials=1")
    assert test_part(folder)["best"]["number"] == 0
