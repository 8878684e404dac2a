"""Functions that run in the processes of a trial, instead of the trial itself."""

import errno
import time
from pathlib import Path
from unittest.mock import patch

import torch
from transformers import TrainerState

from ugro.config import Config
from ugro.events.channel import Channel, TrialInterruptedError
from ugro.events.trial_report import TrialResult
from ugro.trial.parallel import group
from ugro.trial.setup import set_up
from ugro.trial.tasks.language_modeling import evaluate
from ugro.trial.trial import run_trial

LEAVING_SECONDS = 7.0  # more than the others are given when a process has failed


def weights_held(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Count the weights of the layers that a process holds before and after a forward pass."""
    base, _ = set_up(config)
    layers = base.model.model.layers

    def held() -> float:
        parts = (getattr(p, "_local_tensor", p) for p in layers.parameters())
        return float(sum(part.numel() for part in parts))

    before = held()
    with torch.no_grad():
        base.model(input_ids=torch.ones((2, 8), dtype=torch.long))
    every = float(sum(parameter.numel() for parameter in layers.parameters()))
    return TrialResult((), {"before": before, "after": held(), "all": every})


def evaluated_row_by_row(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Evaluate as a model does whose logits are not computed in chunks."""
    base, data = set_up(config)
    with patch("ugro.trial.loss.supports_chunks", return_value=False):
        found = evaluate(base.model, data.evaluation, config.training.eval_batch_size)
    return TrialResult((found.loss,), {"rows": float(len(found.losses))})


def on_a_disk_that_is_full_once(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Run a trial whose first process cannot write the end of its first checkpoint at once."""
    save, failed = TrainerState.save_to_json, []

    def save_later(state: TrainerState, path: str) -> None:
        if group.rank() == 0 and not failed:
            failed.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, path)

    with patch.object(TrainerState, "save_to_json", save_later):
        return run_trial(config, folder, channel)


def slow_to_leave(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Be interrupted; the first process then takes long to copy its files."""
    try:
        raise TrialInterruptedError("saved")
    finally:
        if group.rank() == 0:
            time.sleep(LEAVING_SECONDS)
            (folder / "copied").touch()
