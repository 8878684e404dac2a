"""Train an adapter with transformers' Trainer and evaluate held-out examples separately."""

import logging
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import peft
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import SequentialSampler
from transformers import (
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
)
from transformers.trainer import TRAINER_STATE_NAME

from ugro.config import Config, Keep, adapter_of
from ugro.config.parallel import batch_share
from ugro.events.channel import Channel
from ugro.retries import is_disk_trouble, retrying
from ugro.trial.adaptive_ranks import rank_penalty, ranks_callbacks
from ugro.trial.callbacks import CheckpointCallback, PatienceCallback, ReportCallback
from ugro.trial.checkpoints import PREFIX, keep_only, latest, step
from ugro.trial.data.preparation import Data
from ugro.trial.data.rows import Rows, Schedule, collate
from ugro.trial.evaluator import Evaluator
from ugro.trial.hardware import on_one_device, peak_memory_mb
from ugro.trial.lora_plus import lora_plus_optimizer, loraplus_ratio
from ugro.trial.parallel import group
from ugro.trial.torch_errors import translated
from ugro.trial.training_arguments import OBJECTIVE, arguments

log = logging.getLogger(__name__)

RNG_STATE, RNG_STATE_OF = "rng_state.pth", "rng_state_{}.pth"  # transformers' names
# What is logged with the metrics of an evaluation.
BESIDES = (
    OBJECTIVE,
    "seconds",
    "eval_seconds",
    "metrics_seconds",
    "peak_memory_mb",
    "epoch",
    "step",
)


@dataclass(frozen=True)
class TrainingResult:
    """Outcome of training; the model holds the adapter of the best checkpoint."""

    best: Mapping[str, float]  # metrics of the best checkpoint
    best_step: int
    train_loss: float
    tokens_seen: int
    trained_token_share: float
    padding_share: float
    steps: int
    seconds: float
    seconds_before: float  # part of ``seconds`` spent before the run was resumed
    eval_seconds: float
    metrics_seconds: float  # part of eval_seconds
    peak_memory_mb: float


