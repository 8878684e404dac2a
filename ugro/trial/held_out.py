"""Evaluate a finished trial's adapter and its base model on the test part."""

from pathlib import Path

import numpy as np
import peft

from ugro.config import Config
from ugro.events.channel import Channel
from ugro.events.trial_report import TrialResult
from ugro.paths import ADAPTER
from ugro.trial import torch_errors
from ugro.trial.data.layout import Part
from ugro.trial.data.packing import Numbers
from ugro.trial.evaluation import Evaluation, evaluate
from ugro.trial.models import evict_base_model
from ugro.trial.setup import set_up


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
        ``test_tokens``. Empty without a test part.
    """
    base, data = set_up(config)
    part = data.test
    if part is None:
        return TrialResult((), {})
    size = config.training.eval_batch_size
    untrained = evaluate(base.model, part, size)
    try:
        trained = evaluate(peft.PeftModel.from_pretrained(base.model, folder / ADAPTER), part, size)
    finally:
        evict_base_model()  # the adapter's biases and modules_to_save stay in the model
    gain, stderr = paired_gain(untrained, trained, part)
    documents = len(np.unique(_documents(part)))
    return TrialResult(
        (),
        {
            "test_loss": trained.loss,
            "test_bits_per_byte": trained.bits_per_byte,
            "base_test_loss": untrained.loss,
            "base_test_bits_per_byte": untrained.bits_per_byte,
            "test_gain": gain,
            "test_gain_stderr": stderr,
            "test_documents": documents,
            "test_tokens": int(trained.tokens.sum()),
        },
    )


def paired_gain(before: Evaluation, after: Evaluation, part: Part) -> tuple[float, float]:
    """Return the reduction of the loss and its standard error, in nats per token.

    Tokens of a document are not independent samples: differences are summed by document, and the
    error is that of a ratio estimator over documents. It is NaN for a single document.
    """
    _, whose = np.unique(_documents(part), return_inverse=True)
    differences = np.bincount(whose, before.losses - after.losses)
    tokens = np.bincount(whose, after.tokens)
    gain = differences.sum() / tokens.sum()
    count = len(tokens)
    if count < 2:
        return float(gain), float("nan")
    residuals = differences - gain * tokens
    spread = np.sqrt((residuals**2).sum() * count / (count - 1))
    return float(gain), float(spread / tokens.sum())


def _documents(part: Part) -> Numbers:
    """Return the document index of each row, [rows]; an evaluation row holds a single piece."""
    examples: Numbers = part.layout.examples[part.layout.rows[:-1]]
    documents: Numbers = part.examples.documents[examples]
    return documents
