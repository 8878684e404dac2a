"""Evaluate a model: its loss, the configured metrics, and the objective of its checkpoint."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from peft import PeftModel
from torch import nn

from ugro.config import Config
from ugro.config.eval_sets import set_values, value_of
from ugro.config.metrics import of_set, value_names
from ugro.events.trial_report import MEASURED
from ugro.objectives.objectives import objectives_of
from ugro.paths import GENERATIONS, GENERATIONS_OF_SET
from ugro.trial.data.layout import Part
from ugro.trial.data.preparation import Data
from ugro.trial.metrics.metrics import Measured, Metrics
from ugro.trial.model.base_models import BaseModel
from ugro.trial.parallel import group
from ugro.trial.setup import metrics_of
from ugro.trial.tasks.evaluation import Evaluation
from ugro.trial.tasks.task import Task
from ugro.trial.training_arguments import OBJECTIVE


class Evaluator:
    """Evaluations of a trial's model and of its base model on the evaluation part and sets.

    Args:
        config: configuration of the trial
        base: the base model, which caches its own evaluations for later trials
        task: the task
        data: data of the trial
        folder: folder of the trial, for the generated answers of the best checkpoint

    Attributes:
        task: what the model is trained for
        base: evaluation of the base model on the evaluation part
        base_metrics: metrics of the base model, those of its evaluation included
        seconds: time spent on the trial's evaluations
        metrics_seconds: part of it spent on the configured metrics

    Raises:
        UserError: a metric needs prompts, and the data are running text.
        MetricError: a metric fails on the base model.
    """

    def __init__(
        self, config: Config, base: BaseModel, task: Task, data: Data, folder: Path
    ) -> None:
        self.task = task
        self._objectives = objectives_of(config.objectives)
        self._batch_size = config.training.eval_batch_size
        self._names = value_names(config.metrics).keys()
        self._of_sets = set_values(config.data.eval_sets, config.task.name).keys()
        sets = [
            _set(config, base, part, name, folder / GENERATIONS_OF_SET.format(name))
            for name, part in data.eval_sets.items()
        ]
        self._sets = [_set(config, base, data.evaluation, None, folder / GENERATIONS), *sets]
        self._base = [self._base_on(base, one) for one in self._sets]
        self._measured: list[Measured] = []
        self.base, _ = self._base[0]
        self.base_metrics = self._values(self._base)
        self.seconds = self.metrics_seconds = 0.0

    def _base_on(self, base: BaseModel, one: "_Set") -> tuple[Evaluation, Measured]:
        tokens, key = one.part.tokens, one.metrics.key
        if tokens not in base.evaluations:
            base.evaluations[tokens] = self.task.evaluate(base.model, one.part, self._batch_size)
        found = base.evaluations[tokens]
        if key not in base.measured:
            base.measured[key] = one.metrics.compute(base.model, found, number=0, last=True)
        return found, base.measured[key]

    def evaluate(self, model: PeftModel, number: int, last: bool) -> dict[str, float]:
        """Return the metrics of a checkpoint and its objective.

        Args:
            model: model with its adapter
            number: number of the evaluation, from 1
            last: whether no evaluation follows

        Raises:
            MetricError: a metric fails.
        """
        began = time.perf_counter()
        found = [self._on(model, one, number, last) for one in self._sets]
        self._measured = [measured for _, measured in found]
        self.seconds += time.perf_counter() - began
        metrics = self._values(found)
        found_by_all = {**metrics, OBJECTIVE: self._objective(metrics)}
        return group.from_first(lambda: found_by_all)  # what the processes decide by

    def _on(
        self, model: nn.Module, one: "_Set", number: int, last: bool
    ) -> tuple[Evaluation, Measured]:
        found = self.task.evaluate(model, one.part, self._batch_size)
        loss_known = time.perf_counter()
        measured = one.metrics.compute(model, found, number, last)
        self.metrics_seconds += time.perf_counter() - loss_known
        return found, measured

    def _values(self, found: list[tuple[Evaluation, Measured]]) -> dict[str, float]:
        """Return the values of the evaluation part, of the sets, and of all metrics, by name."""
        values: dict[str, float] = {}
        for one, (evaluation, measured) in zip(self._sets, found, strict=True):
            own = evaluation.metrics()
            if one.name is not None:
                named = {value_of(one.name, metric): value for metric, value in own.items()}
                own = {name: value for name, value in named.items() if name in self._of_sets}
            values |= {**own, **measured.values}
        return values

    def is_complete(self, metrics: Mapping[str, float]) -> bool:
        """Return whether all configured metrics are among these."""
        return metrics.keys() >= self._names

    def keep_answers(self) -> None:
        """Write the answers of the last evaluated checkpoint beside those of the base model."""
        for one, (_, base), measured in zip(self._sets, self._base, self._measured, strict=True):
            one.metrics.save_answers(one.answers, base, measured)

    def _objective(self, metrics: Mapping[str, float]) -> float:
        """Return the objective that selects the best checkpoint, minimised; NaN if it has none.

        Objectives that are no property of a checkpoint, such as memory, do not count.
        """
        if not math.isfinite(metrics["eval_loss"]):
            return math.nan
        of_loss = self.base.metrics()
        if not any(name in of_loss or name not in MEASURED for name in self._objectives.metrics):
            return metrics["eval_loss"]
        value = self._objectives.progress(metrics)
        return math.nan if value is None else value


@dataclass(frozen=True)
class _Set:
    """An evaluated part.

    Attributes:
        name: name of the evaluation set; None for the evaluation part
        part: its data
        metrics: the metrics that are computed on it
        answers: file for the generated answers
    """

    name: str | None
    part: Part
    metrics: Metrics
    answers: Path


def _set(config: Config, base: BaseModel, part: Part, name: str | None, answers: Path) -> _Set:
    own = replace(config, metrics=of_set(config.metrics, name))
    metrics = metrics_of(own, base, part)
    return _Set(name, part, metrics, answers)
