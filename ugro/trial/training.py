"""Train an adapter with transformers' Trainer and evaluate held-out examples separately."""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import peft
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerState,
)
from transformers.trainer import TRAINER_STATE_NAME

from ugro.config import Config, Keep, adapter_of
from ugro.events.channel import Channel
from ugro.trial.adaptive_ranks import ranks_callbacks
from ugro.trial.callbacks import CheckpointCallback, PatienceCallback, ReportCallback
from ugro.trial.checkpoints import PREFIX, keep_only, latest, step
from ugro.trial.data.preparation import Data
from ugro.trial.data.rows import Rows, Schedule, collate
from ugro.trial.evaluator import Evaluator
from ugro.trial.example_trainer import ExampleTrainer, logged_at
from ugro.trial.hardware import on_one_device
from ugro.trial.lora_plus import loraplus_ratio
from ugro.trial.parallel import group
from ugro.trial.training_arguments import OBJECTIVE, arguments

log = logging.getLogger(__name__)

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
    found = group.from_first(lambda: latest(folder, training_hash))
    begin_at = folder / found.name if found else None
    reporter = ReportCallback(channel, evaluator.base_metrics, plan.tokens, data.fingerprints())
    keep = config.study.keep_checkpoints
    keeper = CheckpointCallback(folder, training_hash, keep, reporter.must_leave, changed)
    # What writes into a checkpoint comes before the keeper, which seals it.
    ranks = ranks_callbacks(model, adapter_of(config), folder)
    callbacks: list[TrainerCallback] = [reporter, *ranks, keeper]
    if config.training.early_stopping_patience is not None:
        callbacks.append(PatienceCallback(config.training.early_stopping_patience))
    share = group.own_share(config.training)
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
    best = logged_at(state, state.best_global_step)
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
