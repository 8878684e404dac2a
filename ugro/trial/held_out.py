"""Evaluate a finished trial's adapter and its base model on the test part."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import peft
from numpy.typing import NDArray

from ugro.config import Config, Direction
from ugro.config.metrics import of_functions, value_names
from ugro.events.channel import Channel
from ugro.events.trial_report import TrialResult
from ugro.paths import ADAPTER
from ugro.trial import torch_errors
from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.evaluation import evaluate
from ugro.trial.metrics import Measured
from ugro.trial.model.base_models import evict_base_model
from ugro.trial.setup import metrics_of, set_up


@torch_errors.translated()
def measure_test(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Evaluate the adapter in a trial's folder on the test part, without training or writing.

    Args:
        config: configuration of the trial
        folder: folder of the trial, with ``adapter/``
        channel: unused

    Returns:
        No objective values. Metrics: ``test_loss``, ``test_bits_per_byte``, the same of the base
        model as ``base_test_...``, the ``test_gain`` over it with its standard error
        ``test_gain_stderr`` (nats per token, examples paired), ``test_documents`` and
        ``test_tokens``; of each function in ``metrics`` ``test_NAME``, ``base_test_NAME`` and
        ``test_NAME_gain``, with ``test_NAME_gain_stderr`` where there is a value per example. Empty
        without a test part.
    """
    base, data = set_up(config)
    part = data.test
    if part is None:
        return TrialResult((), {})
    size = config.training.eval_batch_size
    own = metrics_of(config, base, part)
    untrained = evaluate(base.model, part, size)
    base_measured = own.compute(base.model, untrained, number=0, last=True)
    try:
        model = peft.PeftModel.from_pretrained(base.model, folder / ADAPTER)
        trained = evaluate(model, part, size)
        measured = own.compute(model, trained, number=0, last=True)
    finally:
        evict_base_model()  # the adapter's biases and modules_to_save stay in the model
    documents = _documents(part)
    gain, stderr = paired_gain(untrained.losses - trained.losses, trained.tokens, documents)
    return TrialResult(
        (),
        {
            "test_loss": trained.loss,
            "test_bits_per_byte": trained.bits_per_byte,
            "base_test_loss": untrained.loss,
            "base_test_bits_per_byte": untrained.bits_per_byte,
            "test_gain": gain,
            "test_gain_stderr": stderr,
            "test_documents": len(np.unique(documents)),
            "test_tokens": int(trained.tokens.sum()),
            **dict(_metric_scores(config, base_measured, measured, documents)),
        },
    )


def _metric_scores(
    config: Config, base: Measured, trained: Measured, documents: Numbers
) -> Iterator[tuple[str, float]]:
    """Yield the values of both models, and the paired gains in the metrics' directions."""
    for name, direction in value_names(of_functions(config.metrics)).items():
        yield f"test_{name}", trained.values[name]
        yield f"base_test_{name}", base.values[name]
        sign = 1 if direction is Direction.maximize else -1
        yield f"test_{name}_gain", sign * (trained.values[name] - base.values[name])
        rows = [row for row, scores in trained.scores.items() if name in scores]
        if rows and all(name in base.scores.get(row, {}) for row in rows):
            differences = [sign * (trained.scores[r][name] - base.scores[r][name]) for r in rows]
            weights = np.ones(len(rows), dtype=np.int64)
            _, stderr = paired_gain(np.array(differences), weights, documents[rows])
            yield f"test_{name}_gain_stderr", stderr


def paired_gain(
    differences: NDArray[np.float64], weights: Numbers, documents: Numbers
) -> tuple[float, float]:
    """Return the weighted mean of paired differences and its standard error.

    Rows of a document are not independent samples: differences are summed by document, and the
    error is that of a ratio estimator over documents. It is NaN for a single document.

    Args:
        differences: sum of the differences of each row, [rows]
        weights: tokens or examples of each row, [rows]
        documents: document index of each row, [rows]
    """
    _, whose = np.unique(documents, return_inverse=True)
    sums, sizes = np.bincount(whose, differences), np.bincount(whose, weights)
    gain = sums.sum() / sizes.sum()
    count = len(sizes)
    if count < 2:
        return float(gain), float("nan")
    residuals = sums - gain * sizes
    spread = np.sqrt((residuals**2).sum() * count / (count - 1))
    return float(gain), float(spread / sizes.sum())


def _documents(part: Part) -> Numbers:
    """Return the document index of each row, [rows]; an evaluation row holds a single piece."""
    examples: Numbers = part.layout.examples[part.layout.rows[:-1]]
    documents: Numbers = part.examples.documents[examples]
    return documents
