"""Evaluate a model: its loss, the configured metrics, and the objective of its checkpoint."""

import math
import time
from collections.abc import Mapping
from pathlib import Path

from peft import PeftModel

from ugro.config import Config
from ugro.config.metrics import value_names
from ugro.events.trial_report import MEASURED
from ugro.objectives.objectives import objectives_of
from ugro.trial.data.layout import Part
from ugro.trial.evaluation import Evaluation, evaluate
from ugro.trial.metrics import Measured
from ugro.trial.model.base_models import BaseModel
from ugro.trial.setup import metrics_of

OBJECTIVE = "eval_objective"  # minimised: selects the best checkpoint


class Evaluator:
    """Evaluations of a trial's model and of its base model on the evaluation part.

    Args:
        config: configuration of the trial
        base: the base model, which caches its own evaluation for later trials
        part: data to evaluate on
        answers: file for the generated answers of the best checkpoint

    Attributes:
        base: evaluation of the base model
        base_metrics: metrics of the base model, those of its evaluation included
        seconds: time spent on the trial's evaluations
        metrics_seconds: part of it spent on the configured metrics

    Raises:
        UserError: a metric needs prompts, and the data are running text.
        MetricError: a metric fails on the base model.
    """

    def __init__(self, config: Config, base: BaseModel, part: Part, answers: Path) -> None:
        self._objectives = objectives_of(config.objectives)
        self._part = part
        self._batch_size = config.training.eval_batch_size
        self._answers = answers
        self._metrics = metrics_of(config, base, part, with_tasks=True)
        self._measured = Measured()
        self._names = value_names(config.metrics).keys()
        self.base, self._base_measured = self._evaluate_base(base)
        self.base_metrics = {**self.base.metrics(), **self._base_measured.values}
        self.seconds = self.metrics_seconds = 0.0

    def _evaluate_base(self, base: BaseModel) -> tuple[Evaluation, Measured]:
        tokens, key = self._part.tokens, self._metrics.key
        if tokens not in base.evaluations:
            base.evaluations[tokens] = evaluate(base.model, self._part, self._batch_size)
        found = base.evaluations[tokens]
        if key not in base.measured:
            base.measured[key] = self._metrics.compute(base.model, found, number=0, last=True)
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
        found = evaluate(model, self._part, self._batch_size)
        loss_known = time.perf_counter()
        self._measured = self._metrics.compute(model, found, number, last)
        ended = time.perf_counter()
        self.seconds += ended - began
        self.metrics_seconds += ended - loss_known
        metrics = {**found.metrics(), **self._measured.values}
        return {**metrics, OBJECTIVE: self._objective(metrics)}

    def is_complete(self, metrics: Mapping[str, float]) -> bool:
        """Return whether all configured metrics are among these."""
        return metrics.keys() >= self._names

    def keep_answers(self) -> None:
        """Write the answers of the last evaluated checkpoint beside those of the base model."""
        self._metrics.save_answers(self._answers, self._base_measured, self._measured)

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
