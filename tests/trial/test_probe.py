from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import QUICK
from ugro.config import Config
from ugro.events.channel import Answer
from ugro.events.trial_report import Report
from ugro.trial.probe import probe


class Driver:
    def __init__(self, goes_on: bool) -> None:
        self.heard: list[Report] = []
        self._goes_on = goes_on

    def report(self, report: Report) -> Answer:
        self.heard.append(report)
        return Answer.CONTINUE if self._goes_on else Answer.STOP

    def interrupted(self) -> bool:
        return False


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_step_is_taken_only_if_the_driver_wants_and_nothing_is_left(
    goes_on: bool, settings: Callable[..., Config], tmp_path: Path
) -> None:
    driver = Driver(goes_on)
    kept = tmp_path / "kept"
    config = settings(*QUICK, "study.keep_checkpoints=all", f"study.artifacts={kept}")
    folder = tmp_path / "trial"
    folder.mkdir()
    result = probe(config, folder, driver)
    measured = result.metrics
    (said,) = driver.heard
    assert 0 < said.metrics["memory"] < said.metrics["total_memory"]
    assert measured.get("steps") == (1 if goes_on else None)
    assert measured.get("tokens") == (4 * 4 * 32 if goes_on else None)
    assert ("]]" in result.provenance.get("example", "")) is goes_on
    assert list(folder.iterdir()) == []
    assert not kept.exists()


def test_epochs_count_the_data(settings: Callable[..., Config], tmp_path: Path) -> None:
    config = settings(*QUICK, "training.max_steps=null", "training.epochs=3")
    assert probe(config, tmp_path, Driver(True)).metrics["tokens"] == 3 * 64 * 32
