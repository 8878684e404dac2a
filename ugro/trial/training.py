"""How is the adapter trained? By transformers' Trainer, evaluated by token-weighted loss."""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    default_data_collator,
)

from ugro.budget import max_steps, tokens_per_step
from ugro.config import Config
from ugro.report import Report
from ugro.reporting import Line
from ugro.trial.blocks import Blocks
from ugro.trial.evaluation import eval_loss, perplexity
from ugro.trial.hardware import device, peak_memory_mb


@dataclass(frozen=True)
class Trained:
    """What training came to; the model holds the best checkpoint's adapter."""

    best_loss: float
    best_step: int
    train_loss: float
    tokens_seen: int
    steps: int
    seconds: float
    eval_seconds: float


def train(
    model: nn.Module,
    train_blocks: Blocks,
    eval_blocks: Blocks,
    base_loss: float,
    config: Config,
    checkpoints: Path,
    report: Line,
) -> Trained:
    """Train until the budget, the patience or the line says so; load the best checkpoint back.

    Args:
        model: with a fresh adapter
        train_blocks: trained on
        eval_blocks: evaluated on
        base_loss: of the base model on the evaluation blocks, for the report at step 0
        config: the trial
        checkpoints: a folder for the best and the last
        report: called at step 0 and at each evaluation; says whether to go on

    Raises:
        FloatingPointError: no evaluation gave a finite loss.
    """
    reporter = Reporter(report, base_loss, tokens_per_step(config))
    callbacks: list[TrainerCallback] = [reporter]
    if config.training.early_stopping_patience is not None:
        callbacks.append(EarlyStoppingCallback(config.training.early_stopping_patience))
    trainer = TokenWeightedTrainer(
        model=model,
        args=arguments(config, checkpoints, device_dtype=next(model.parameters()).dtype),
        train_dataset=train_blocks,
        eval_dataset=eval_blocks,
        data_collator=default_data_collator,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # the reports say it
    outcome = trainer.train()
    state = trainer.state
    if state.best_metric is None or not math.isfinite(state.best_metric):
        raise FloatingPointError("training diverged: no evaluation gave a finite loss")
    return Trained(
        best_loss=state.best_metric,
        best_step=state.best_global_step,
        train_loss=outcome.training_loss,
        tokens_seen=state.num_input_tokens_seen,
        steps=state.global_step,
        seconds=reporter.seconds(),
        eval_seconds=trainer.eval_seconds,
    )


def arguments(config: Config, checkpoints: Path, device_dtype: torch.dtype) -> TrainingArguments:
    """Our configuration in transformers' words."""
    training, steps = config.training, max_steps(config)
    return TrainingArguments(
        output_dir=str(checkpoints),
        learning_rate=training.learning_rate,
        lr_scheduler_type=training.lr_scheduler_type.name,
        warmup_steps=training.warmup_ratio,  # below 1: a share of all steps
        weight_decay=training.weight_decay,
        max_grad_norm=training.max_grad_norm,
        per_device_train_batch_size=training.batch_size,
        per_device_eval_batch_size=training.eval_batch_size,
        gradient_accumulation_steps=training.gradient_accumulation_steps,
        activation_checkpointing=training.gradient_checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False},
        max_steps=-1 if steps is None else steps,  # -1: epochs decide
        num_train_epochs=training.epochs or 1,
        eval_strategy="steps",
        eval_steps=training.eval_steps,
        save_strategy="steps",
        save_steps=training.eval_steps,
        save_total_limit=2,  # the best and the last
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_strategy="steps",
        logging_steps=training.eval_steps,
        use_cpu=device().type == "cpu",
        bf16=device_dtype == torch.bfloat16,
        fp16=device_dtype == torch.float16,
        seed=config.seed,
        data_seed=config.seed,
        include_num_input_tokens_seen="all",  # packed blocks hold no padding
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
    )


class TokenWeightedTrainer(Trainer):
    """transformers' Trainer, but every predicted token weighs the same in the evaluation."""

    eval_seconds = 0.0

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Token-weighted loss on the evaluation blocks, logged and handed to the callbacks."""
        began = time.perf_counter()
        loss = eval_loss(self.model, self.eval_dataset, self.args.per_device_eval_batch_size)
        self.eval_seconds += time.perf_counter() - began
        metrics = {"eval_loss": loss, "eval_perplexity": perplexity(loss)}
        self.log(dict(metrics))
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics


class Reporter(TrainerCallback):
    """Turns each evaluation into a :class:`Report`, the one after the last step included."""

    def __init__(self, report: Line, base_loss: float, tokens_per_step: int) -> None:
        self._report = report
        self._base_loss = base_loss
        self._tokens_per_step = tokens_per_step
        self._began = time.perf_counter()
        self._logged: dict[str, float] = {}
        self._go_on = True

    def seconds(self) -> float:
        """Since training began."""
        return time.perf_counter() - self._began

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, *_: Any, **__: Any
    ) -> None:
        """Start the clock; what is reported first is the base model."""
        self._began = time.perf_counter()
        self._tell(state, self._base_loss)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """The Trainer saves after the last step, but evaluates there only by chance."""
        if state.global_step >= state.max_steps or not self._go_on:
            control.should_evaluate = control.should_log = control.should_training_stop = True

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        """Keep the training loss for the evaluation that follows it."""
        if "loss" in logs:
            self._logged = logs

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        """Hand the report over and do as told."""
        self._tell(state, metrics["eval_loss"])
        control.should_training_stop |= not self._go_on

    def _tell(self, state: TrainerState, loss: float) -> None:
        metrics = {"eval_loss": loss, "eval_perplexity": perplexity(loss)}
        if self._logged:
            metrics["train_loss"] = self._logged["loss"]
            metrics["learning_rate"] = self._logged["learning_rate"]
        metrics["peak_memory_mb"] = peak_memory_mb()
        self._go_on = self._report(
            Report(
                step=state.global_step,
                total_steps=state.max_steps,
                tokens_seen=int(state.num_input_tokens_seen),
                total_tokens=state.max_steps * self._tokens_per_step,
                seconds=self.seconds(),
                metrics=metrics,
                time=time.time(),
            )
        )
