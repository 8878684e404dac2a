"""transformers' Trainer with the order, losses and evaluations of a trial."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerControl, TrainerState

from ugro.retries import is_disk_trouble, retrying
from ugro.trial.adaptive_ranks import rank_penalty
from ugro.trial.callbacks import ReportCallback
from ugro.trial.evaluator import Evaluator
from ugro.trial.hardware import peak_memory_mb
from ugro.trial.lora_plus import lora_plus_optimizer
from ugro.trial.parallel import group
from ugro.trial.torch_errors import translated
from ugro.trial.training_arguments import OBJECTIVE

RNG_STATE, RNG_STATE_OF = "rng_state.pth", "rng_state_{}.pth"  # transformers' names


class ExampleTrainer(Trainer):
    """transformers' Trainer over rows of packed examples.

    Training follows the order of the schedule. The loss of a step is the mean over all its targets,
    independent of how they are spread over rows and forward passes. Evaluation sees each
    held-out example alone.
    """

    reporter: ReportCallback
    evaluator: Evaluator
    loraplus_lr_ratio: float | None
    _states_of_others: Sequence[bytes] = ()  # random states of the processes after the first

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """Create the optimizer of the arguments, with LoRA+'s learning rates where asked for."""
        if self.loraplus_lr_ratio is not None:
            self.optimizer: Any = lora_plus_optimizer(self.model, self.args, self.loraplus_lr_ratio)
        optimizer: Optimizer = super().create_optimizer(model)
        return optimizer

    def restore(self, state: TrainerState) -> None:
        """Restore elapsed times and peak memory of the resumed run."""
        evaluated = [logged for logged in state.log_history if "eval_loss" in logged]
        if evaluated:
            self.evaluator.seconds = evaluated[-1]["eval_seconds"]
            self.evaluator.metrics_seconds = evaluated[-1]["metrics_seconds"]
            self.reporter.seconds_before = evaluated[-1]["seconds"]
            self.reporter.peak_memory_mb = evaluated[-1]["peak_memory_mb"]

    def _get_train_sampler(self, *_: Any) -> SequentialSampler:
        return SequentialSampler(self.train_dataset)  # the schedule is shuffled already

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Mapping[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Return this forward pass's share of the step's mean loss and of AdaLoRA's penalty."""
        assert num_items_in_batch is not None
        passes = self.args.gradient_accumulation_steps * group.size()
        penalty = rank_penalty(self.model) / passes
        loss: Tensor = self.evaluator.task.loss(model, inputs) / num_items_in_batch + penalty
        return loss

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """Count the targets of a full step, in all processes."""
        count = sum(map(self.evaluator.task.count, batch_samples))
        return group.summed(torch.tensor(count, device=device))

    def training_step(self, *arguments: Any, **options: Any) -> Tensor:
        """Compute gradients and loss of a forward pass; after the last, those of all processes."""
        loss = group.summed(super().training_step(*arguments, **options))
        if group.size() > 1 and self.accelerator.sync_gradients:
            group.sum_gradients(self.model.parameters())
        return loss

    def _save_rng_state(self, output_dir: str) -> None:
        """Save the random state of each process, as transformers names them."""
        super()._save_rng_state(output_dir)
        for rank, state in enumerate(self._states_of_others, 1):
            Path(output_dir, RNG_STATE_OF.format(rank)).write_bytes(state)

    def _gather_rng_states(self) -> None:
        """Exchange the random states of the processes."""
        with TemporaryDirectory() as made:
            super()._save_rng_state(made)
            own = Path(made, RNG_STATE).read_bytes()
        self._states_of_others = group.gathered(own)[1:]

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Load the random state of this process, or that of the first if it had no such process."""
        own = Path(checkpoint or "", RNG_STATE_OF.format(group.rank()))
        if checkpoint is None or not own.exists():
            super()._load_rng_state(checkpoint)
            return
        with TemporaryDirectory() as made:
            shutil.copy(own, Path(made, RNG_STATE))
            super()._load_rng_state(made)

    def _save_checkpoint(self, *arguments: Any) -> None:
        """Save a checkpoint as transformers does; wait while the disk is full."""
        if group.size() > 1:  # before the save, which a single process may repeat
            self._gather_rng_states()

        def save() -> None:
            with translated():
                super(ExampleTrainer, self)._save_checkpoint(*arguments)

        retrying(is_disk_trouble, "The checkpoint cannot be written")(save)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Evaluate the held-out examples, log the metrics and pass them to the callbacks."""
        number = 1 + sum("eval_loss" in logged for logged in self.state.log_history)
        is_last = self.state.global_step >= self.state.max_steps
        self.optimizer.eval()  # schedule-free optimizers evaluate and save averaged weights
        metrics = self.evaluator.evaluate(self.model, number, is_last)
        spent = {
            "seconds": self.reporter.seconds(),
            "eval_seconds": self.evaluator.seconds,
            "metrics_seconds": self.evaluator.metrics_seconds,
            "peak_memory_mb": peak_memory_mb(),
        }
        self.log({**metrics, **spent})
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        if self.control.should_training_stop and not self.evaluator.is_complete(metrics):
            metrics = self.evaluator.evaluate(self.model, number, last=True)
            self.state.log_history[-1] |= metrics  # the trial ends here, with all its metrics
        return metrics

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Select the best checkpoint by the objective; among equal ones, by the loss."""
        before = self.state.best_global_step
        is_best: bool = super()._determine_best_metric(metrics, trial)
        if not is_best and before and metrics[OBJECTIVE] == self.state.best_metric:
            is_best = metrics["eval_loss"] < logged_at(self.state, before)["eval_loss"]
        if is_best:
            self.state.best_global_step = self.state.global_step
            self.evaluator.keep_answers()
        return is_best


def logged_at(state: TrainerState, step: int) -> dict[str, float]:
    """Return the metrics evaluated after ``step``."""
    evaluated = [
        logged for logged in state.log_history if "eval_loss" in logged and logged["step"] == step
    ]
    return dict(evaluated[-1])
