"""What ``make check`` finds before anything is run, through the command line."""

import tempfile
from pathlib import Path

import pytest

from ..conftest import QUICK
from .studies import IN_PROCESS, TrainPy

ASKED = ["-m", *QUICK, "study.preflight=true", "lora.r=4,8"]


def lines(said: str) -> dict[str, str]:
    """What the page says of each check."""
    found = (line.split(maxsplit=1) for line in said.splitlines() if line[:1].isalpha())
    return {words[0]: words[1] for words in found if len(words) == 2}


def left_behind() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob("ugro-preflight-*"))


@pytest.mark.long
def test_a_sweep_that_would_work(train_py: TrainPy, tmp_path: Path) -> None:
    before = left_behind()
    done = train_py(*ASKED, "+hydra.launcher.ray.init.num_cpus=1", "tracking=mlflow")
    assert done.returncode == 0, done.stderr + done.stdout
    page = lines(done.stdout)
    for name in ("space", "model", "memory", "time", "disk", "storage", "mlflow"):
        assert page[name].startswith("ok "), done.stdout
    assert "lora.r=8" in page["model"]
    assert "read as text" in done.stdout
    assert "the first example, [[trained text]]:" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert left_behind() == before


@pytest.mark.long
def test_what_would_not_work_is_told_all_at_once(train_py: TrainPy, tmp_path: Path) -> None:
    huge = ["model.random_llama.hidden_size=65536", "model.random_llama.intermediate_size=262144"]
    servers = ["tracking=mlflow_server", "tracking.mlflow.uri=http://127.0.0.1:1"]
    done = train_py(*ASKED, IN_PROCESS, *huge, *servers)
    assert done.returncode == 1
    page = lines(done.stdout)
    assert page["memory"].startswith("WRONG ")
    assert "GiB a trial" in page["memory"]
    assert page["time"].startswith("unknown ")
    assert page["mlflow"].startswith("WRONG ")
    assert page["storage"].startswith("ok ")
    assert "preflight: 2 of 6 checks failed: memory, mlflow" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_space_in_which_nothing_may_run(train_py: TrainPy, tmp_path: Path) -> None:
    done = train_py(*ASKED, IN_PROCESS, "constraints.expressions=['lora.r > 8']")
    assert done.returncode == 1
    assert "WRONG   constraints.expressions exclude the entire search space" in done.stdout
    assert "lora.r > 8 removes 100.0% of 1,000 samples" in done.stdout
    assert list(tmp_path.iterdir()) == []
