"""What is shown of an example is what a trial trains on."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.trial.data.preparation import prepare
from ugro.trial.data.rows import IGNORED, Rows
from ugro.trial.example import _pieces, show_document
from ugro.trial.model.base_models import load_stop_ids, load_tokenizer

from .made import sentencepiece_like

Settings = Callable[..., Config]


@pytest.mark.parametrize("part", ["train", "eval", "test"])
def test_pieces_are_the_trials_inputs_and_targets(
    part: str, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "train.csv"
    rows = "".join(f"Größe {number}?,{number} µm\n" for number in range(40))
    path.write_text(f"prompt,completion\n{rows}")
    given = (f"data.train_files=[{path}]", "data.packing=none")
    config = settings("model=tiny", "data=csv", *given)
    tokenizer = load_tokenizer(config.model, tmp_path)
    data = prepare(config.data, tokenizer, tmp_path, load_stop_ids(config.model, tmp_path))
    row = Rows({"train": data.train, "eval": data.evaluation, "test": data.test}[part])[2]
    shown = show_document(config, part, 2)
    [example] = shown.examples
    assert shown.format == "prompt and completion"
    assert "".join(piece.text for piece in example.pieces) == tokenizer.decode(row.input_ids)
    [target] = [piece.text for piece in example.pieces if piece.is_trained]
    assert target == tokenizer.decode(row.labels[row.labels != IGNORED])
    assert (example.tokens, example.trained) == (len(row.labels), (row.labels != IGNORED).sum())


def test_spaces_that_a_tokenizer_drops_at_the_start_are_kept_between_pieces() -> None:
    tokenizer = sentencepiece_like()
    ids = tokenizer("q: yes no")["input_ids"]
    is_trained = [index > 3 for index in range(len(ids))]
    pieces = list(_pieces(ids, is_trained, tokenizer))
    assert "".join(piece.text for piece in pieces) == tokenizer.decode(ids)
