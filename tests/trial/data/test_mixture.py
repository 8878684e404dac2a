import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.trial.made import data_config
from ugro.config import Config, DataConfig
from ugro.config.validation.validation import validate
from ugro.errors import UserError
from ugro.trial.data.documents import Document, Skipped
from ugro.trial.data.preparation import prepare
from ugro.trial.data.reading import read
from ugro.trial.data.split import read_part, split_documents
from ugro.trial.model.random_llama import byte_tokenizer


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A JSONL file and a CSV file of forty records each."""
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"a{n}", "completion": "yes"} for n in range(40)]
    Path("a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    Path("b.csv").write_text("q,a\n" + "".join(f"b{n},no\n" for n in range(40)))
    return [
        {"source": "jsonl", "train_files": ["a.jsonl"]},
        {"source": "csv", "train_files": ["b.csv"], "columns": {"prompt": "q", "completion": "a"}},
    ]


def mixture(*sets: dict[str, Any], **given: Any) -> DataConfig:
    return data_config(source="mixture", sets=list(sets), **given)


def counts(documents: list[Document]) -> Counter[str]:
    """Documents by the first letter of their prompt, which tells their set."""
    return Counter(document.content["prompt"][0] for document in documents)


def test_sets_of_different_formats_are_read_one_after_the_other(sets: list[dict[str, Any]]) -> None:
    documents = list(read(mixture(*sets), "train", Skipped()))
    assert counts(documents) == {"a": 40, "b": 40}
    assert [document.format for document in documents[::40]] == ["prompt and completion"] * 2


def test_a_weight_repeats_training_documents_or_draws_a_part_of_them(
    sets: list[dict[str, Any]], tmp_path: Path
) -> None:
    alike = mixture(*sets, eval_fraction=0.25)
    split = split_documents(alike)
    before = counts(list(read_part(alike, split, "train")))
    config = mixture({**sets[0], "weight": 2.5}, {**sets[1], "weight": 0.5}, eval_fraction=0.25)
    assert split_documents(config).parts == split.parts  # weights do not move documents
    drawn = Counter(d.content["prompt"] for d in read_part(config, split, "train"))
    assert {count for prompt, count in drawn.items() if prompt[0] == "a"} == {2, 3}
    assert {count for prompt, count in drawn.items() if prompt[0] == "b"} == {1}
    kept = sum(prompt[0] == "b" for prompt in drawn)
    assert 0.2 * before["b"] < kept < 0.8 * before["b"]
    held_out = list(read_part(config, split, "eval"))
    assert held_out == list(read_part(alike, split, "eval"))
    again = Counter(d.content["prompt"] for d in read_part(config, split, "train"))
    assert again == drawn
    change = drawn.total() - before.total()
    notes = prepare(config, byte_tokenizer(), tmp_path / "cache").notes
    assert f"{change} training documents repeated by the weights of data.sets" in notes


def test_a_set_may_be_limited_to_documents_drawn_by_the_split_seed(
    sets: list[dict[str, Any]], tmp_path: Path
) -> None:
    def drawn(limit: int | None, seed: int = 0) -> dict[str, list[str]]:
        config = mixture(
            {**sets[0], "max_examples": limit}, sets[1], split_seed=seed, test_fraction=0.0
        )
        split = split_documents(config)
        documents = [*read_part(config, split, "train"), *read_part(config, split, "eval")]
        assert split.not_drawn == 80 - len(documents)
        prompts = sorted(document.content["prompt"] for document in documents)
        return {name: [one for one in prompts if one[0] == name] for name in "ab"}

    ten = drawn(10)
    assert len(ten["a"]) == 10
    assert ten["b"] == drawn(None)["b"]
    assert ten == drawn(10)
    assert ten["a"] != drawn(10, seed=1)["a"]
    assert set(ten["a"]) < set(drawn(20)["a"])  # a larger limit adds documents
    assert drawn(41) == drawn(None)
    notes = prepare(
        mixture({**sets[0], "max_examples": 10}, sets[1]), byte_tokenizer(), tmp_path / "cache"
    ).notes
    assert "30 documents left out by max_examples of data.sets" in notes


def test_documents_that_are_not_drawn_count_nowhere_else(sets: list[dict[str, Any]]) -> None:
    Path("c.jsonl").write_text(Path("a.jsonl").read_text() * 2)
    twice = {"source": "jsonl", "train_files": ["c.jsonl"], "max_examples": 30}
    config = mixture(twice, sets[1], deduplicate=True)
    split = split_documents(config)
    distinct = {d.content["prompt"] for d in read(config, "train", Skipped())}
    assert len(distinct) == 80
    kept = [part for part in split.parts if part is not None]
    assert split.not_drawn == 50
    assert 0 < split.repeated < 30  # of those that were drawn
    assert len(kept) == 30 + 40 - split.repeated


def test_a_set_may_have_evaluation_files_and_a_filter_of_its_own(
    sets: list[dict[str, Any]],
) -> None:
    own = {**sets[0], "eval_files": ["a.jsonl"], "train_files": ["a.jsonl"]}
    config = mixture(own, {**sets[1], "filter": "q != 'b7'"}, test_fraction=0.0)
    split = split_documents(config)
    assert counts(list(read_part(config, split, "eval"))) == {"a": 40}
    assert counts(list(read_part(config, split, "train"))) == {"b": 39}
    assert split.filtered == 1


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"source": "xml"}, "data.sets[0].source: 'xml' given, allowed: pydocs, text, csv,"),
        ({"source": "csv", "file": "a"}, "data.sets[0]: 'file' given, allowed: source, path,"),
        ({"source": "pydocs", "weight": 0}, "data.sets[0].weight: 0 given, allowed: above 0"),
        (
            {"source": "pydocs", "max_examples": 0},
            "data.sets[0].max_examples: 0 given, allowed: 1 or more",
        ),
        (
            {"source": "pydocs", "max_examples": 0.5},
            "data.sets[0].max_examples: 0.5 given, allowed: 1 or more",
        ),
        (
            {"source": "csv", "columns": {"question": "q"}},
            "data.sets[0].columns: 'question' given, allowed: text, prompt,",
        ),
        (
            {"source": "csv", "train_files": ["gone.csv"]},
            "data.sets[0].train_files: 'gone.csv' given, allowed: files that exist",
        ),
        (
            {"source": "csv", "join_rows": "perhaps"},
            "data.sets[0].join_rows: Value 'perhaps' is not a valid bool",
        ),
    ],
)
def test_a_wrong_set_is_named(
    given: dict[str, Any], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as raised:
        list(read(mixture(given), "train", Skipped()))
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


def test_names_of_files_stay_as_they_are_in_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_text('{"prompt": "a", "completion": "b"}\nno record\n')
    with pytest.raises(UserError, match=r"^data\.jsonl:2: not a JSON object"):
        list(read(mixture({"source": "jsonl", "train_files": ["data.jsonl"]}), "train", Skipped()))


def test_keys_of_the_sets_are_refused_beside_them(settings: Callable[..., Config]) -> None:
    one = "data.sets=[{source: pydocs}]"
    validate(settings("model=tiny", "data=mixture", one))
    with pytest.raises(UserError) as raised:
        validate(settings("model=tiny", "data=mixture", one, "data.eval_files=[a.jsonl]"))
    assert str(raised.value) == (
        "data.eval_files: belongs to each set in data.sets where data=mixture"
    )
