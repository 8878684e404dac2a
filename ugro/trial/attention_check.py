"""Check that a model keeps attention inside each of the examples that share a row."""

import torch
from torch import Tensor, nn

from ugro.config import DataConfig
from ugro.errors import UserError, fault
from ugro.trial.data.packing import Layout

LENGTHS = (4, 5)  # of two examples, in tokens
MOST = 0.1  # of the logits' standard deviation: half precision rounds by less


def check_borders(model: nn.Module, layout: Layout, config: DataConfig) -> None:
    """Refuse to pack where the model would let an example see the one before it.

    transformers makes the mask from positions that restart, in SDPA and eager attention. Models
    that do not attend (Mamba), or bring code of their own, may not: so the logits of two examples
    in one row are compared with those of the second alone.

    Raises:
        UserError: rows hold several examples, and the model mixes them up.
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
            alone = _logits(model, second, positions[LENGTHS[0] :])
    except TypeError as error:  # it takes no positions
        raise UserError(_refused(config)) from error
    finally:
        model.train(was_training)
    if (packed - alone).abs().max() > MOST * alone.std():
        raise UserError(_refused(config))


def _logits(model: nn.Module, input_ids: Tensor, position_ids: Tensor) -> Tensor:
    outputs = model(input_ids=input_ids[None], position_ids=position_ids[None], use_cache=False)
    logits: Tensor = outputs.logits[0].float()
    return logits


def _refused(config: DataConfig) -> str:
    allowed = "none: this model lets examples that share a row see one another"
    return fault("data.packing", config.packing.name, allowed)
