"""Language modelling: predict each target token from the tokens before it."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.data.rows import Rows, collate
from ugro.trial.data.tokenization import CONTENT
from ugro.trial.inference import inference
from ugro.trial.loss import IGNORED, summed_loss, token_scores
from ugro.trial.parallel import group
from ugro.trial.tasks.evaluation import Evaluation, batches


class LanguageModeling:
    """Cross entropy of the target tokens.

    Args:
        smoothing: label smoothing of the training loss
    """

    def __init__(self, smoothing: float) -> None:
        self._smoothing = smoothing

    def targets(self, part: Part, rows: Numbers) -> None:
        """Return None: the tokens themselves are the targets."""

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Sum the loss over all target tokens, differentiably."""
        return summed_loss(model, **batch, smoothing=self._smoothing)

    def count(self, batch: Mapping[str, Tensor]) -> int:
        """Return the number of target tokens."""
        return int((batch["labels"] != IGNORED).sum())

    def evaluate(self, model: nn.Module, part: Part, batch_size: int) -> Evaluation:
        """Measure the loss of held-out examples, as :func:`evaluate` does."""
        return evaluate(model, part, batch_size)


def evaluate(model: nn.Module, part: Part, batch_size: int) -> Evaluation:
    """Measure the loss of held-out examples, each without the context of others.

    Every target token has the same weight, independent of its example and batch. Rows of similar
    length share a batch; sums are accumulated per row in double precision, so that the result
    does not depend on ``batch_size`` beyond rounding.

    Args:
        model: model on its device; its training mode is restored
        part: data to evaluate on
        batch_size: rows per forward pass

    Returns:
        With the perplexity, and ``bits_per_byte``: negative log-likelihood of the targets' content
        in bits, per UTF-8 byte; excludes chat markup and end tokens. Comparable across tokenizers.
    """
    rows = Rows(part)
    evaluated = np.zeros(len(rows), dtype=bool)
    losses, tokens, correct, content, content_bytes = np.zeros((5, len(rows)))
    with inference(model) as device:
        for chosen in batches(part, np.arange(len(rows)), batch_size):
            batch = collate([rows[index] for index in chosen], pad=0)
            input_ids, labels = (batch[name].to(device) for name in ("input_ids", "labels"))
            scores = token_scores(model, input_ids, labels)
            found, matches = scores[0].cpu().double().numpy(), scores[1].cpu().numpy()
            for index in chosen:
                kinds, sizes = _targets(part, index)
                of_row, found = found[: len(kinds)], found[len(kinds) :]
                hits, matches = matches[: len(kinds)], matches[len(kinds) :]
                evaluated[index] = True
                losses[index], tokens[index] = of_row.sum(), len(kinds)
                correct[index] = np.count_nonzero(hits)
                content[index] = of_row[kinds == CONTENT].sum()
                content_bytes[index] = sizes.sum()
    values = group.merged(evaluated, losses, tokens, correct, content, content_bytes)
    losses, tokens, correct, content, content_bytes = values
    size = content_bytes.sum()
    others = {
        "perplexity": perplexity(float(losses.sum() / tokens.sum())),
        "bits_per_byte": float(content.sum() / math.log(2) / size) if size else math.nan,
    }
    return Evaluation(losses, tokens.astype(np.int64), correct.astype(np.int64), others)


def perplexity(loss: float) -> float:
    """Return exp(loss); infinity where that overflows a float."""
    return math.inf if loss > 700 else math.exp(loss)


def _targets(part: Part, row: int) -> tuple[NDArray[np.int8], NDArray[np.uint16]]:
    """Return kinds and content bytes of a row's target tokens, in order."""
    piece = part.layout.pieces(row).start  # an evaluation row holds a single piece
    example = int(part.layout.examples[piece])
    stretch = int(part.layout.starts[piece]) + 1, int(part.layout.ends[piece])
    kinds = part.examples.kinds(example, *stretch)
    carries = kinds > 0
    return kinds[carries], part.examples.content_bytes(example, *stretch)[carries]
