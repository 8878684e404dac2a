import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.events.channel import channel
from ugro.trial.held_out import measure_test
from ugro.trial.trial import run_trial

WORDS = ("basket", "kitten", "hammer", "napkin", "orange", "candle")


@pytest.fixture
def config(tmp_path: Path, settings: Callable[..., Config]) -> Config:
    """Sixty records, six of them in the test part."""
    records = [{"prompt": f"{n}:", "completion": WORDS[n % 6] * (1 + n % 4)} for n in range(60)]
    (tmp_path / "all.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in records))
    return settings(
        "model=tiny",
        "data=jsonl",
        f"data.train_files=[{tmp_path}/all.jsonl]",
        "data.block_size=64",
        "training.max_steps=6",
        "training.eval_steps=3",
        "training.learning_rate=0.01",
        "training.dtype=fp32",
    )


def test_the_trained_adapter_and_the_base_model_are_measured(
    config: Config, tmp_path: Path, cache_dir: Path
) -> None:
    result = run_trial(config, tmp_path, channel())
    assert result.metrics["test_tokens"] > 0
    before = sorted(path.name for path in tmp_path.rglob("*"))
    found = measure_test(config, tmp_path, channel()).metrics
    assert found["test_tokens"] == result.metrics["test_tokens"]
    assert found["test_gain"] == pytest.approx(found["base_test_loss"] - found["test_loss"])
    assert found["test_gain"] > 3 * found["test_gain_stderr"] > 0  # it has learnt
    assert found["test_loss"] != pytest.approx(result.metrics["eval_loss"], abs=1e-6)
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    again = measure_test(config, tmp_path, channel()).metrics
    assert again == found  # the base model is as it was


def test_metrics_are_measured_on_the_test_part_of_both_models(
    config: Config, settings: Callable[..., Config], tmp_path: Path
) -> None:
    match = "metrics=[exact_match,token_accuracy]"
    config.metrics = settings(match, "metrics.exact_match.max_new_tokens=4").metrics
    run_trial(config, tmp_path, channel())
    found = measure_test(config, tmp_path, channel()).metrics
    assert found["test_exact_match_gain"] == found["test_exact_match"] == 0.0
    assert found["test_exact_match_gain_stderr"] == 0.0
    assert found["test_exact_match_gain_bound"] == 1.0
    gain = found["test_token_accuracy"] - found["base_test_token_accuracy"]
    assert found["test_token_accuracy_gain"] == gain > 0
    assert "test_token_accuracy_gain_stderr" not in found  # no value per example


def test_without_a_test_part_there_is_nothing_to_measure(config: Config, tmp_path: Path) -> None:
    config.data.test_fraction = 0.0
    result = run_trial(config, tmp_path, channel())
    assert result.metrics["test_tokens"] == 0
    assert measure_test(config, tmp_path, channel()).metrics == {}
