"""The labels of classified texts."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from pyarrow import compute

from ugro.config import TaskConfig, TaskName
from ugro.errors import UserError, fault
from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers


def labels_of(task: TaskConfig, counts: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """Return the labels in the order of the model's outputs; none unless texts are classified.

    Args:
        task: the task, with its labels if they are configured
        counts: number of texts with each label, by part of the data

    Raises:
        UserError: a label is not configured, is never trained on, or is the only one.
    """
    if task.name is not TaskName.classification:
        return ()
    found = {label for part in counts.values() for label in part}
    if task.labels:
        if unknown := sorted(found - set(task.labels)):
            raise UserError(fault("data: label", unknown[0], f"task.labels={task.labels}"))
        return tuple(task.labels)
    if len(found) < 2:
        raise UserError(fault("data: label", ", ".join(found), "two labels or more"))
    if unseen := sorted(found - set(counts["train"])):
        allowed = "a label of the training part, too, or one of task.labels"
        raise UserError(fault("data: label of a held-out text", unseen[0], allowed))
    numbered = all(label.isascii() and label.isdecimal() for label in found)
    return tuple(sorted(found, key=int if numbered else str))


def classes(part: Part, labels: tuple[str, ...]) -> Numbers:
    """Return the index of each row's label, int64 [rows]; a row holds a single text."""
    indices = compute.index_in(part.examples.labels, pa.array(labels, pa.large_string()))
    of_examples: Numbers = indices.to_numpy().astype(np.int64)
    return of_examples[part.layout.examples]
