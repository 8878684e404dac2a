"""Evaluate a finished trial's adapter and its base model on the test part."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import peft
from numpy.typing import ArrayLike

from ugro.config import Config, Direction, MetricConfig, TaskName
from ugro.config.metrics import of_functions, of_set, value_names
from ugro.events.channel import Channel
from ugro.events.trial_report import TrialResult
from ugro.metrics.ratio_estimate import largest_difference, ratio_estimate
from ugro.paths import ADAPTER
from ugro.trial import torch_errors
from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.metrics.metrics import Measured
from ugro.trial.model.base_models import evict_base_model
from ugro.trial.parallel import group
from ugro.trial.setup import metrics_of, set_up
from ugro.trial.tasks.evaluation import Evaluation
from ugro.trial.tasks.task import task_of

ACCURACIES = ("accuracy", "reward_accuracy")  # means of Evaluation.correct


@torch_errors.translated()
def measure_test(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Evaluate the adapter in a trial's folder on the test part, without training or writing.

    Args:
        config: configuration of the trial
        folder: folder of the trial, with ``adapter/``
        channel: unused

    Returns:
        No objective values. Metrics: ``test_loss``, that of the base model as ``base_test_loss``,
        the ``test_gain`` over it with its standard error ``test_gain_stderr`` (nats per target,
        examples paired), ``test_documents`` and ``test_tokens`` (targets); ``test_bits_per_byte``
        and ``base_test_bits_per_byte`` of a language model; of each metric of other tasks and each
        function in ``metrics`` ``test_NAME``, ``base_test_NAME`` and ``test_NAME_gain``, with
        ``test_NAME_gain_stderr`` where there is a value per example, and ``test_NAME_gain_bound``,
        the largest possible gain, where all are from 0 to 1. Empty without a test part.
    """
    base, data = set_up(config)
    part = data.test
    if part is None:
        return TrialResult((), {})
    size = config.training.eval_batch_size
    own = metrics_of(replace(config, metrics=_functions(config)), base, part)
    task = task_of(config, base)
    untrained = task.evaluate(base.model, part, size)
    base_measured = own.compute(base.model, untrained, number=0, last=True)
    try:
        adapter = group.from_first(lambda: folder / ADAPTER)
        model = peft.PeftModel.from_pretrained(base.model, adapter)
        trained = task.evaluate(model, part, size)
        measured = own.compute(model, trained, number=0, last=True)
    finally:
        evict_base_model()  # the adapter's biases and modules_to_save stay in the model
    documents = _documents(part)
    gain, stderr = ratio_estimate(untrained.losses - trained.losses, trained.targets, documents)
    return TrialResult(
        (),
        {
            "test_loss": trained.loss,
            "base_test_loss": untrained.loss,
            "test_gain": gain,
            "test_gain_stderr": stderr,
            "test_documents": len(np.unique(documents)),
            "test_tokens": int(trained.targets.sum()),
            **dict(_task_scores(config, untrained, trained, documents)),
            **dict(_metric_scores(config, base_measured, measured, documents)),
        },
    )


def _functions(config: Config) -> dict[str, MetricConfig]:
    """Return the metrics that the test part is for; others bring their own data."""
    return of_functions(of_set(config.metrics, None))


def _task_scores(
    config: Config, base: Evaluation, trained: Evaluation, documents: Numbers
) -> Iterator[tuple[str, float]]:
    """Yield the task's metrics of both models, with the paired gain of an accuracy."""
    if config.task.name is TaskName.language_modeling:
        yield "test_bits_per_byte", trained.others["bits_per_byte"]
        yield "base_test_bits_per_byte", base.others["bits_per_byte"]
        return
    for name, value in trained.others.items():  # all are maximised
        yield from _gain(name, base.others[name], value, sign=1)
        if name in ACCURACIES:
            yield from _paired(name, base.correct, trained.correct, 1, documents)


def _metric_scores(
    config: Config, base: Measured, trained: Measured, documents: Numbers
) -> Iterator[tuple[str, float]]:
    """Yield the values of both models, and the paired gains in the metrics' directions."""
    for name, direction in value_names(_functions(config)).items():
        sign = 1 if direction is Direction.maximize else -1
        yield from _gain(name, base.values[name], trained.values[name], sign)
        rows = [row for row, scores in trained.scores.items() if name in scores]
        if rows and all(name in base.scores.get(row, {}) for row in rows):
            before, after = ([one.scores[row][name] for row in rows] for one in (base, trained))
            yield from _paired(name, before, after, sign, documents[rows])


def _gain(name: str, base: float, trained: float, sign: int) -> Iterator[tuple[str, float]]:
    """Yield the values of both models, and the gain in the direction of ``sign``."""
    yield f"test_{name}", trained
    yield f"base_test_{name}", base
    yield f"test_{name}_gain", sign * (trained - base)


def _paired(
    name: str, base: ArrayLike, trained: ArrayLike, sign: int, documents: Numbers
) -> Iterator[tuple[str, float]]:
    """Yield the standard error of a gain from the values of each row, [rows], and its bound."""
    before, after = np.asarray(base, np.float64), np.asarray(trained, np.float64)
    _, stderr = ratio_estimate(sign * (after - before), np.ones(len(before)), documents)
    yield f"test_{name}_gain_stderr", stderr
    if math.isfinite(bound := largest_difference([*before, *after])):
        yield f"test_{name}_gain_bound", bound


def _documents(part: Part) -> Numbers:
    """Return the document index of each row, [rows]; an evaluation row holds a single piece."""
    examples: Numbers = part.layout.examples[part.layout.rows[:-1]]
    documents: Numbers = part.examples.documents[examples]
    return documents
