"""Rows of tokens as the model reads them, and the batches that training goes through."""

import math
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from transformers.trainer_pt_utils import get_length_grouped_indices

from ugro.config import Config, Packing
from ugro.trial.data.packing import Numbers
from ugro.trial.data.parts import Part
from ugro.trial.loss import IGNORED


@dataclass(frozen=True)
class Row:
    """One row, without padding; [tokens] each.

    Attributes:
        input_ids: token ids
        labels: the same, ``IGNORED`` where a token carries no loss; nothing predicts the first
            token of an example
        position_ids: they restart at each example, from which transformers makes a mask that keeps
            attention inside it
    """

    input_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    position_ids: NDArray[np.int64]


class Batch(TypedDict, total=False):
    """What the model is called with; int64 [rows, tokens of the longest] each."""

    input_ids: Tensor
    labels: Tensor
    position_ids: Tensor  # only where a row holds several examples


class Rows(Dataset[Row]):
    """The rows of a part, in the order that is asked for.

    Args:
        part: whose rows
        order: which of them, [items]; all of them by default
    """

    def __init__(self, part: Part, order: Numbers | None = None) -> None:
        self._part = part
        self._order = np.arange(len(part.layout)) if order is None else order

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
        return Row(np.concatenate(ids), np.concatenate(labels), np.concatenate(positions))


def collate(rows: list[Row], pad: int) -> Batch:
    """Pad rows on the right to the longest of them.

    There is no attention mask: what follows a token is never seen by it, and padding behind packed
    examples has positions of its own, so that it counts as one more example.
    """
    longest = max(len(row.input_ids) for row in rows)

    def padded(name: str, value: int | None) -> Tensor:
        filled = torch.arange(longest).repeat(len(rows), 1)
        for index, row in enumerate(rows):
            values = torch.from_numpy(getattr(row, name))
            filled[index, : len(values)] = values
            if value is None:
                filled[index, len(values) :] = torch.arange(longest - len(values))
            else:
                filled[index, len(values) :] = value
        return filled

    batch: Batch = {"input_ids": padded("input_ids", pad), "labels": padded("labels", IGNORED)}
    if any((np.diff(row.position_ids) != 1).any() for row in rows):
        batch["position_ids"] = padded("position_ids", None)
    return batch


@dataclass(frozen=True)
class Schedule:
    """Which rows training goes through, step by step, and what that comes to.

    Attributes:
        order: row indices of all steps, one after the other, [steps * rows a step]
        tokens: trained on after so many steps, padding left out, [steps + 1]
        trained_token_share: of these tokens, those that carry loss
        padding_share: of all tokens that the model reads, those that are padding
    """

    order: Numbers
    tokens: Numbers
    trained_token_share: float
    padding_share: float

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return len(self.tokens) - 1


def schedule(config: Config, part: Part) -> Schedule:
    """Lay out the whole training: shuffled passes over the rows, one after the other.

    It ends after ``training.max_steps``, or with the last step within ``training.max_tokens`` (the
    first is taken anyway), or after ``training.epochs``.
    """
    training, layout = config.training, part.layout
    a_step = training.batch_size * training.gradient_accumulation_steps
    lengths = layout.lengths
    if training.max_steps is not None:
        steps = training.max_steps
    elif training.max_tokens is not None:
        passes = math.ceil(training.max_tokens / int(lengths.sum())) + 1
        steps = max(1, math.ceil(passes * len(layout) / a_step))
    else:
        steps = max(1, math.ceil((training.epochs or 1) * len(layout) / a_step))
    order = _passes(config, lengths, steps * a_step)
    tokens = np.concatenate([[0], np.cumsum(lengths[order].reshape(steps, a_step).sum(axis=1))])
    if training.max_steps is None and training.max_tokens is not None:
        steps = max(1, int(np.searchsorted(tokens, training.max_tokens, side="right")) - 1)
        order, tokens = order[: steps * a_step], tokens[: steps + 1]
    read = lengths[order].reshape(-1, training.batch_size).max(axis=1).sum() * training.batch_size
    carried = part.summary.trained / part.summary.tokens
    return Schedule(order, tokens, float(carried), float(1 - tokens[-1] / read))


def _passes(config: Config, lengths: Numbers, count: int) -> Numbers:
    """Draw shuffled passes over all rows until there are ``count``."""
    passes: list[Numbers] = []
    for number in range(math.ceil(count / len(lengths))):
        generator = torch.Generator().manual_seed(config.seed + number)
        if config.data.packing is Packing.none:  # little is padded
            size = config.training.batch_size
            drawn = get_length_grouped_indices(lengths.tolist(), size, generator=generator)
        else:
            drawn = torch.randperm(len(lengths), generator=generator).tolist()
        passes.append(np.array(drawn, dtype=np.int64))
    return np.concatenate(passes)[:count]
