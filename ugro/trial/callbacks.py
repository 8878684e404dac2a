"""Send reports and keep checkpoints while transformers' Trainer trains."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ugro.config import Keep
from ugro.events.channel import Channel, TrialInterruptedError
from ugro.events.trial_report import Report
from ugro.retries import is_disk_trouble, retrying
from ugro.trial import checkpoints
from ugro.trial.data.packing import Numbers
from ugro.trial.evaluation import Evaluation, perplexity
from ugro.trial.hardware import peak_memory_mb


class Reporter(TrainerCallback):
    """Turns each evaluation into a :class:`Report`, the one after the last step included.

    Args:
        channel: hears them
        base: how good the untrained model is, for the report at step 0
        tokens: trained on after so many steps, [steps + 1]
        data: fingerprints of what is trained on and evaluated on, for the report at step 0
    """

    def __init__(
        self, channel: Channel, base: Evaluation, tokens: Numbers, data: Mapping[str, str]
    ) -> None:
        self._channel = channel
        self._base = base
        self._tokens = tokens
        self._data = data
        self._began = time.perf_counter()
        self._logged: dict[str, float] = {}
        self._go_on = True
        self.seconds_before = 0.0  # of training that is continued
        self.peak_memory_mb = 0.0

    def seconds(self) -> float:
        """Of training."""
        return self.seconds_before + time.perf_counter() - self._began

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """Start the clock; what is reported first is the base model."""
        self._began = time.perf_counter()
        if not state.global_step:
            self._send(state, self._base.loss, self._base.bits_per_byte)

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """The Trainer saves after the last step, but evaluates there only by chance.

        What was told to stop before its first step ends after it, where nothing else is due.
        """
        if state.global_step >= state.max_steps or not self._go_on:
            control.should_evaluate = control.should_log = control.should_save = True
            control.should_training_stop = True
        elif self._channel.interrupted():
            control.should_save = control.should_log = True  # else its training loss is lost

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float],
        **_: object,
    ) -> None:
        """Keep the training loss for the evaluation that follows it."""
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
        """Hand the report over and do as told."""
        self._send(state, metrics["eval_loss"], metrics["eval_bits_per_byte"])
        control.should_training_stop |= not self._go_on

    def _send(self, state: TrainerState, loss: float, bits_per_byte: float) -> None:
        metrics = {
            "eval_loss": loss,
            "eval_perplexity": perplexity(loss),
            "eval_bits_per_byte": bits_per_byte,
        }
        if self._logged:
            metrics["train_loss"] = self._logged["loss"]
            metrics["learning_rate"] = self._logged["learning_rate"]
        self.peak_memory_mb = max(self.peak_memory_mb, peak_memory_mb())
        metrics["peak_memory_mb"] = self.peak_memory_mb
        self._go_on = self._channel.report(
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


class Keeper(TrainerCallback):
    """Seals each checkpoint, then deletes those that are not to be kept.

    Args:
        folder: of the checkpoints
        training: as ``checkpoints.training_of`` names it
        keep: which stay
        interrupted: whether training is to end after this checkpoint
        changed: is called when checkpoints have come or gone
    """

    def __init__(
        self,
        folder: Path,
        training: str,
        keep: Keep,
        interrupted: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        self._folder = folder
        self._training = training
        self._keep = keep
        self._interrupted = interrupted
        self._changed = changed

    def on_save(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: object,
    ) -> None:
        """The one before is kept until this one is whole.

        Raises:
            TrialInterruptedError: the checkpoint was asked for, to end here.
        """
        checkpoint = self._folder / f"{checkpoints.PREFIX}{state.global_step}"
        patience = retrying(is_disk_trouble, "The checkpoint cannot be sealed")
        patience(checkpoints.seal, checkpoint, self._training)
        if self._keep is not Keep.all:
            checkpoints.keep_only(self._folder, {state.global_step, state.best_global_step})
        self._changed()
        if self._interrupted() and not control.should_training_stop:
            raise TrialInterruptedError(f"interrupted after step {state.global_step}")
