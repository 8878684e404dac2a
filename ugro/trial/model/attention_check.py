"""Check that attention does not cross the borders of packed examples."""

import torch
from torch import Tensor, nn

from ugro.config import DataConfig, TaskName
from ugro.errors import UserError, fault
from ugro.trial.data.packing import Layout

LENGTHS = (4, 5)  # tokens of the two examples
TOLERANCE = 0.1  # times the logits' standard deviation; half-precision rounding stays below


def check_example_isolation(
    model: nn.Module, layout: Layout, config: DataConfig, task: TaskName
) -> None:
    """Refuse packing for models whose attention crosses example borders.

    transformers derives the mask from restarting positions, in SDPA and eager attention. Models
    without attention (Mamba) or with custom code may ignore it. The check compares the logits of
    the second of two packed examples with its logits alone.

    Raises:
        UserError: rows hold several examples, and the model mixes them.
    """
    if len(layout.examples) == len(layout):
        return
    device = next(model.parameters()).device
    first, second = (torch.arange(1, length + 1, device=device) for length in LENGTHS)
    positions = torch.cat([torch.arange(length, device=device) for length in LENGTHS])
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            packed = _logits(model, torch.cat([first, second]), positions)[LENGTHS[0] :]
            unpacked = _logits(model, second, positions[LENGTHS[0] :])
    except TypeError as error:  # the model takes no positions
        raise UserError(_error_message(config, task)) from error
    finally:
        model.train(was_training)
    if (packed - unpacked).abs().max() > TOLERANCE * unpacked.std():
        raise UserError(_error_message(config, task))


def _logits(model: nn.Module, input_ids: Tensor, position_ids: Tensor) -> Tensor:
    outputs = model(input_ids=input_ids[None], position_ids=position_ids[None], use_cache=False)
    logits: Tensor = outputs.logits[0].float()
    return logits


def _error_message(config: DataConfig, task: TaskName) -> str:
    if task is TaskName.dpo:  # the texts of a pair share a row, whatever the packing
        allowed = "a model whose attention does not cross the borders of packed texts"
        return fault("task.name", task.name, allowed)
    allowed = "none: this model's attention crosses the borders of packed examples"
    return fault("data.packing", config.packing.name, allowed)
