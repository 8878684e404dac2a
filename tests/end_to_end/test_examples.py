"""Every example runs, from the repository's folder, as a user would start it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest

from examples.my_metrics import _at_least_one, _passes, pass_at_k
from ugro.config import Config
from ugro.events.channel import channel
from ugro.metrics.examples import GenerationExample
from ugro.trial.trial import run_trial

from ..conftest import QUICK, ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.sh"))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.long
@pytest.mark.timeout(900)  # several commands in a row
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs(example: Path, tmp_path: Path) -> None:
    if example.stem == "lm_eval_task":
        pytest.importorskip("lm_eval")
    for name in ("train.py", "conf", "ugro", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    converter = ROOT / "tests" / "trial" / "export" / "convert_hf_to_gguf.py"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "CONVERTER": str(converter)}
    done = subprocess.run(
        ["bash", f"examples/{example.name}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    studies = [one.parent for one in (tmp_path / "multirun").glob("*/study.db")]
    assert studies
    assert all((one / "analysis" / "report.html").exists() for one in studies)
    for program in programs_of(example.with_suffix(".md")):
        command = [sys.executable, "-c", program]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)


def programs_of(page: Path) -> list[str]:
    """The Python programs of an example's page, if it has one."""
    text = page.read_text() if page.exists() else ""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_page_on_serving_has_programs() -> None:
    assert len(programs_of(ROOT / "examples" / "serve.md")) == 2


def estimator(n: int, c: int, k: int) -> float:
    """The program of Chen et al. 2021, figure 3."""
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


@pytest.mark.parametrize("n", [5, 8])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_pass_at_k_is_the_share_of_groups_of_k_in_which_one_passes(n: int, k: int) -> None:
    for c in range(n + 1):
        groups = combinations([1] * c + [0] * (n - c), k)
        assert _at_least_one(n, c, k) == pytest.approx(fmean(max(group) for group in groups))
        assert _at_least_one(n, c, k) == pytest.approx(estimator(n, c, k))


def test_pass_at_k_runs_each_program_with_its_test() -> None:
    right, wrong = "def double(n): return 2 * n", "def double(n): return n"
    some = GenerationExample("?", [wrong, right, wrong, "no program", wrong, wrong], "", RECORD)
    none = GenerationExample("?", [wrong] * 5, "", RECORD)
    found = pass_at_k([some, none])
    assert found == {"at_1": [pytest.approx(1 / 6), 0.0], "at_5": [pytest.approx(5 / 6), 0.0]}
    with pytest.raises(ValueError, match=r"^samples: 1 given, allowed: 5 or more, for pass@5"):
        pass_at_k([GenerationExample("?", [right], "", RECORD)])


RECORD = {"test": "assert double(3) == 6"}


def test_a_trial_measures_pass_at_k_as_the_docs_configure_it(
    settings: Callable[..., Config], tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    [metric] = re.findall(r"'(metrics\.pass={.*})'", page)
    rows = [{"prompt": f"{n} =", "completion": "1", "test": ""} for n in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    data = ("data=jsonl", f"data.train_files=[{tmp_path}/rows.jsonl]")
    limits = ("metrics.pass.examples=1", "metrics.pass.max_new_tokens=1")
    config = settings(*QUICK, *data, metric, *limits, "training.learning_rate=0.1")
    result = run_trial(config, tmp_path, channel())
    [line] = (tmp_path / "generations.jsonl").read_text().splitlines()
    programs = json.loads(line)["samples"]["pass"]
    assert len(programs) == 10
    passed = sum(_passes(program, "") for program in programs)
    assert passed  # it has learnt the program "1"
    assert result.metrics["pass_at_1"] == pytest.approx(passed / 10)
    assert result.metrics["pass_at_5"] == pytest.approx(_at_least_one(10, passed, 5))
