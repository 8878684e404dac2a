"""What a task does for a trial, and the tasks by name."""

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor, nn

from ugro.config import Config, TaskName
from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.model.base_models import BaseModel
from ugro.trial.tasks.classification import Classification
from ugro.trial.tasks.evaluation import Evaluation
from ugro.trial.tasks.language_modeling import LanguageModeling
from ugro.trial.tasks.preference import Preference


class Task(Protocol):
    """Loss and evaluation of a task; the loss of a step is the mean over its targets."""

    def targets(self, part: Part, rows: Numbers) -> NDArray[Any] | None:
        """Return what the loss compares each piece of the rows with, [pieces].

        Called before an adapter is added.
        """

    def loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Sum the loss over all targets of a batch, differentiably."""

    def count(self, batch: Mapping[str, Tensor]) -> int:
        """Return the number of targets of a batch."""

    def evaluate(self, model: nn.Module, part: Part, batch_size: int) -> Evaluation:
        """Measure a model on held-out examples; first the base model, before an adapter is added.

        Args:
            model: model on its device; its training mode is restored
            part: data to evaluate on
            batch_size: rows per forward pass
        """


def task_of(config: Config, base: BaseModel) -> Task:
    """Return the configured task.

    Args:
        config: configuration of the trial
        base: the base model, with the labels of a classification
    """
    match config.task.name:
        case TaskName.language_modeling:
            return LanguageModeling(config.training.label_smoothing)
        case TaskName.dpo:
            assert config.task.beta is not None
            return Preference(config.task.beta, base, config.training.eval_batch_size)
        case TaskName.classification:
            return Classification(base.labels, config.training.label_smoothing)
