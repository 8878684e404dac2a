"""Direct preference optimisation: prefer the chosen to the rejected text of each pair.

https://arxiv.org/abs/2305.18290. The loss of a pair is -log sigmoid(r(chosen) - r(rejected)), where
the reward r is ``task.beta`` times the log ratio of the model's and the base model's probability of
a completion.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.data.rows import Batch, Rows, collate
from ugro.trial.inference import inference
from ugro.trial.loss import IGNORED, token_losses, token_losses_with_gradients
from ugro.trial.model.base_models import BaseModel
from ugro.trial.parallel import group
from ugro.trial.tasks.evaluation import Evaluation, batches

UNKNOWN = np.inf  # a log-probability that is not computed yet


class Preference:
    """DPO's loss, with the base model as the reference.

    The reference is computed before an adapter is added and cached with the base model: PiSSA and
    trained biases change the base weights under the adapter, and later trials need no further pass.

    Args:
        beta: strength of the pull towards the base model
        base: the base model
        batch_size: rows per forward pass of the base model
    """

    def __init__(self, beta: float, base: BaseModel, batch_size: int) -> None:
        self._beta = beta
        self._base = base
        self._batch_size = batch_size

    def targets(self, part: Part, rows: Numbers) -> NDArray[np.float32]:
        """Return the base model's log-probability of each text, [pieces]; infinity in other rows.

        Args:
            part: a part of the data
            rows: rows that are needed; where they are not cached, the base model has no adapter
        """
        return self._reference(part, rows).astype(np.float32)

    def _reference(self, part: Part, rows: Numbers) -> NDArray[np.float64]:
        layout = part.layout
        known = self._base.references.setdefault(
            part.tokens, np.full(len(layout.examples), UNKNOWN)
        )
        missing = np.unique(rows)[known[layout.rows[np.unique(rows)]] == UNKNOWN]
        _fill(known, self._base.model, part, missing, self._batch_size)
        return known

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Sum the loss over all pairs, differentiably."""
        losses = token_losses_with_gradients(
            model, batch["input_ids"], batch["labels"], batch["position_ids"]
        )
        own = -_sums(losses, batch["labels"], batch["position_ids"])
        ratios = own - batch["targets"].to(own)
        rewards = self._beta * ratios.view(-1, 2)
        return -functional.logsigmoid(rewards[:, 0] - rewards[:, 1]).sum()

    def count(self, batch: Mapping[str, Tensor]) -> int:
        """Return the number of pairs."""
        return len(batch["targets"]) // 2

    def evaluate(self, model: nn.Module, part: Part, batch_size: int) -> Evaluation:
        """Measure loss, reward accuracy and reward margin of held-out pairs, a pair a row.

        Returns:
            With ``reward_accuracy``, the share of pairs whose chosen text has the higher reward,
            and ``reward_margin``, the mean difference of the rewards, nats. A tie counts half:
            the base model, which has no other pairs, is at chance.
        """
        rows = np.arange(len(part.layout))
        reference = self._reference(part, rows)
        own = reference
        if model is not self._base.model:
            own = np.full(len(reference), UNKNOWN)
            _fill(own, model, part, rows, batch_size)
        rewards = self._beta * (own - reference).reshape(-1, 2)
        margins = rewards[:, 0] - rewards[:, 1]
        correct = (1 + np.sign(margins)) / 2
        others = {
            "reward_accuracy": float(correct.mean()),
            "reward_margin": float(margins.mean()),
        }
        pairs = np.ones(len(margins), dtype=np.int64)
        return Evaluation(np.logaddexp(0.0, -margins), pairs, correct, others)


def _fill(
    known: NDArray[np.float64], model: nn.Module, part: Part, chosen: Numbers, batch_size: int
) -> None:
    """Write the log-probability of each text of the chosen rows, nats, into ``known``."""
    rows = Rows(part)
    evaluated = np.zeros(len(known), dtype=bool)
    found = np.zeros(len(known))
    with inference(model) as device:
        for some in batches(part, chosen, batch_size):
            batch = collate([rows[row] for row in some], pad=0)
            losses = token_losses(model, **_on(device, batch)).cpu().double()
            pieces = np.concatenate([np.arange(len(known))[part.layout.pieces(r)] for r in some])
            found[pieces] = -_sums(losses, batch["labels"], batch["position_ids"]).numpy()
            evaluated[pieces] = True
    is_known, values = group.merged(evaluated, evaluated, found)
    known[is_known > 0] = values[is_known > 0]


def _on(device: torch.device, batch: Batch) -> dict[str, Tensor]:
    return {name: batch[name].to(device) for name in ("input_ids", "labels", "position_ids")}


def _sums(values: Tensor, labels: Tensor, position_ids: Tensor) -> Tensor:
    """Sum the values of the target tokens over each packed text, [texts].

    Args:
        values: a value for each target token, ordered by row, then position
        labels: [batch, length]; each text has a target token, padding has none
        position_ids: [batch, length], restarting at each text and at the padding
    """
    texts = (position_ids == 0).flatten().cumsum(0)[(labels != IGNORED).flatten()]
    _, whose = torch.unique_consecutive(texts, return_inverse=True)
    sums = values.new_zeros(int(whose[-1]) + 1)
    return sums.index_add(0, whose.to(values.device), values)
