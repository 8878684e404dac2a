"""A trial of a study, run again from what its folder holds."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ugro.cli.reproduce import main
from ugro.errors import UserError

from ..conftest import QUICK, ROOT
from ..forked import completed
from .studies import IN_PROCESS, table

# The second trial is behind at the rung: a learning rate of 1e-9 changes nothing.
SEARCHED = (
    "study.name=r",
    "lora.r=8",
    "training.learning_rate=1e-2,1e-9",
    "scheduler=asha",
    "scheduler.grace_period=0.5",
    "scheduler.reduction_factor=2",
)
COMPLETE, PRUNED = 0, 1
Again = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A folder with a study in it, of a trial that is complete and one that was stopped."""
    folder = tmp_path_factory.mktemp("swept")
    asked = ["-m", *QUICK, IN_PROCESS, *SEARCHED]
    completed(ROOT / "train.py", asked, folder, os.environ, 280).check_returncode()
    rows = table(folder / "multirun" / "r")
    assert [row["state"] for row in rows] == ["COMPLETE", "PRUNED"]
    return folder


@pytest.fixture
def again(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Again:
    """``again(trial, **provenance)``: what the command says, in a copy of the folder.

    Args of ``provenance`` are written into the trial's, as if it had been run with those.
    """
    folder = tmp_path / "copy"
    shutil.copytree(swept, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # put back afterwards

    def _again(trial: int, **provenance: str) -> tuple[int, dict[str, Any]]:
        path = folder / "multirun" / "r" / "trials" / f"{trial:04d}" / "provenance.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **provenance}))
        with pytest.raises(SystemExit) as ended:
            main(["study.name=r", f"trial={trial}", "to=again"])
        return int(ended.value.code or 0), json.loads(Path("again/reproduction.json").read_text())

    return _again


def test_a_complete_trial_comes_out_the_same_to_the_last_digit(
    again: Again, swept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = again(COMPLETE)
    assert found["verdict"].startswith("The same to the last digit: ")
    assert code == 0
    [value] = [one for one in found["numbers"] if (one["name"], one["step"]) == ("eval_loss", None)]
    assert value["now"] == float(table(swept / "multirun" / "r")[COMPLETE]["value"])
    # Somebody may work in the checkout while its tests run.
    assert [one["name"] for one in found["changes"] if not one["name"].startswith("git_")] == []
    assert "The same to the last digit" in capsys.readouterr().out
    # The study has one folder more, and is as it was.
    study = Path("multirun/r")
    assert (study / "events.jsonl").read_bytes() == (
        swept / "multirun" / "r" / "events.jsonl"
    ).read_bytes()


def test_a_trial_that_was_stopped_is_run_as_far_as_it_was(again: Again) -> None:
    code, found = again(PRUNED)
    assert code == 0
    assert {one["step"] for one in found["numbers"]} == {0, 2, None}
    lines = Path("again/metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 2]


def test_what_it_was_run_with_and_is_not_now_is_told(
    again: Again, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = again(COMPLETE, torch="2.0.0")
    assert (code, found["tolerance"]) == (0, 0.001)
    assert "torch: 2.0.0 then, " in capsys.readouterr().out


def test_other_data_are_another_training(again: Again, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = again(PRUNED, train_data="another")
    assert code == 1
    assert found["verdict"] == "Not the same training: another train_data."
    assert "train_data: another then, " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["trial=7"], "trial: '7' given, allowed: the number of one of the 2 trials of study r"),
        ([], "trial: None given, allowed: the number of one of the 2 trials of study r"),
        (["trial=0", "tolerance=-1"], "tolerance: '-1' given, allowed: 0 or more, as a share of"),
        (["trial=0", "to=multirun"], "to: 'multirun' given, allowed: a folder that does not exist"),
    ],
)
def test_a_mistake_is_one_line(
    more: list[str], line: str, swept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(swept)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with pytest.raises(UserError) as error:
        main(["study.name=r", *more])
    assert str(error.value).startswith(line)


def test_a_configuration_of_another_version_names_the_commit(
    swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(swept, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    path = Path("multirun/r/trials/0000/.hydra/config.yaml")
    path.write_text(path.read_text().replace("alpha_ratio:", "alpha_share:"))
    with pytest.raises(UserError, match=r"0000/.hydra/config.yaml: not of this version, check out"):
        main(["study.name=r", "trial=0"])
