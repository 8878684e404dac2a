"""Every example runs, from the repository's folder, as a user would start it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import ROOT

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
