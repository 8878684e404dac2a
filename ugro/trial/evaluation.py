"""Evaluate a model on held-out examples, each without the context of others."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.data.rows import Rows, collate
from ugro.trial.data.tokenization import CONTENT
from ugro.trial.inference import inference
from ugro.trial.loss import token_scores


@dataclass(frozen=True)
class Evaluation:
    """Loss of a model on held-out text.

    Attributes:
        loss: mean negative log-likelihood of all target tokens, nats
        bits_per_byte: negative log-likelihood of the targets' content in bits, per UTF-8 byte;
            excludes chat markup and end tokens. Comparable across tokenizers
        losses: summed negative log-likelihood of each row, nats, float64 [rows]
        tokens: target tokens of each row, int64 [rows]
        correct: target tokens of each row that are the model's most likely token, int64 [rows]
    """

    loss: float
    bits_per_byte: float
    losses: NDArray[np.float64]
    tokens: Numbers
    correct: Numbers

    def metrics(self) -> dict[str, float]:
        """Return the loss in all units, by the name of the metric."""
        return {
            "eval_loss": self.loss,
            "eval_perplexity": perplexity(self.loss),
            "eval_bits_per_byte": self.bits_per_byte,
        }


def evaluate(model: nn.Module, part: Part, batch_size: int) -> Evaluation:
    """Measure the loss of held-out examples.

    Every target token has the same weight, independent of its example and batch. Rows of similar
    length share a batch; sums are accumulated per row in double precision, so that the result
    does not depend on ``batch_size`` beyond rounding.

    Args:
        model: model on its device; its training mode is restored
        part: data to evaluate on
        batch_size: rows per forward pass
    """
    rows = Rows(part)
    lengths = part.layout.lengths
    losses, tokens = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    correct = np.zeros(len(rows), dtype=np.int64)
    content, content_bytes = 0.0, 0
    with inference(model) as device:
        for chosen in _batches(np.argsort(-lengths, kind="stable"), batch_size):
            batch = collate([rows[index] for index in chosen], pad=0)
            input_ids, labels = (batch[name].to(device) for name in ("input_ids", "labels"))
            scores = token_scores(model, input_ids, labels)
            found, matches = scores[0].cpu().double().numpy(), scores[1].cpu().numpy()
            for index in chosen:
                kinds, sizes = _targets(part, index)
                of_row, found = found[: len(kinds)], found[len(kinds) :]
                hits, matches = matches[: len(kinds)], matches[len(kinds) :]
                losses[index], tokens[index] = of_row.sum(), len(kinds)
                correct[index] = np.count_nonzero(hits)
                content += of_row[kinds == CONTENT].sum()
                content_bytes += int(sizes.sum())
    return Evaluation(
        loss=float(losses.sum() / tokens.sum()),
        bits_per_byte=float(content / math.log(2) / content_bytes) if content_bytes else math.nan,
        losses=losses,
        tokens=tokens,
        correct=correct,
    )


def perplexity(loss: float) -> float:
    """Return exp(loss); infinity where that overflows a float."""
    return math.inf if loss > 700 else math.exp(loss)


def _batches(order: Numbers, size: int) -> list[list[int]]:
    return [order[start : start + size].tolist() for start in range(0, len(order), size)]


def _targets(part: Part, row: int) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """Return kinds and content bytes of a row's target tokens, in order."""
    piece = part.layout.pieces(row).start  # an evaluation row holds a single piece
    example = int(part.layout.examples[piece])
    stretch = int(part.layout.starts[piece]) + 1, int(part.layout.ends[piece])
    kinds = part.examples.kinds(example, *stretch)
    carries = kinds > 0
    return kinds[carries], part.examples.content_bytes(example, *stretch)[carries]
