"""A real study of two trials, for commands that use its models."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.errors import UserError

from ..conftest import QUICK, ROOT
from ..end_to_end.studies import IN_PROCESS, table

SEARCHED = ("study.name=mine", "lora.r=8", "training.learning_rate=1e-2,3e-2")


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Path:
    """A folder with a study of two trials in it."""
    folder = tmp_path_factory.mktemp("swept")
    records = [
        {"prompt": f"What follows {count}?", "completion": f" {count + 1}"} for count in range(60)
    ]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, records)))
    data = ("data=jsonl", "data.train_files=[rows.jsonl]")
    given = [*QUICK, *data, "data.max_train_examples=null", IN_PROCESS, *SEARCHED]
    command = [sys.executable, str(ROOT / "train.py"), "-m", *given]
    subprocess.run(command, cwd=folder, env=os.environ, check=True, capture_output=True)
    assert [row["state"] for row in table(folder / "multirun" / "mine")] == ["COMPLETE"] * 2
    return folder


@pytest.fixture
def here(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder, to be in."""
    folder = tmp_path / "here"
    shutil.copytree(swept, folder)
    monkeypatch.chdir(folder)
    return folder


def refusal(command: Callable[[list[str]], object], *arguments: str) -> str:
    """The message with which a command refuses its arguments."""
    with pytest.raises(UserError) as error:
        command(["study.name=mine", *arguments])
    return str(error.value)


def best_of(folder: Path) -> Path:
    """The folder of the best trial."""
    best = min(table(folder / "multirun" / "mine"), key=lambda row: float(row["value"]))
    return folder / "multirun" / "mine" / "trials" / f"{int(best['number']):04d}"
