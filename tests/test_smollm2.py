"""The real model on real text: SmolLM2-135M on Python's language reference."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.events.channel import channel
from ugro.trial.trial import run_trial

pytestmark = pytest.mark.long


def test_a_few_steps_lower_the_loss_of_the_real_model(
    settings: Callable[..., Config], tmp_path: Path
) -> None:
    config = settings(
        "data.block_size=64",
        "data.max_eval_examples=4",
        "training.batch_size=2",
        "training.eval_batch_size=4",
        "training.max_steps=6",
        "training.eval_steps=6",
        "training.learning_rate=2e-3",
    )
    result = run_trial(config, tmp_path, channel())
    # An instruction-tuned 135M model knows English: far below ln(49152) = 10.8 nats.
    assert 2.0 < result.metrics["base_eval_loss"] < 5.0
    assert float(result) < result.metrics["base_eval_loss"] - 0.05
    assert result.metrics["tokens_seen"] == 6 * 2 * 64
