"""Callbacks of transformers' Trainer that send reports and manage checkpoints."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from transformers import (
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from ugro.config import Keep
from ugro.events.channel import Answer, Channel, TrialInterruptedError
from ugro.events.trial_report import Report
from ugro.retries import is_disk_trouble, retrying
from ugro.trial import checkpoints
from ugro.trial.data.packing import Numbers
from ugro.trial.hardware import peak_memory_mb
from ugro.trial.training_arguments import OBJECTIVE


class ReportCallback(TrainerCallback):
    """Send a :class:`Report` for each evaluation, including one after the last step.

    Args:
        channel: receives the reports
        base: metrics of the base model, reported at step 0
        tokens: cumulative training tokens, [steps + 1]
        data: fingerprints of training and evaluation data, sent with the report at step 0
    """

    def __init__(
        self,
        channel: Channel,
        base: Mapping[str, float],
        tokens: Numbers,
        data: Mapping[str, str],
    ) -> None:
        self._channel = channel
        self._base = base
        self._tokens = tokens
        self._data = data
        self._began = time.perf_counter()
        self._logged: dict[str, float] = {}
        self._answer = Answer.CONTINUE
        self.seconds_before = 0.0  # training time before a resumption
        self.peak_memory_mb = 0.0

    def seconds(self) -> float:
        """Return the training time in seconds."""
        return self.seconds_before + time.perf_counter() - self._began

    def must_leave(self) -> bool:
        """Return whether the training is to be saved and left, as it is paused or interrupted."""
        return self._answer is Answer.PAUSE or self._channel.interrupted()

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Start the clock and report the base model at step 0."""
        self._began = time.perf_counter()
        if not state.global_step:
            self._send(state, self._base)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Request evaluation and checkpoint after the last step.

        The Trainer saves there, but evaluates only where ``eval_steps`` divides it. A stop signal
        that arrives before the first step takes effect after it, where no evaluation is due.
        """
        if state.global_step >= state.max_steps or self._answer is Answer.STOP:
            control.should_evaluate = control.should_log = control.should_save = True
            control.should_training_stop = True
        elif self.must_leave():
            control.should_save = control.should_log = True  # else the training loss is lost

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        **_: object,
    ) -> None:
        """Store the training loss for the next evaluation."""
        if "loss" in logs:
            self._logged = logs

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: object,
    ) -> None:
        """Send the report and stop if the channel says so."""
        self._send(state, {name: metrics[name] for name in metrics if name != OBJECTIVE})
        control.should_training_stop |= self._answer is Answer.STOP

    def _send(self, state: TrainerState, evaluated: Mapping[str, float]) -> None:
        metrics = dict(evaluated)
        if self._logged:
            metrics["train_loss"] = self._logged["loss"]
            metrics["learning_rate"] = self._logged["learning_rate"]
        self.peak_memory_mb = max(self.peak_memory_mb, peak_memory_mb())
        metrics["peak_memory_mb"] = self.peak_memory_mb
        self._answer = self._channel.report(
            Report(
                step=state.global_step,
                total_steps=state.max_steps,
                tokens_seen=int(self._tokens[state.global_step]),
                total_tokens=int(self._tokens[-1]),
                seconds=self.seconds(),
                metrics=metrics,
                time=time.time(),
                data=self._data if not state.global_step else {},
            )
        )


class CheckpointCallback(TrainerCallback):
    """Seal each checkpoint and delete those that are no longer needed.

    Args:
        folder: folder of the checkpoints
        training_hash: hash of the training, from ``checkpoints.hash_training``
        keep: which checkpoints to keep
        must_leave: returns whether to end training after this checkpoint
        changed: called after checkpoints are written or deleted
    """

    def __init__(
        self,
        folder: Path,
        training_hash: str,
        keep: Keep,
        must_leave: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._training_hash = training_hash
        self._keep = keep
        self._must_leave = must_leave
        self._changed = changed

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Seal the new checkpoint before the previous checkpoint is deleted.

        Raises:
            TrialInterruptedError: the checkpoint was written in order to stop here.
        """
        checkpoint = self._folder / f"{checkpoints.PREFIX}{state.global_step}"
        patience = retrying(is_disk_trouble, "The checkpoint cannot be sealed")
        patience(checkpoints.seal, checkpoint, self._training_hash)
        if self._keep is not Keep.all:
            checkpoints.keep_only(self._folder, {state.global_step, state.best_global_step})
        self._changed()
        if self._must_leave() and not control.should_training_stop:
            raise TrialInterruptedError(f"saved after step {state.global_step}")


class PatienceCallback(EarlyStoppingCallback):
    """End training after several evaluations without a better objective.

    Evaluations at which the objective was not due do not count.
    """

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **others: object,
    ) -> None:
        """Count the evaluation, and stop the training if it was the last allowed one."""
        if math.isnan(metrics[OBJECTIVE]) and math.isfinite(metrics["eval_loss"]):
            return
        super().on_evaluate(args, state, control, metrics, **others)
