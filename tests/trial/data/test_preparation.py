"""Data are split into parts with fingerprints."""

from pathlib import Path

import numpy as np
import pytest

from tests.trial.made import EOS, tokens
from ugro.errors import UserError
from ugro.trial.data.preparation import prepare
from ugro.trial.data.rows import IGNORED, Rows
from ugro.trial.model.random_llama import byte_tokenizer

from .data_files import TOKENIZER, Make, character_tokenizer, rows


def test_each_part_is_read_from_its_own_files(files: Make, tmp_path: Path) -> None:
    config = files(["abc"], eval=["def"], test=["ghi"], packing="wrapped")
    data = prepare(config, TOKENIZER, tmp_path)
    assert rows(data) == [[*tokens("abc"), EOS]]
    assert rows(data, "evaluation") == [[*tokens("def"), EOS]]
    assert rows(data, "test") == [[*tokens("ghi"), EOS]]
    assert set(data.fingerprints()) == {"train_data", "eval_data", "test_data"}
    assert len(set(data.fingerprints().values())) == 3


def test_a_test_part_is_held_out_by_default_where_there_are_enough(
    files: Make, tmp_path: Path
) -> None:
    texts = [f"{number:03d}" for number in range(40)]
    data = prepare(files(texts, eval_fraction=0.1), TOKENIZER, tmp_path)
    assert data.test is not None
    assert [part.summary.documents for part in (data.train, data.evaluation, data.test)] == [
        32,
        4,
        4,
    ]
    assert not [note for note in data.notes if "no test part" in note]


def test_too_few_documents_have_no_test_part_and_that_is_said(files: Make, tmp_path: Path) -> None:
    data = prepare(files(["a", "b", "c"]), TOKENIZER, tmp_path)
    assert data.test is None
    assert set(data.fingerprints()) == {"train_data", "eval_data"}
    assert data.notes == ("no test part: set data.test_fraction or data.test_files",)


def test_what_is_trained_on_are_the_completions(files: Make, tmp_path: Path) -> None:
    data = prepare(files([("2+2=", "4")], eval=["x"]), TOKENIZER, tmp_path)
    labels = Rows(data.train)[0].labels.tolist()
    assert labels == [IGNORED] * 4 + [*tokens("4"), EOS]
    assert IGNORED == -100


@pytest.mark.parametrize("template", [None, "{% for m in messages %}{{ m.content }}!{% endfor %}"])
def test_a_chat_template_of_ones_own_is_used_for_this_trial_alone(
    template: str | None, files: Make, tmp_path: Path
) -> None:
    chat = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    tokenizer, own = byte_tokenizer(), tmp_path / "own.jinja"
    own.write_text("{% for m in messages %}{{ m.content }}~{% endfor %}")
    before = tokenizer.chat_template
    config = files([chat], eval=["x"], chat_template=str(own))
    assert rows(prepare(config, tokenizer, tmp_path)) == [[*tokens("q~a~"), EOS]]
    assert tokenizer.chat_template == before  # it is kept warm for the next trial
    if template is not None:
        own.write_text(template)
        assert rows(prepare(config, tokenizer, tmp_path)) == [[*tokens("q!a!"), EOS]]


def test_a_chat_template_that_is_not_there_is_told(files: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^data\.chat_template: 'nowhere' given, allowed: a file"):
        prepare(files(["a"], eval=["b"], chat_template="nowhere"), TOKENIZER, tmp_path)


# Fingerprints


def test_where_nothing_is_cut_fingerprints_depend_on_neither_rows_nor_tokenizer(
    files: Make, tmp_path: Path
) -> None:
    records = [("a" * number, "aab") for number in range(1, 31)]
    found, by_tokens = set(), set()
    for tokenizer in (TOKENIZER, character_tokenizer()):
        for packing in ("bfd", "wrapped", "none"):
            for size in (40, 64):
                config = files(records, eval_fraction=0.2, packing=packing, block_size=size)
                data = prepare(config, tokenizer, tmp_path)
                found.add(tuple(sorted(data.fingerprints().items())))
                by_tokens.add(data.evaluation.tokens)
    assert len(found) == 1
    assert len(by_tokens) == 2  # what the base model's evaluation is kept by


def test_which_records_are_evaluated_is_part_of_the_fingerprint(
    files: Make, tmp_path: Path
) -> None:
    records = [("a" * number, "b") for number in range(1, 31)]
    found = {
        prepare(files(records, **given), TOKENIZER, tmp_path).fingerprints()["eval_data"]
        for given in ({}, {"split_seed": 1}, {"max_eval_examples": 2}, {"eval_fraction": 0.3})
    }
    assert len(found) == 4


def test_offsets_beyond_a_batch_are_right(files: Make, tmp_path: Path) -> None:
    texts = [f"{number:04d}" for number in range(2500)]
    data = prepare(files(texts, eval=["x"], packing="none", test_fraction=0.0), TOKENIZER, tmp_path)
    found = rows(data)
    assert [found[index] for index in (0, 999, 1000, 2499)] == [
        [*tokens(texts[index]), EOS] for index in (0, 999, 1000, 2499)
    ]
    assert np.unique(data.train.layout.lengths).tolist() == [5]
