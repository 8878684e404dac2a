import re
from pathlib import Path
from typing import Any

import datasets
import pytest

from tests.trial.made import data_config
from ugro.config import ColumnsConfig
from ugro.errors import UserError
from ugro.trial.data.documents import Skipped
from ugro.trial.data.reading import sources

from .conftest import Read, contents, texts, write_lines


@pytest.fixture
def data_set(reading: Read) -> str:
    """Return a folder with a data set of two splits."""
    Path("set").mkdir()
    train = datasets.Dataset.from_dict({"text": ["one", "", "two", " ", "three"], "n": range(5)})
    train.to_parquet("set/train.parquet")
    datasets.Dataset.from_dict({"text": ["four", "two"], "n": [0, 1]}).to_parquet(
        "set/validation.parquet"
    )
    return "set"


def test_a_data_sets_splits_are_read_without_blank_rows(data_set: str, reading: Read) -> None:
    assert texts(reading("hub", path=data_set)) == ["one", "two", "three"]
    found = reading("hub", "eval", path=data_set, eval_split="validation")
    assert texts(found) == ["four", "two"]


def test_joined_rows_are_one_running_text(data_set: str, reading: Read) -> None:
    assert texts(reading("hub", path=data_set, join_rows=True)) == ["one\n\ntwo\n\nthree"]


def test_a_data_set_of_json_lines_with_another_text_column(reading: Read) -> None:
    Path("set").mkdir()
    write_lines("set/train.jsonl", {"body": "one"}, {"body": "two"})
    assert texts(reading("hub", path="set", columns=ColumnsConfig(text="body"))) == ["one", "two"]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            {"columns": ColumnsConfig(text="body")},
            r"^set train:0: \['n', 'text'\] given, allowed: .* data\.columns\.text=body$",
        ),
        ({"train_split": "dev"}, r"^data\.path: 'set' given.*dev"),
        ({"subset": "raw"}, r"^data\.path: 'set' given.*raw"),
    ],
)
def test_a_column_split_or_subset_that_is_not_there_is_told(
    given: dict[str, Any], reason: str, data_set: str, reading: Read
) -> None:
    with pytest.raises(UserError, match=reason):
        reading("hub", path=data_set, **given)


def test_a_null_text_is_told_by_split_and_row_or_skipped(reading: Read) -> None:
    Path("set").mkdir()
    rows = datasets.Dataset.from_dict({"text": ["one", None, "three"]})
    rows.to_parquet("set/train.parquet")
    with pytest.raises(UserError, match=r"^set train:1: text: None given, allowed: a value$"):
        reading("hub", path="set")
    skipped = Skipped()
    assert texts(reading("hub", path="set", skipped=skipped, bad_records="skip")) == [
        "one",
        "three",
    ]
    assert (skipped.count, skipped.first[:12]) == (1, "set train:1:")


# Parquet files


def test_parquet_files_are_read_in_order_with_the_row_of_each(reading: Read) -> None:
    for name, rows in (("b", ["three"]), ("a", ["one", "two"])):
        datasets.Dataset.from_dict({"text": rows, "n": [0] * len(rows)}).to_parquet(f"{name}.pq")
    found = reading("parquet", train_files=["*.pq"])
    assert texts(found) == ["one", "two", "three"]
    assert [document.place for document in found] == ["a.pq:0", "a.pq:1", "b.pq:0"]
    assert found[0].record == {"text": "one", "n": 0}
    assert [*Path("datasets").rglob("*.arrow")] == []  # no copy in the cache


def test_images_are_not_decoded(reading: Read) -> None:
    images = [{"bytes": b"no image", "path": None}]
    rows = datasets.Dataset.from_dict({"text": ["one"], "image": images})
    rows.cast_column("image", datasets.Image()).to_parquet("a.parquet")
    [document] = reading("parquet", train_files=["a.parquet"])
    assert document.record["image"]["bytes"] == b"no image"


def test_rows_of_several_formats_in_a_table(reading: Read) -> None:
    rows = [{"text": "t"}, {"prompt": "p", "completion": "c"}, {"prompt": "p", "completion": None}]
    datasets.Dataset.from_list(
        [{"prompt": None, "completion": None, "text": None, **row} for row in rows]
    ).to_parquet("a.parquet")
    with pytest.raises(UserError, match=r"^a\.parquet:2: completion: None given, allowed: text"):
        reading("parquet", train_files=["a.parquet"])
    found = reading("parquet", train_files=["a.parquet"], bad_records="skip")
    assert contents(found) == rows[:2]


def test_a_file_that_is_not_parquet_is_told(reading: Read) -> None:
    write_lines("a.parquet", {"text": "one"})
    with pytest.raises(UserError, match=r"^a\.parquet: not a Parquet file \(.*magic bytes"):
        reading("parquet", train_files=["a.parquet"])


def call(**arguments: object) -> dict[str, Any]:
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": arguments}}],
    }


def test_nulls_that_arrow_adds_to_other_rows_keys_are_dropped(reading: Read) -> None:
    user = {"role": "user", "content": "Hi"}
    conversations = [[user, call(city="Graz")], [user, call(day=1)]]
    rows = datasets.Dataset.from_list([{"messages": one} for one in conversations])
    assert rows[0]["messages"][0]["tool_calls"] is None
    rows.to_parquet("train.parquet")
    found = reading("parquet", train_files=["train.parquet"])
    assert contents(found) == [{"messages": one} for one in conversations]


# Folders that save_to_disk wrote


ROWS = datasets.Dataset.from_dict({"text": ["one", "two"]})


def test_an_arrow_folder_without_splits_is_the_training_split(reading: Read) -> None:
    ROWS.save_to_disk("saved")
    found = reading("arrow", path="saved")
    assert texts(found) == ["one", "two"]
    assert [document.place for document in found] == ["saved train:0", "saved train:1"]


def test_an_arrow_folder_with_splits(reading: Read) -> None:
    splits = {"train": ROWS, "dev": ROWS.select([1])}
    datasets.DatasetDict(splits).save_to_disk("saved")
    assert texts(reading("arrow", "eval", path="saved", eval_split="dev")) == ["two"]
    wanted = r"^data\.eval_split: 'test' given, allowed: a split of saved: train, dev$"
    with pytest.raises(UserError, match=wanted):
        reading("arrow", "eval", path="saved", eval_split="test")


@pytest.mark.parametrize("path", ["nowhere", "empty"])
def test_a_folder_that_save_to_disk_did_not_write_is_told(path: str, reading: Read) -> None:
    Path("empty").mkdir()
    wanted = rf"^data\.path: '{path}' given, allowed: a folder that datasets' save_to_disk wrote"
    with pytest.raises(UserError, match=wanted):
        reading("arrow", path=path)


def test_rewritten_folders_are_other_sources(reading: Read) -> None:
    found = set()
    for count, rows in enumerate((ROWS, ROWS, ROWS.select([0])), start=1):
        rows.save_to_disk(f"saved{count}")
        found.add(re.sub(r"\d ", " ", *sources(data_config(source="arrow", path=f"saved{count}"))))
    assert len(found) == 2
