"""The result of an evaluation, whatever the task."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.parallel import group


@dataclass(frozen=True)
class Evaluation:
    """Loss of a model on held-out examples.

    A target is what a loss is computed for: a token, a pair of a preference, or a label.

    Attributes:
        losses: summed loss of each row, nats, float64 [rows]
        targets: targets of each row, int64 [rows]
        correct: targets of each row that the model gets right, a tie as half, [rows]
        others: further metrics of the task, by name without the prefix ``eval_``
    """

    losses: NDArray[np.float64]
    targets: Numbers
    correct: NDArray[Any]
    others: Mapping[str, float] = field(default_factory=dict)

    @property
    def loss(self) -> float:
        """Mean loss of all targets, nats."""
        return float(self.losses.sum() / self.targets.sum())

    def metrics(self) -> dict[str, float]:
        """Return the loss and the further metrics, by the name of the metric."""
        return {"eval_loss": self.loss, **{f"eval_{n}": value for n, value in self.others.items()}}


def batches(part: Part, rows: Numbers, size: int) -> list[list[int]]:
    """Return this process's share of the rows, in batches of similar length, the longest first."""
    order = rows[np.argsort(-part.layout.lengths[rows], kind="stable")]
    at_once = size * group.size()  # as many rows in each process: a model may run them one by one
    starts = range(0, len(order), at_once)
    return [group.share(order[start : start + at_once].tolist()) for start in starts]
