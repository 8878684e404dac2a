"""A worker keeps what its next trial needs."""

from pathlib import Path

import pytest

from .studies import TrainPy

LOADED = "base model loaded"
ONE_WORKER = ("+hydra.launcher.ray.init.num_cpus=1", "hydra.launcher.ray.remote.num_gpus=0")
SHORT = (
    "data.block_size=32",
    "data.max_eval_examples=2",
    "data.max_test_examples=2",
    "training.batch_size=1",
    "training.max_steps=1",
    "study.analysis=false",
    "tracking=none",
)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_worker_quantises_the_base_model_once_until_another_is_needed(
    train_py: TrainPy, tmp_path: Path
) -> None:
    pytest.importorskip("bitsandbytes")
    asked = ("study.name=warm", "quantization=bnb_nf4,none", "lora.r=8,16")
    done = train_py("-m", *ONE_WORKER, *SHORT, *asked, seconds=580)
    assert done.returncode == 0, done.stderr
    logs = sorted((tmp_path / "multirun" / "warm" / "trials").glob("*/train.log"))
    # The two ranks of bnb_nf4 come first, then those of none.
    assert [log.read_text().count(LOADED) for log in logs] == [1, 0, 1, 0]
