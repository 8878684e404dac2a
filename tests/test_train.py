"""``python train.py`` as a user runs it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import QUICK, ROOT

TrainPy = Callable[..., subprocess.CompletedProcess[str]]


def test_it_trains_one_lora_and_says_what_came_out(train_py: TrainPy, tmp_path: Path) -> None:
    done = train_py(*QUICK, "hydra.run.dir=out", fresh=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"eval_loss \d\.\d{4}, base model \d\.\d{4}", done.stdout)
    assert (tmp_path / "out" / "adapter" / "adapter_model.safetensors").exists()
    lines = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 2, 4]


MISTAKES = {
    "lora.rank=8": "rank",
    "lora.r=eight": "eight",
    "lora.r=0": "lora.r: 0 given, allowed: 1 or more",
    "lora.dropout=1.5": "lora.dropout: 1.5 given, allowed: 0 or more, below 1",
    "training.eval_steps=9": "training.eval_steps: 9.0 given, allowed: training.max_steps=4",
    "lora.target_modules=[q_proj,qproj]": "lora.target_modules: 'qproj' given, allowed: all-linear",
    "model=huge": "huge",
    "study.max_trials=5": "study.max_trials: removed, set hydra.sweeper.n_trials",
}


@pytest.mark.parametrize("mode", [[], ["-m"]], ids=["trial", "sweep"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_words_and_nothing_is_started(
    mistake: str, mode: list[str], train_py: TrainPy, tmp_path: Path
) -> None:
    done = train_py(*mode, *QUICK, mistake, "study.name=wrong")
    assert done.returncode != 0
    assert MISTAKES[mistake] in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not list(tmp_path.rglob("metrics.jsonl"))
    assert not (tmp_path / "multirun").exists()


def test_all_mistakes_are_told_at_once(train_py: TrainPy) -> None:
    done = train_py(*QUICK, "lora.r=0", "lora.dropout=2")
    assert "lora.r: 0 given" in done.stderr
    assert "lora.dropout: 2.0 given" in done.stderr


def test_a_single_trial_has_no_preflight(train_py: TrainPy, tmp_path: Path) -> None:
    done = train_py(*QUICK, "study.preflight=true")
    assert done.returncode == 1
    assert "study.preflight: True given, allowed: false, or a sweep: add -m" in done.stderr
    assert not list(tmp_path.rglob("metrics.jsonl"))


def test_help_lists_groups_and_keys(train_py: TrainPy) -> None:
    done = train_py("--help")
    assert done.returncode == 0
    for shown in ("python train.py -m", "smollm2_135m", "search_space", "learning_rate: 0.0002"):
        assert shown in done.stdout


def test_shell_completion_knows_the_groups() -> None:
    asked = {**os.environ, "COMP_LINE": "python train.py model=", "COMP_POINT": "22"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "-sc", "query=bash"],
        env=asked,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "model=tiny" in done.stdout.split()


@pytest.mark.parametrize("modules", ["torch", "ray", "transformers", "optuna"])
def test_what_is_heavy_is_not_imported_to_compose(modules: str) -> None:
    script = f"import sys, train; sys.exit({modules!r} in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0
