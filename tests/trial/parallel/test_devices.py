"""A model spread over devices, and trials in several processes on GPUs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ugro.config import Config
from ugro.trial.model.base_models import evict_base_model

from ..conftest import Run
from ..small_models import saved_tiny
from .conftest import CLOSE, LONGER, Parallel, check_same

GPUS = torch.cuda.device_count()


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Path:
    """A random Llama as a folder."""
    return saved_tiny(settings("model=tiny").model.random_llama, tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize(
    "devices",
    [
        "cpu",
        pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(GPUS < 2, reason="GPUs")]),
    ],
)
def test_a_model_spread_over_devices_trains_the_same(
    devices: str, run: Run, model_folder: Path
) -> None:
    model = ("model=local", f"model.path={model_folder}")
    _, folder = run(*LONGER, *model)
    evict_base_model()
    _, other = run(*LONGER, *model, "model.device_map=balanced")
    check_same(folder, other)
    evict_base_model()


@pytest.mark.gpu
@pytest.mark.skipif(GPUS < 2, reason="needs two GPUs")
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_gpus_train_what_one_trains(parallel: str, run: Run, in_two: Parallel) -> None:
    one, folder = run(*LONGER)
    two, other = in_two(parallel, *LONGER, "training.processes=null")
    check_same(folder, other)
    assert two.values == pytest.approx(one.values, abs=CLOSE)
