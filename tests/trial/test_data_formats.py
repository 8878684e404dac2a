"""The same data in every format are the same examples, with the same loss."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest

from ugro.events.trial_report import DATA_PARTS

from .conftest import Run

Write = Callable[[list[dict[str, Any]], Path], list[str]]

PAIRS = [
    {"prompt": f"Wie groß ist {number:03d}?\n", "completion": f"{number:03d} µm"}
    for number in range(40)
]
CHATS = [
    {
        "messages": [
            {"role": "user", "content": pair["prompt"]},
            {"role": "assistant", "content": pair["completion"]},
        ]
    }
    for pair in PAIRS
]


def _csv(records: list[dict[str, Any]], folder: Path) -> list[str]:
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, records[0])
        writer.writeheader()
        for record in records:
            cells = {k: v if isinstance(v, str) else json.dumps(v) for k, v in record.items()}
            writer.writerow(cells)
    return ["data=csv", f"data.train_files=[{folder}/rows.csv]"]


def _jsonl(records: list[dict[str, Any]], folder: Path) -> list[str]:
    text = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "rows.jsonl").write_text(text)
    return ["data=jsonl", f"data.train_files=[{folder}/rows.jsonl]"]


def _json(records: list[dict[str, Any]], folder: Path) -> list[str]:
    (folder / "rows.json").write_text(json.dumps(records, ensure_ascii=False, indent=1))
    return ["data=json", f"data.train_files=[{folder}/rows.json]"]


def _parquet(records: list[dict[str, Any]], folder: Path) -> list[str]:
    datasets.Dataset.from_list(records).to_parquet(folder / "rows.parquet")
    return ["data=parquet", f"data.train_files=[{folder}/rows.parquet]"]


def _arrow(records: list[dict[str, Any]], folder: Path) -> list[str]:
    datasets.Dataset.from_list(records).save_to_disk(folder / "saved")
    return ["data=arrow", f"data.path={folder}/saved"]


def _hub(records: list[dict[str, Any]], folder: Path) -> list[str]:
    (folder / "hub" / "data").mkdir(parents=True)
    datasets.Dataset.from_list(records).to_parquet(
        folder / "hub" / "data" / "train-00000-of-00001.parquet"
    )
    return ["data=hub", f"data.path={folder}/hub"]


def _with_ids(records: list[dict[str, Any]], folder: Path) -> list[str]:
    named = {"prompt": "question", "completion": "answer"}
    others = [
        {"id": number, **{named.get(key, key): value for key, value in record.items()}, "text": "x"}
        for number, record in enumerate(records)
    ]
    columns = [f"data.columns.{one}={named[one]}" for one in records[0] if one in named]
    return [*_jsonl(others, folder), *columns]


def _template(records: list[dict[str, Any]], folder: Path) -> list[str]:
    numbers = [{"n": record["completion"].split()[0]} for record in records]
    templates = [r"data.prompt='Wie groß ist {n}?\n'", "data.completion='{n} µm'"]
    return [*_csv(numbers, folder), *templates]


def _alpaca(records: list[dict[str, Any]], folder: Path) -> list[str]:
    rows = [
        {"instruction": one["prompt"].removesuffix("\n"), "input": "", "output": one["completion"]}
        for one in records
    ]
    return _json(rows, folder)


def _share_gpt(records: list[dict[str, Any]], folder: Path) -> list[str]:
    speakers = {"user": "human", "assistant": "gpt"}
    rows = [
        {
            "conversations": [
                {"from": speakers[one["role"]], "value": one["content"]}
                for one in record["messages"]
            ]
        }
        for record in records
    ]
    return _json(rows, folder)


FILES: list[Write] = [_csv, _jsonl, _json, _parquet, _arrow, _hub, _with_ids]


@pytest.mark.parametrize(
    ("records", "writers"),
    [(PAIRS, [*FILES, _alpaca, _template]), (CHATS, [*FILES, _share_gpt])],
    ids=["pairs", "conversations"],
)
def test_every_format_gives_the_same_fingerprints_and_the_same_loss(
    records: list[dict[str, Any]],
    writers: list[Write],
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    found = {}
    for write in writers:
        folder = tmp_path / write.__name__
        folder.mkdir()
        result, _ = run(*write(records, folder), "data.block_size=128")
        fingerprints = [result.provenance[part] for part in DATA_PARTS]
        found[write.__name__] = (*fingerprints, result.metrics["eval_loss"])
    assert set(found.values()) == {found["_jsonl"]}
