from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.trial.checkpoints import SEAL, hash_training, is_complete, keep_only, latest, seal

from ..conftest import QUICK


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return complete checkpoints at steps 2, 10 and 4."""
    for step in (2, 10, 4):
        write(tmp_path, step)
        seal(tmp_path / f"checkpoint-{step}", "this")
    return tmp_path


def write(folder: Path, step: int) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    (checkpoint / "nested").mkdir(parents=True)
    (checkpoint / "weights").write_bytes(bytes(range(step)) * 100)
    (checkpoint / "nested" / "state").write_text("state")
    return checkpoint


def test_the_latest_is_that_of_the_last_step(folder: Path) -> None:
    assert latest(folder, "this") == folder / "checkpoint-10"


def test_without_any_there_is_none(tmp_path: Path) -> None:
    assert latest(tmp_path, "this") is None
    assert latest(tmp_path / "never made", "this") is None


def test_one_that_is_being_written_is_not_whole(folder: Path) -> None:
    write(folder, 12)
    assert latest(folder, "this") == folder / "checkpoint-10"


def _truncated(checkpoint: Path) -> None:
    (checkpoint / "weights").write_bytes((checkpoint / "weights").read_bytes()[:-1])


def _flipped(checkpoint: Path) -> None:
    content = bytearray((checkpoint / "weights").read_bytes())
    content[7] ^= 1
    (checkpoint / "weights").write_bytes(bytes(content))


def _lost(checkpoint: Path) -> None:
    (checkpoint / "nested" / "state").unlink()


def _torn_seal(checkpoint: Path) -> None:
    (checkpoint / SEAL).write_text((checkpoint / SEAL).read_text()[:20])


def _no_seal(checkpoint: Path) -> None:
    (checkpoint / SEAL).rename(checkpoint / f"{SEAL}.draft")


@pytest.mark.parametrize("tear", [_truncated, _flipped, _lost, _torn_seal, _no_seal])
def test_of_a_torn_one_the_one_before_is_taken(tear: Callable[[Path], None], folder: Path) -> None:
    tear(folder / "checkpoint-10")
    assert not is_complete(folder / "checkpoint-10", "this")
    assert latest(folder, "this") == folder / "checkpoint-4"


def test_the_seal_belongs_to_one_training(folder: Path) -> None:
    assert latest(folder, "another") is None


def test_others_are_deleted(folder: Path) -> None:
    keep_only(folder, {4, 10})
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-10", "checkpoint-4"]


DATA = {"train_data": "a", "eval_data": "b", "test_data": "c"}


def test_a_training_is_named_by_what_its_weights_depend_on(
    settings: Callable[..., Config],
) -> None:
    named = hash_training(settings(*QUICK), DATA)
    for same in ("study.dir=elsewhere", "scheduler=asha", "cache_dir=/elsewhere"):
        assert hash_training(settings(*QUICK, same), DATA) == named
    for other in (
        "lora.r=3",
        "seed=1",
        "training.max_steps=5",
        "data.block_size=16",
        "training.optim=sgd",
        "training.lr_scheduler_kwargs={num_cycles: 2}",
        "training.label_smoothing=0.1",
    ):
        assert hash_training(settings(*QUICK, other), DATA) != named


def test_a_training_on_other_data_is_another(settings: Callable[..., Config]) -> None:
    named = hash_training(settings(*QUICK), DATA)
    assert hash_training(settings(*QUICK), dict(reversed(DATA.items()))) == named
    for part in DATA:
        assert hash_training(settings(*QUICK), {**DATA, part: "changed"}) != named


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ([], "fbe5a4d582790a71c82bca6bec7a4773388f1b900a453eecee7b31d2d7010ffe"),
        (
            ["lora.r=3", "lora.target_modules=[q_proj]", "lora.use_dora=true"],
            "56b685d941c20438b3afa7f272f60aaa20c44a1b2f86a96dd9e798b3ae289a82",
        ),
    ],
)
def test_checkpoints_of_earlier_versions_are_resumed(
    asked: list[str], named: str, settings: Callable[..., Config]
) -> None:
    assert hash_training(settings(*QUICK, *asked), DATA) == named


def test_an_adapter_is_part_of_the_training_with_its_own_keys_only(
    settings: Callable[..., Config],
) -> None:
    vera = settings(*QUICK, "adapter=vera")
    named = hash_training(vera, DATA)
    same = settings(*QUICK, "training.learning_rate=0.004")  # otherwise the configuration of vera
    assert named != hash_training(same, DATA)
    assert named != hash_training(settings(*QUICK, "adapter=vera", "vera.r=8"), DATA)
    vera.lora.r = 99
    assert named == hash_training(vera, DATA)
    for changed in ("lora.rank_pattern={q_proj:2}", "lora.loraplus_lr_ratio=2"):
        assert hash_training(settings(*QUICK, changed), DATA) != hash_training(
            settings(*QUICK), DATA
        )
