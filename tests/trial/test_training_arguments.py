"""Further arguments of transformers reach its Trainer."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ugro.config import Config
from ugro.errors import UserError
from ugro.trial.training_arguments import arguments

from ..conftest import QUICK
from .conftest import Run

Settings = Callable[..., Config]


def test_arguments_of_the_optimizer_are_used(run: Run) -> None:
    rate = ("training.optim=sgd", "training.learning_rate=1.0")
    plain, _ = run(*rate)
    result, folder = run(*rate, "training.extra.optim_args='momentum=0.9'")
    assert result.metrics["eval_loss"] != plain.metrics["eval_loss"]
    saved = torch.load(folder / "checkpoints/checkpoint-4/optimizer.pt", weights_only=True)
    assert all(group["momentum"] == 0.9 for group in saved["param_groups"])


def test_processes_that_load_data_change_no_loss(run: Run) -> None:
    plain, _ = run()
    result, _ = run("training.extra={dataloader_num_workers: 1}")
    assert result.metrics["eval_loss"] == plain.metrics["eval_loss"]
    assert result.metrics["train_loss"] == plain.metrics["train_loss"]


def test_a_value_that_transformers_refuses_is_one_line(settings: Settings) -> None:
    config = settings(*QUICK, "training.extra={dataloader_prefetch_factor: 2}")
    with pytest.raises(UserError, match=r"^training\.extra: .*dataloader_prefetch_factor") as told:
        arguments(config, Path(), 1, torch.float32)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("packing", ["bfd", "wrapped"])
def test_losses_do_not_depend_on_the_attention(packing: str, run: Run, tmp_path: Path) -> None:
    lines = (json.dumps({"text": f"{number}, " * (1 + number % 5)}) for number in range(99))
    (tmp_path / "numbers.jsonl").write_text("\n".join(lines))
    data = (
        "data=jsonl",
        f"data.train_files=[{tmp_path}/numbers.jsonl]",
        f"data.packing={packing}",
    )
    results = [
        run(*data, f"model.attn_implementation={attention}", "training.learning_rate=1e-2")[0]
        for attention in ("null", "eager", "sdpa")
    ]
    losses = [result.metrics["eval_loss"] for result in results]
    assert losses == pytest.approx([losses[0]] * 3, abs=1e-5)
    assert results[0].metrics["base_eval_loss"] - losses[0] > 0.01
