import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ugro.config import Config
from ugro.events.channel import channel
from ugro.trial.data.layout import Part
from ugro.trial.data.preparation import prepare
from ugro.trial.evaluation import Evaluation
from ugro.trial.held_out import measure_test, paired_gain
from ugro.trial.random_llama import byte_tokenizer
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


def evaluation(losses: list[float], tokens: list[int]) -> Evaluation:
    return Evaluation(sum(losses) / sum(tokens), 0.0, np.array(losses), np.array(tokens))


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


def test_without_a_test_part_there_is_nothing_to_measure(config: Config, tmp_path: Path) -> None:
    config.data.test_fraction = 0.0
    result = run_trial(config, tmp_path, channel())
    assert result.metrics["test_tokens"] == 0
    assert measure_test(config, tmp_path, channel()).metrics == {}


def part_of(config: Config, cache_dir: Path) -> Part:
    test = prepare(config.data, byte_tokenizer(), cache_dir).test
    assert test is not None
    return test


def test_the_gain_and_its_error_by_hand(config: Config, cache_dir: Path) -> None:
    part = part_of(config, cache_dir)
    rows = len(part.layout)
    assert rows == part.summary.documents  # a row a document
    before = evaluation([4.0, 6.0, *[2.0] * (rows - 2)], [2] * rows)
    after = evaluation([2.0, 2.0, *[2.0] * (rows - 2)], [2] * rows)
    gain, error = paired_gain(before, after, part)
    differences = np.array([2.0, 4.0, *[0.0] * (rows - 2)])
    assert gain == pytest.approx(6 / (2 * rows))
    # With as many tokens in each document the ratio is a mean, and its error that of a mean.
    assert error == pytest.approx((differences / 2).std(ddof=1) / np.sqrt(rows))


def test_rows_of_one_document_are_one_sample(
    settings: Callable[..., Config], cache_dir: Path
) -> None:
    config = settings(
        "model=tiny", "data=pydocs", "data.block_size=32", "data.max_test_examples=40"
    )
    part = part_of(config, cache_dir)
    documents = part.examples.documents[part.layout.examples[part.layout.rows[:-1]]]
    count = len(np.unique(documents))
    assert count < len(part.layout)
    tokens = [1] * len(part.layout)
    alike = evaluation([float(document % 2) for document in documents], tokens)
    _, error = paired_gain(alike, evaluation([0.0] * len(tokens), tokens), part)
    alone = (documents % 2).std(ddof=1) / np.sqrt(len(tokens))
    assert error > alone  # rows that agree tell less than as many documents
