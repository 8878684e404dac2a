import json
from datetime import UTC, datetime
from pathlib import Path

import pandas
import pytest
import yaml

from ugro.errors import UserError
from ugro.study.importing.wandb_files import runs_of
from ugro.study.importing.wandb_run import flat, local, number

TABLE = """\
"Name","State","Notes","User","Tags","Created","Runtime","Sweep","lr","lora.r","eval/loss"
"newer","finished","-","me","","2026-03-01T10:20:30.000Z","120","s1","0.001","16","2.5"
"older","crashed","-","me","","2026-03-01T08:20:30.000Z","12","s1","1e-05","8",""
"""


def test_a_downloaded_table_has_a_run_per_row_the_oldest_first(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text(TABLE)
    older, newer = runs_of(tmp_path / "runs.csv")
    assert (older.name, older.state, newer.name, newer.state) == (
        *("older", "crashed"),
        *("newer", "finished"),
    )
    assert older.config == older.summary == {"lr": 1e-05, "lora.r": 8}  # what of it is unknown
    assert newer.summary == {"lr": 0.001, "lora.r": 16, "eval/loss": 2.5}
    assert newer.is_mixed
    began = datetime(2026, 3, 1, 10, 20, 30, tzinfo=UTC).timestamp()
    assert newer.began is not None
    assert newer.ended is not None
    assert newer.began.timestamp() == began
    assert newer.ended.timestamp() == began + 120


def test_a_table_of_the_public_api_keeps_configuration_and_summary_apart(tmp_path: Path) -> None:
    # As W&B's guide exports runs: a dictionary in a cell.
    rows = {
        "summary": [{"loss": 0.5, "grad": float("nan"), "_step": 9}, {"loss": float("inf")}],
        "config": [{"lr": 1e-3, "model": {"name": "a"}}, {"lr": 1e-4, "model": {"name": "a"}}],
        "name": ["x", "y"],
    }
    pandas.DataFrame(rows).to_csv(tmp_path / "project.csv")
    first, second = runs_of(tmp_path / "project.csv")
    assert first.config == {"lr": 1e-3, "model.name": "a"}
    assert first.summary == {"loss": 0.5, "grad": None}
    assert second.summary == {"loss": None}
    assert (first.name, first.state, first.is_mixed) == ("x", "finished", False)


def test_a_folder_of_synced_runs_is_read_from_their_files(tmp_path: Path) -> None:
    for number_, (lr, loss) in enumerate([(1e-3, 2.5), (1e-4, None)]):
        files = tmp_path / "wandb" / f"run-20260301_10203{number_}-id{number_}" / "files"
        files.mkdir(parents=True)
        config = {"wandb_version": 1, "_wandb": {"value": {}}, "lr": {"desc": None, "value": lr}}
        (files / "config.yaml").write_text(yaml.safe_dump(config))
        summary = {"loss": {"min": loss}, "_runtime": 60.0, "_timestamp": 1772360430.0}
        if loss is not None:
            (files / "wandb-summary.json").write_text(json.dumps(summary))
            meta = {"startedAt": "2026-03-01T10:20:30.123456Z"}
            (files / "wandb-metadata.json").write_text(json.dumps(meta))
    (tmp_path / "wandb" / "latest-run").symlink_to(files.parent.name)
    (tmp_path / "wandb" / "other").mkdir()
    (tmp_path / "wandb" / "other" / "config.yaml").write_text("lr: {value: 1}")  # not W&B's
    first, second = runs_of(tmp_path / "wandb")
    assert (first.config, first.summary) == ({"lr": 1e-3}, {"loss.min": 2.5})
    assert first.began == local("2026-03-01T10:20:30.123456Z")
    assert first.seconds == 60.0
    assert (first.state, second.state) == ("finished", "crashed")  # without a summary


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none' given, allowed: a CSV file or a folder that"):
        runs_of(tmp_path / "none")
    with pytest.raises(UserError, match=r"allowed: a CSV file with a row per run, or a folder"):
        runs_of(tmp_path)
    files = tmp_path / "run-1" / "files"
    files.mkdir(parents=True)
    (files / "wandb-summary.json").write_text("{")
    with pytest.raises(UserError, match=r"wandb-summary\.json' given, allowed: a file that can be"):
        runs_of(tmp_path)


def test_values_are_numbers_only_if_they_are() -> None:
    assert [number(one) for one in (1, 0.5, True, "1", None, [1])] == [
        1,
        0.5,
        None,
        None,
        None,
        None,
    ]
    assert number("Infinity") == float("inf")
    assert flat({"a": {"b": 1, "_c": 2}, "_d": 3, "e": [4]}) == {"a.b": 1, "e": [4]}
