"""Sequence classification: name the label of a text."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ugro.trial.data.labels import classes
from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.data.rows import Rows, collate
from ugro.trial.inference import inference
from ugro.trial.loss import IGNORED
from ugro.trial.parallel import group
from ugro.trial.tasks.evaluation import Evaluation, batches


class Classification:
    """Cross entropy of the labels, from the logits of transformers' classifier.

    Args:
        labels: the labels, in the order of the model's outputs
        smoothing: label smoothing of the training loss
    """

    def __init__(self, labels: tuple[str, ...], smoothing: float) -> None:
        self._labels = labels
        self._smoothing = smoothing

    def targets(self, part: Part, rows: Numbers) -> Numbers:
        """Return the index of each row's label, [rows]."""
        return classes(part, self._labels)

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Sum the loss over all texts, differentiably."""
        logits = _logits(model, batch["input_ids"], batch["labels"])
        return functional.cross_entropy(
            logits,
            batch["targets"].to(logits.device),
            reduction="sum",
            label_smoothing=self._smoothing,
        )

    def count(self, batch: Mapping[str, Tensor]) -> int:
        """Return the number of texts."""
        return len(batch["targets"])

    def evaluate(self, model: nn.Module, part: Part, batch_size: int) -> Evaluation:
        """Measure loss, accuracy and F1 of held-out texts.

        Returns:
            With ``accuracy``, and ``f1``, the mean over the labels that occur (macro F1).
        """
        from sklearn.metrics import f1_score  # takes half a second to import

        rows, expected = Rows(part), classes(part, self._labels)
        evaluated = np.zeros(len(rows), dtype=bool)
        losses, chosen = np.zeros((2, len(rows)))
        pad = model.config.pad_token_id  # type: ignore[union-attr]
        with inference(model) as device:
            for some in batches(part, np.arange(len(rows)), batch_size):
                batch = collate([rows[row] for row in some], pad=pad)  # type: ignore[arg-type]
                logits = _logits(model, batch["input_ids"].to(device), batch["labels"].to(device))
                log_probabilities = logits.cpu().double().log_softmax(-1).numpy()
                evaluated[some] = True
                losses[some] = -log_probabilities[np.arange(len(some)), expected[some]]
                chosen[some] = log_probabilities.argmax(-1)
        losses, chosen = group.merged(evaluated, losses, chosen)
        correct = (chosen == expected).astype(np.int64)
        others = {
            "accuracy": float(correct.mean()),
            "f1": float(f1_score(expected, chosen, average="macro", zero_division=0.0)),
        }
        return Evaluation(losses, np.ones_like(correct), correct, others)


def _logits(model: nn.Module, input_ids: Tensor, labels: Tensor) -> Tensor:
    """Return float32 logits, [batch, labels]; a text's tokens but the first have a label."""
    mask = labels != IGNORED
    mask[:, 0] = True
    logits: Tensor = model(input_ids=input_ids, attention_mask=mask.long()).logits
    return logits.float()


def probabilities(model: nn.Module, input_ids: Tensor) -> Tensor:
    """Return the probability of each label for a single text, [labels].

    Args:
        model: a classifier
        input_ids: tokens of the text, [tokens]
    """
    with inference(model) as device:
        logits = model(input_ids=input_ids[None].to(device)).logits[0]
    return torch.softmax(logits.float(), dim=-1).cpu()
