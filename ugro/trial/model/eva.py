"""EVA: initialise LoRA's A by the main directions of each module's inputs on the training rows."""

from collections.abc import Mapping
from functools import partial
from math import ceil

import peft
from peft import initialize_lora_eva_weights
from torch import Tensor
from torch.utils.data import DataLoader

from ugro.config import LoraConfig
from ugro.errors import UserError, fault
from ugro.trial.data.rows import Row, Rows, collate
from ugro.trial.loss import IGNORED

TIMES_RANK = 2  # target tokens per batch: the directions of fewer than the rank are undefined


def initialize_by_data(model: peft.PeftModel, config: LoraConfig, rows: Rows) -> None:
    """Compute the initial weights, and with ``lora.eva_rho`` above 1 the ranks, from target tokens.

    The same rows give the same weights, so that a resumed training has the same ranks.

    Args:
        model: model with a new LoRA whose initialisation is ``eva``
        config: configuration of the adapter
        rows: the training rows in their order

    Raises:
        UserError: the rows have too few target tokens for the rank.
    """
    largest = max([config.r, *config.rank_pattern.values()])
    needed = TIMES_RANK * ceil(largest * config.eva_rho)
    size = _rows_with(needed, rows)
    if size is None:
        allowed = f"another, as {needed} target tokens in all rows are too few for its rank"
        raise UserError(fault("lora.init_lora_weights", config.init_lora_weights, allowed))
    pad = model.config.pad_token_id
    batches: DataLoader[Row] = DataLoader(
        rows, size, collate_fn=partial(collate, pad=pad), drop_last=True
    )
    # All processes of a trial read the same rows.
    options = {"show_progress_bar": False, "gather_distributed_inputs": False}
    initialize_lora_eva_weights(model, batches, forward_fn=_forward, **options)


def _rows_with(needed: int, rows: Rows) -> int | None:
    """Return how many rows at the beginning have so many target tokens; None: not all together."""
    found = 0
    for index in range(len(rows)):
        found += int((rows[index].labels != IGNORED).sum())
        if found >= needed:
            return index + 1
    return None


def _forward(model: peft.PeftModel, batch: Mapping[str, Tensor]) -> None:
    """Run the model without its head, whose logits nobody reads."""
    inputs = {name: batch[name] for name in ("input_ids", "position_ids") if name in batch}
    model.get_base_model().get_decoder()(**inputs, use_cache=False)
