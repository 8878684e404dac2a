"""A model spread over devices, and trials in several processes on GPUs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ugro.config import Config
from ugro.trial.model.base_models import evict_base_model
from ugro.trial.model.random_llama import byte_tokenizer, random_llama

from ..conftest import Run
from .conftest import CLOSE, LONGER, Parallel, check_same

GPUS = torch.cuda.device_count()


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Path:
    """A random Llama as a folder."""
    folder = tmp_path_factory.mktemp("model")
    shape = settings("model=tiny").model.random_llama
    assert shape is not None
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(folder)
    random_llama(shape, tokenizer).save_pretrained(folder)
    return folder


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
