"""Runs that the real W&B wrote offline."""

import subprocess
import sys
from pathlib import Path

import pytest

from ugro.errors import UserError
from ugro.study.importing.wandb_files import runs_of

pytest.importorskip("wandb")

SCRIPT = """
import sys, wandb
for r, lr in ((8, 1e-3), (16, 2e-3)):
    config = {"r": r, "lr": lr, "model": {"name": "m"}, "targets": ["q", "v"]}
    settings = wandb.Settings(silent=True)
    with wandb.init(project="p", mode="offline", config=config, settings=settings) as run:
        for step in range(600):  # more than a block of the file
            run.log({"eval/loss": 3.0 - step * r / 10000, "acc": {"top1": 0.5}})
        if r == 16:
            sys.exit(3)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("offline")
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, capture_output=True)
    return folder / "wandb"


def test_configuration_summary_history_and_end_are_read(folder: Path) -> None:
    first, second = runs_of(folder)
    assert first.config == {"r": 8, "lr": 1e-3, "model.name": "m", "targets": ["q", "v"]}
    assert first.summary == {"eval/loss": pytest.approx(3.0 - 599 * 8 / 10000), "acc.top1": 0.5}
    assert list(first.history) == list(range(600))
    assert first.history[10] == {"eval/loss": 3.0 - 10 * 8 / 10000, "acc.top1": 0.5}
    assert (first.state, second.state) == ("finished", "failed")
    assert first.began is not None
    assert second.began is not None
    assert first.began <= second.began


def test_the_log_of_a_killed_run_is_read_up_to_its_end(folder: Path, tmp_path: Path) -> None:
    log = next(iter(sorted(folder.glob("offline-run-*/*.wandb"))))
    (tmp_path / "run-1").mkdir()
    torn = log.read_bytes()[: log.stat().st_size // 2]
    (tmp_path / "run-1" / "run-1.wandb").write_bytes(torn)
    [run] = runs_of(tmp_path)
    assert run.state == "running"  # no exit is logged
    assert 100 < len(run.history) < 600


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run-1.wandb").write_text("text")
    with pytest.raises(UserError, match=r"allowed: an undamaged log \(it does not begin as one\)$"):
        runs_of(tmp_path)
