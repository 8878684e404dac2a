"""How is the adapter trained? By transformers' Trainer, evaluated by token-weighted loss."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
import torch
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
from transformers.trainer import TRAINER_STATE_NAME

from ugro.budget import max_steps, tokens_per_step
from ugro.config import Config, Keep
from ugro.reporting import Channel
from ugro.retries import is_disk_trouble, retrying
from ugro.trial.blocks import Blocks
from ugro.trial.callbacks import Keeper, Reporter
from ugro.trial.checkpoints import PREFIX, keep_only, latest, step, training_of
from ugro.trial.evaluation import eval_loss, perplexity
from ugro.trial.faults import named
from ugro.trial.hardware import device, peak_memory_mb

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What training came to; the model holds the best checkpoint's adapter."""

    best_loss: float
    best_step: int
    train_loss: float
    tokens_seen: int
    steps: int
    seconds: float
    seconds_before: float  # of them, in an earlier run that was continued
    eval_seconds: float
    peak_memory_mb: float


def train(
    model: peft.PeftModel,
    train_blocks: Blocks,
    eval_blocks: Blocks,
    base_loss: float,
    config: Config,
    folder: Path,
    channel: Channel,
    changed: Callable[[], None],
) -> Trained:
    """Train until the budget, the patience or the channel says so; load the best checkpoint back.

    A whole checkpoint of the same training is continued: with its optimizer, schedule, random
    numbers and place in the data it comes to what it would have come to at once.

    Args:
        model: with a fresh adapter
        train_blocks: trained on
        eval_blocks: evaluated on
        base_loss: of the base model on the evaluation blocks, for the report at step 0
        config: the trial
        folder: of the checkpoints
        channel: hears of step 0 and of each evaluation; says whether to go on
        changed: is called when checkpoints have come or gone

    Raises:
        FloatingPointError: no evaluation gave a finite loss.
        TrialInterruptedError: it was asked to end before its time, and can be continued.
    """
    training = training_of(config)
    begin_at = latest(folder, training)
    reporter = Reporter(channel, base_loss, tokens_per_step(config))
    keep = config.study.keep_checkpoints
    keeper = Keeper(folder, training, keep, channel.interrupted, changed)
    callbacks: list[TrainerCallback] = [reporter, keeper]
    if config.training.early_stopping_patience is not None:
        callbacks.append(EarlyStoppingCallback(config.training.early_stopping_patience))
    trainer = TokenWeightedTrainer(
        model=model,
        args=arguments(config, folder, device_dtype=next(model.parameters()).dtype),
        train_dataset=train_blocks,
        eval_dataset=eval_blocks,
        data_collator=default_data_collator,
        callbacks=callbacks,
    )
    trainer.remove_callback(PrinterCallback)  # the reports say it
    trainer.reporter = reporter
    if begin_at is not None:
        log.info("continued after step %d", step(begin_at))
        state = TrainerState.load_from_json(str(begin_at / TRAINER_STATE_NAME))
        trainer.take_up(state)
    if begin_at is None or not is_over(state):
        trainer.train(resume_from_checkpoint=begin_at and str(begin_at))
        state = trainer.state
    if state.best_metric is None or not math.isfinite(state.best_metric):
        raise FloatingPointError("training diverged: no evaluation gave a finite loss")
    model.load_adapter(str(folder / f"{PREFIX}{state.best_global_step}"), "default")
    if keep is Keep.best:
        keep_only(folder, {state.best_global_step})
    return Trained(
        best_loss=state.best_metric,
        best_step=state.best_global_step,
        train_loss=mean_train_loss(state),
        tokens_seen=state.num_input_tokens_seen,
        steps=state.global_step,
        seconds=reporter.seconds(),
        seconds_before=reporter.seconds_before,
        eval_seconds=trainer.eval_seconds,
        peak_memory_mb=reporter.peak_memory_mb,
    )


def is_over(state: TrainerState) -> bool:
    """Whether training had come to its end when this was saved."""
    return bool(state.global_step >= state.max_steps)


def mean_train_loss(state: TrainerState) -> float:
    """The mean over all steps of a training that may have been continued.

    transformers' own counts from where it was continued.
    """
    total, since = 0.0, 0
    for logged in state.log_history:
        if "loss" in logged:
            total += logged["loss"] * (logged["step"] - since)
            since = logged["step"]
    return total / max(since, 1)


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
        restore_callback_states_from_checkpoint=True,  # the patience
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

    reporter: Reporter
    eval_seconds = 0.0

    def take_up(self, state: TrainerState) -> None:
        """Go on counting where an earlier run was."""
        evaluated = [logged for logged in state.log_history if "eval_loss" in logged]
        if evaluated:
            self.eval_seconds = evaluated[-1]["eval_seconds"]
            self.reporter.seconds_before = evaluated[-1]["seconds"]
            self.reporter.peak_memory_mb = evaluated[-1]["peak_memory_mb"]

    def _save_checkpoint(self, *arguments: Any) -> None:
        """As transformers does; a full disk is waited for."""

        def save() -> None:
            with named():
                super(TokenWeightedTrainer, self)._save_checkpoint(*arguments)

        retrying(is_disk_trouble, "The checkpoint cannot be written")(save)

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Token-weighted loss on the evaluation blocks, logged and handed to the callbacks."""
        began = time.perf_counter()
        loss = eval_loss(self.model, self.eval_dataset, self.args.per_device_eval_batch_size)
        self.eval_seconds += time.perf_counter() - began
        metrics = {"eval_loss": loss, "eval_perplexity": perplexity(loss)}
        spent = {"seconds": self.reporter.seconds(), "eval_seconds": self.eval_seconds}
        self.log({**metrics, **spent, "peak_memory_mb": peak_memory_mb()})
        self.control: TrainerControl = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics
