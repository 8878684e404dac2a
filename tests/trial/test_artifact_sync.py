import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.artifact_store import Folder
from ugro.config import Config
from ugro.events.channel import Answer, TrialInterruptedError, channel
from ugro.events.trial_report import Report
from ugro.trial.trial import run_trial

from ..conftest import QUICK
from ..stores import S3, s3

__all__ = ["s3"]

Settings = Callable[..., Config]
LONGER = ("training.max_steps=8", "training.max_tokens=null", "study.name=s")


def given(settings: Settings, uri: str, *more: str) -> Config:
    return settings(*QUICK, *LONGER, *more, f"study.artifacts='{uri}'")


def named(folder: Folder) -> set[str]:
    return {name.split("/")[1] for name in folder.names() if name.startswith("checkpoints/")}


class Interrupted:
    """A channel that interrupts after this many steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self.steps: list[int] = []

    def report(self, report: Report) -> Answer:
        self.steps.append(report.step)
        return Answer.CONTINUE

    def interrupted(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_all_that_a_trial_leaves_is_there_too(s3: S3, settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "0003"
    folder.mkdir()
    run_trial(given(settings, s3.uri), folder, channel())
    there = Folder(s3.uri, "s", "trials", "0003")
    here = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert set(there.names()) == here
    assert {"metrics.jsonl", "adapter/adapter_model.safetensors"} < here
    assert named(there) == {path.name for path in (folder / "checkpoints").iterdir()}
    there.get("metrics.jsonl", tmp_path / "metrics")
    assert (tmp_path / "metrics").read_text() == (folder / "metrics.jsonl").read_text()


@pytest.mark.parametrize("kind", ["s3", "folder"])
def test_a_trial_goes_on_where_its_folder_is_not(
    kind: str, settings: Settings, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    uri = request.getfixturevalue("s3").uri if kind == "s3" else f"{tmp_path}/mounted"
    calm, folder = tmp_path / "calm", tmp_path / "0000"
    calm.mkdir()
    folder.mkdir()
    expected = run_trial(settings(*QUICK, *LONGER), calm, channel())
    config = given(settings, uri)
    with pytest.raises(TrialInterruptedError):
        run_trial(config, folder, Interrupted(5))
    shutil.rmtree(folder)
    folder.mkdir()
    again = Interrupted(99)
    result = run_trial(config, folder, again)
    assert again.steps[0] > 2
    assert float(result) == float(expected)
    steps = [line.partition(",")[0] for line in (folder / "metrics.jsonl").read_text().split("\n")]
    assert steps == [
        line.partition(",")[0] for line in (calm / "metrics.jsonl").read_text().split("\n")
    ]


def test_a_torn_folder_is_cleared_before_its_copy_is_fetched(
    settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "0000"
    folder.mkdir()
    config = given(settings, str(tmp_path / "kept"))
    with pytest.raises(TrialInterruptedError):
        run_trial(config, folder, Interrupted(5))
    for checkpoint in (folder / "checkpoints").iterdir():
        (checkpoint / "adapter_model.safetensors").write_bytes(b"torn")
        (checkpoint / "half-written").write_bytes(b"one too many for the seal")
    again = Interrupted(99)
    run_trial(config, folder, again)
    assert again.steps[0] > 2  # step 5 is what was saved


def test_a_torn_copy_is_not_gone_on_with_and_made_anew(settings: Settings, tmp_path: Path) -> None:
    folder, kept = tmp_path / "0000", tmp_path / "kept"
    folder.mkdir()
    config = given(settings, str(kept))
    with pytest.raises(TrialInterruptedError):
        run_trial(config, folder, Interrupted(2))
    shutil.rmtree(folder)
    folder.mkdir()
    for weights in kept.rglob("checkpoint-*/adapter_model.safetensors"):
        weights.write_bytes(b"torn")
    again = Interrupted(2)
    with pytest.raises(TrialInterruptedError):
        run_trial(config, folder, again)
    assert again.steps[0] == 0
    shutil.rmtree(folder)
    folder.mkdir()
    last = Interrupted(99)
    run_trial(config, folder, last)
    assert last.steps[0] == 4
