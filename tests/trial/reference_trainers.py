"""Trainers of transformers and TRL with a trial's settings, over their rows in its order."""

from pathlib import Path
from typing import Any

from ugro.config import Config


def in_order(trainer: Any) -> Any:
    """Return a trainer's class whose attribute ``order`` lists the rows of consecutive steps."""

    class InOrder(trainer):  # type: ignore[misc]
        order: list[int]

        def _get_train_sampler(self, *_: Any) -> list[int]:
            return self.order

    return InOrder


def arguments_of(config: Config, folder: Path) -> dict[str, Any]:
    """Return the arguments with which a trainer trains as a trial does, a log line per step."""
    training = config.training
    return {
        "output_dir": str(folder),
        "learning_rate": training.learning_rate,
        "lr_scheduler_type": training.lr_scheduler_type.name,
        "warmup_steps": training.warmup_ratio,
        "label_smoothing_factor": training.label_smoothing,
        "weight_decay": training.weight_decay,
        "max_grad_norm": training.max_grad_norm,
        "per_device_train_batch_size": training.batch_size,
        "gradient_accumulation_steps": training.gradient_accumulation_steps,
        "max_steps": training.max_steps,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "bf16": False,
        "seed": config.seed,
    }


def losses(trainer: Any) -> list[float]:
    """Train, and return the loss of each step."""
    trainer.train()
    return [logged["loss"] for logged in trainer.state.log_history if "loss" in logged]