def train(
    model: peft.PeftModel,
    data: Data,
    plan: Schedule,
    rows: Rows,
    evaluator: Evaluator,
    config: Config,
    training_hash: str,
    folder: Path,
    channel: Channel,
    changed: Callable[[], None],
) -> TrainingResult:
    """Train until budget, patience or channel end it, then load the best checkpoint.

    A complete checkpoint of the same training is resumed with its optimizer, schedule, random
    state and data position, so that the result equals that of an uninterrupted run.

    Args:
        model: model with a new adapter
        data: training and evaluation data
        plan: order of the training rows
        rows: the training rows in this order, those of all processes
        evaluator: evaluates the checkpoints; its base model is reported at step 0
        config: configuration of the trial
        training_hash: hash of the training, from :func:`hash_training`
        folder: folder of the checkpoints
        channel: receives the report of step 0 and of each evaluation; returns what to do next
        changed: called after checkpoints are written or deleted

    Raises:
        FloatingPointError: no evaluation gave a finite loss.
        TrialInterruptedError: the channel interrupted or paused the training, which can be resumed.
    """
    group.copy_of_first(folder)
    found = latest(folder, training_hash)
    name = group.from_first(lambda: found.name if found else None)
    begin_at = folder / name if name else None
    reporter = ReportCallback(channel, evaluator.base_metrics, plan.tokens, data.fingerprints())
    keep = config.study.keep_checkpoints
    keeper = CheckpointCallback(folder, training_hash, keep, reporter.must_leave, changed)
    # What writes into a checkpoint comes before the keeper, which seals it.
    ranks = ranks_callbacks(model, adapter_of(config), folder)
    callbacks: list[TrainerCallback] = [reporter, *ranks, keeper]
    if config.training.early_stopping_patience is not None:
        callbacks.append(PatienceCallback(config.training.early_stopping_patience))
    share = batch_share(config.training, group.size())
    trainer = ExampleTrainer(
        model=model,
        args=on_one_device(arguments(config, folder, plan.steps, next(model.parameters()).dtype)),
        train_dataset=rows.select(plan.own_order(share, group.rank())),
        eval_dataset=Rows(data.evaluation),
        data_collator=partial(collate, pad=model.config.pad_token_id),
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # reports are logged already
    trainer.reporter, trainer.evaluator = reporter, evaluator
    trainer.loraplus_lr_ratio = loraplus_ratio(config)
    trainer.model_accepts_loss_kwargs = True  # compute_loss divides by the targets of the step
    if begin_at is not None:
        log.info("continued after step %d", step(begin_at))
        state = TrainerState.load_from_json(str(begin_at / TRAINER_STATE_NAME))
        trainer.restore(state)
    if begin_at is None or not is_finished(state):
        trainer.train(resume_from_checkpoint=begin_at and str(begin_at))
        state = trainer.state
    if state.best_metric is None or not math.isfinite(state.best_metric):
        raise FloatingPointError("training diverged: no evaluation gave a finite loss")
    model.load_adapter(str(folder / f"{PREFIX}{state.best_global_step}"), "default")
    best = _logged_at(state, state.best_global_step)
    if not evaluator.is_complete(best):  # metrics that were not due at the best checkpoint
        best |= evaluator.evaluate(model, number=0, last=True)
        evaluator.keep_answers()
    if keep is Keep.best:
        keep_only(folder, {state.best_global_step})
    return _result(best, state, plan, reporter, evaluator)


def _result(
    best: Mapping[str, float],
    state: TrainerState,
    plan: Schedule,
    reporter: ReportCallback,
    evaluator: Evaluator,
) -> TrainingResult:
    """Collect the outcome of a finished training."""
    return TrainingResult(
        best={name: value for name, value in best.items() if name not in BESIDES},
        best_step=state.best_global_step,
        train_loss=mean_train_loss(state),
        tokens_seen=int(plan.tokens[state.global_step]),
        trained_token_share=plan.trained_token_share,
        padding_share=plan.padding_share,
        steps=state.global_step,
        seconds=reporter.seconds(),
        seconds_before=reporter.seconds_before,
        eval_seconds=evaluator.seconds,
        metrics_seconds=evaluator.metrics_seconds,
        peak_memory_mb=reporter.peak_memory_mb,
    )


def _logged_at(state: TrainerState, step: int) -> dict[str, float]:
    """Return the metrics evaluated after ``step``."""
    evaluated = [
        logged for logged in state.log_history if "eval_loss" in logged and logged["step"] == step
    ]
    return dict(evaluated[-1])


def is_finished(state: TrainerState) -> bool:
    """Return whether training was complete when this state was saved."""
    return bool(state.global_step >= state.max_steps)


def mean_train_loss(state: TrainerState) -> float:
    """Return the mean training loss over all steps, those before a resumption included.

    transformers averages only from the step where it resumed.
    """
    total, since = 0.0, 0
    for logged in state.log_history:
        if "loss" in logged:
            total += logged["loss"] * (logged["step"] - since)
            since = logged["step"]
    return total / max(since, 1)


class ExampleTrainer(Trainer):
    """transformers' Trainer over rows of packed examples.

    Training follows the order of the schedule. The loss of a step is the mean over all its targets,
    independent of how they are spread over rows and forward passes. Evaluation sees each
    held-out example alone.
    """

    reporter: ReportCallback
    evaluator: Evaluator
    loraplus_lr_ratio: float | None

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
        own = Path(output_dir, RNG_STATE).read_bytes()
        for rank, state in enumerate(group.gathered(own)[1:], 1):
            Path(output_dir, RNG_STATE_OF.format(rank)).write_bytes(state)

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
            is_best = metrics["eval_loss"] < _logged_at(self.state, before)["eval_loss"]
        if is_best:
            self.state.best_global_step = self.state.global_step
            self.evaluator.keep_answers()
        return is_best
