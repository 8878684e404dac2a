"""Rows of tokens as model inputs, their batches, and the order of training."""

import math
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from transformers.trainer_pt_utils import get_length_grouped_indices

from ugro.config import Config, Packing
from ugro.config.parallel import BatchShare
from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.loss import IGNORED


@dataclass(frozen=True)
class Row:
    """A row without padding; arrays are [tokens].

    Attributes:
        input_ids: token ids
        labels: token ids, ``IGNORED`` for tokens without loss and for the first token of an
            example, which nothing predicts
        position_ids: positions, restarting at each example; transformers derives from them a mask
            that separates packed examples
        targets: what the task compares each piece with, [pieces]; None in language modelling
    """

    input_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    position_ids: NDArray[np.int64]
    targets: NDArray[Any] | None = None


class Batch(TypedDict, total=False):
    """Model inputs; int64 [rows, longest row] unless stated otherwise."""

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor  # only for rows with several examples
    targets: Tensor  # of the task, [pieces of all rows]


class Rows(Dataset[Row]):
    """Rows of a part in a given order.

    Args:
        part: data with its layout
        order: row indices, [items]; all rows by default
        targets: what the task compares each piece of the layout with, [pieces]
    """

    def __init__(
        self, part: Part, order: Numbers | None = None, targets: NDArray[Any] | None = None
    ) -> None:
        self._part = part
        self._targets = targets
        self._order = np.arange(len(part.layout)) if order is None else order

    def select(self, order: Numbers) -> "Rows":
        """Return rows of the same part in another order.

        Args:
            order: row indices of the part, [items]
        """
        return Rows(self._part, order, self._targets)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Row:
        examples, layout = self._part.examples, self._part.layout
        pieces = layout.pieces(int(self._order[index]))
        ids, labels, positions = [], [], []
        for piece in range(pieces.start, pieces.stop):
            stretch = (
                int(layout.examples[piece]),
                int(layout.starts[piece]),
                int(layout.ends[piece]),
            )
            tokens = examples.input_ids(*stretch).astype(np.int64)
            label = np.where(examples.kinds(*stretch) > 0, tokens, IGNORED)
            label[:1] = IGNORED
            ids.append(tokens)
            labels.append(label)
            positions.append(np.arange(len(tokens)))
        return Row(
            np.concatenate(ids),
            np.concatenate(labels),
            np.concatenate(positions),
            None if self._targets is None else self._targets[pieces],
        )


def collate(rows: list[Row], pad: int) -> Batch:
    """Pad rows on the right to the longest row.

    No attention mask is needed: causal attention never sees padding behind a token, and behind
    packed examples each token of padding has position 0, like a further example.
    """
    longest = max(len(row.input_ids) for row in rows)

    def padded(name: str, value: int) -> Tensor:
        filled = torch.full((len(rows), longest), value)
        for index, row in enumerate(rows):
            values = torch.from_numpy(getattr(row, name))
            filled[index, : len(values)] = values
        return filled

    batch: Batch = {"input_ids": padded("input_ids", pad), "labels": padded("labels", IGNORED)}
    if any((np.diff(row.position_ids) != 1).any() for row in rows):
        batch["position_ids"] = padded("position_ids", 0)
    targets = [row.targets for row in rows if row.targets is not None]
    if targets:
        batch["targets"] = torch.from_numpy(np.concatenate(targets))
    return batch


@dataclass(frozen=True)
class Schedule:
    """Order of the training rows and resulting token counts.

    Attributes:
        order: row indices of consecutive steps, [steps * rows per step]
        tokens: cumulative training tokens without padding, [steps + 1]
        trained_token_share: share of target tokens in the training tokens
        padding_share: share of padding in the model's input tokens
    """

    order: Numbers
    tokens: Numbers
    trained_token_share: float
    padding_share: float

    @property
    def steps(self) -> int:
        """Number of optimizer steps."""
        return len(self.tokens) - 1

    def own_order(self, share: BatchShare, rank: int) -> Numbers:
        """Return the row indices of a process, [its items].

        Args:
            share: its share of a step
            rank: its number
        """
        passes, rows = share.gradient_accumulation_steps, share.batch_size
        shape = self.steps, passes, share.passes, rows, share.rows
        of_pass, of_row = divmod(rank, share.rows)
        own: Numbers = self.order.reshape(shape)[:, :, of_pass, :, of_row].flatten()
        return own


def schedule(config: Config, part: Part) -> Schedule:
    """Plan the training: consecutive shuffled passes over the rows.

    The training ends after ``training.max_steps``, at the last step within
    ``training.max_tokens`` (after at least a single step), or after ``training.epochs``.
    """
    training, layout = config.training, part.layout
    rows_per_step = training.batch_size * training.gradient_accumulation_steps
    lengths = layout.lengths
    if training.max_steps is not None:
        steps = training.max_steps
    elif training.max_tokens is not None:
        passes = math.ceil(training.max_tokens / int(lengths.sum())) + 1
        steps = max(1, math.ceil(passes * len(layout) / rows_per_step))
    else:
        steps = max(1, math.ceil((training.epochs or 1) * len(layout) / rows_per_step))
    order = _passes(config, lengths, steps * rows_per_step)
    tokens = np.concatenate(
        [[0], np.cumsum(lengths[order].reshape(steps, rows_per_step).sum(axis=1))]
    )
    if training.max_steps is None and training.max_tokens is not None:
        steps = max(1, int(np.searchsorted(tokens, training.max_tokens, side="right")) - 1)
        order, tokens = order[: steps * rows_per_step], tokens[: steps + 1]
    read = lengths[order].reshape(-1, training.batch_size).max(axis=1).sum() * training.batch_size
    carried = part.summary.trained / part.summary.tokens
    return Schedule(order, tokens, float(carried), float(1 - tokens[-1] / read))


def _passes(config: Config, lengths: Numbers, count: int) -> Numbers:
    """Draw shuffled passes over all rows, ``count`` rows in total."""
    passes: list[Numbers] = []
    for number in range(math.ceil(count / len(lengths))):
        generator = torch.Generator().manual_seed(config.seed + number)
        if config.data.packing is Packing.none:  # group similar lengths to reduce padding
            size = config.training.batch_size
            drawn = get_length_grouped_indices(lengths.tolist(), size, generator=generator)
        else:
            drawn = torch.randperm(len(lengths), generator=generator).tolist()
        passes.append(np.array(drawn, dtype=np.int64))
    return np.concatenate(passes)[:count]
