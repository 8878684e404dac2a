"""The recipes for GPUs and their table, by ``make check`` without GPU and hub."""

import re
from pathlib import Path

import pytest

from ..conftest import ROOT
from .studies import TrainPy, write_rows

SIZES = (16, 24, 80)  # GB, the columns of the table
RECORDS = [
    {"prompt": f"{number} and one is", "completion": f" {number + 1}"} for number in range(9)
]
# Of each recipe the size that is asked for, and whether it fits.
ASKED = {
    "qlora_8b_16gb": (16, True),
    "lora_8b_24gb": (16, False),
    "lora_32b_80gb": (80, True),
    "qlora_70b_8x80gb": (80, True),
    "llama2_7b_lora": (24, False),  # two trials share a GPU
}


def rows_of_the_table() -> dict[str, list[str]]:
    """Return the cells after the recipe's name, by name."""
    lines = (ROOT / "docs" / "recipes.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line[:3] == "| `"]
    return {cells[0].strip("`"): cells[1:] for cells in rows}


def gigabytes(text: str, what: str) -> float:
    found = re.search(rf"([\d.]+) GB{what}", text)
    assert found, text
    return float(found[1])


def test_the_table_has_each_recipe() -> None:
    recipes = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}
    assert rows_of_the_table().keys() == ASKED.keys() == recipes - {"debug", "quickstart"}


@pytest.mark.long
@pytest.mark.parametrize("recipe", ASKED)
def test_a_recipe_fits_the_gpus_that_the_table_says(
    recipe: str, train_py: TrainPy, tmp_path: Path
) -> None:
    size, fits = ASKED[recipe]
    data = write_rows(tmp_path, RECORDS)
    asked = ["-m", "study.preflight=true", f"experiment={recipe}", *data, "tracking=none"]
    done = train_py(*asked, f"estimate.gpu_memory_gb={size}")
    assert done.returncode == (0 if fits else 1), done.stdout + done.stderr
    assert "architecture from the repository" in done.stdout
    assert "no step is taken" in done.stdout
    memory = next(line for line in done.stdout.splitlines() if line.startswith("memory"))
    assert (" fits " in memory) is fits or "does not fit" in memory
    needs = gigabytes(memory, " estimated")
    share = 1 / int(found[1]) if (found := re.search(r"1/(\d+) of", memory)) else 1.0
    *_, estimated, at_16, at_24, at_80 = rows_of_the_table()[recipe]
    assert gigabytes(estimated, "") == pytest.approx(needs, abs=0.11)
    for gpu, cell in zip(SIZES, (at_16, at_24, at_80), strict=True):
        free = gpu * share - needs
        said = gigabytes(cell, " free") if free >= 0 else -gigabytes(cell, " too much")
        assert said == pytest.approx(free, abs=0.11), f"{gpu} GB"


@pytest.mark.parametrize("mode", ["single", "sweep"])
def test_a_recipe_says_that_the_gpu_is_missing(
    mode: str, train_py: TrainPy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    many = ["-m"] if mode == "sweep" else []
    done = train_py(*many, "experiment=qlora_8b_16gb", "tracking=none")
    assert done.returncode == 1
    said = (done.stdout + done.stderr).splitlines()
    [line] = [line for line in said if "hydra.launcher.ray.remote.num_gpus: 1 given" in line]
    assert "allowed: " in line
    assert "Traceback" not in "".join(said)


def test_an_estimate_is_of_a_preflight(train_py: TrainPy) -> None:
    done = train_py("-m", "experiment=debug", "estimate.gpu_memory_gb=16")
    assert done.returncode == 1
    assert "estimate.gpu_memory_gb: 16.0 given, allowed: null, or with -m" in done.stderr
    done = train_py("-m", "experiment=debug", "study.preflight=true", "estimate.gpu_memory_gb=0")
    assert done.returncode == 1
    assert "estimate.gpu_memory_gb: 0.0 given, allowed: above 0" in done.stdout
