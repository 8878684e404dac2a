"""Real W&B, offline: what its files hold."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.observers.scripted_study import SECRET, first_session, second_session, write
from ugro.config import WandbConfig, WandbMode
from ugro.tracking.outbox import Outbox, study_id
from ugro.tracking.wandb import Wandb

pytest.importorskip("wandb")

CONFIG = WandbConfig("ugro", None, WandbMode.offline)
HEADER, BLOCK = 7, 2**15  # bytes of W&B's files, which are logs as LevelDB's


def records(path: Path) -> Iterator[Any]:
    """Those of a ``.wandb`` file, which ``wandb sync`` would send."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = path.read_bytes(), HEADER, b""
    assert data.startswith(b":W&B")
    while at < len(data):
        if BLOCK - at % BLOCK < HEADER:  # a block's end is padded
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        whole += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # a record that is whole now
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def held(folder: Path) -> dict[str, dict[str, Any]]:
    """What W&B's files hold of each run, by its id; later files go on where earlier ones ended."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*.wandb"), key=lambda one: one.parent.name):
        one: dict[str, Any] = {}
        for record in records(path):
            match record.WhichOneof("record_type"):
                case "run":
                    run = record.run
                    one = found.setdefault(run.run_id, {"curve": [], "config": {}, "files": []})
                    one |= {"name": run.display_name, "group": run.run_group}
                    one |= {"project": run.project, "kind": run.job_type}
                    one["tags"] = list(run.tags) or one.get("tags", [])
                    _update(one["config"], run.config.update)
                case "config":
                    _update(one["config"], record.config.update)
                case "history":
                    row = {tuple(i.nested_key) or i.key: i.value_json for i in record.history.item}
                    named = {k if isinstance(k, str) else ".".join(k): v for k, v in row.items()}
                    if "eval_loss" in named:
                        loss, tokens = json.loads(named["eval_loss"]), named["tokens_seen"]
                        one["curve"].append((record.history.step.num, float(tokens), loss))
                case "summary":
                    _update(one.setdefault("summary", {}), record.summary.update)
                case "files":
                    one["files"] += [file.path for file in record.files.files]
                case "exit":
                    one["exit"] = record.exit.exit_code
    return found


def _update(config: dict[str, Any], items: Any) -> None:
    for item in items:
        config[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study's, after its first session."""
    monkeypatch.setenv("PASSWORD", SECRET)
    write(tmp_path / "s", first_session(tmp_path / "s"))
    return tmp_path / "s"


def sent(folder: Path, files: bool = False) -> dict[str, dict[str, Any]]:
    outbox = Outbox(folder, Wandb(CONFIG, folder / "tracking"))
    outbox.send()
    if files:
        outbox.send_files()
    outbox.close()
    return held(folder / "tracking")


def test_its_files_hold_a_group_for_the_study_and_a_run_for_each_trial(folder: Path) -> None:
    found, study = sent(folder), study_id(folder)
    assert set(found) == {f"{study}-{number}" for number in range(4)}
    complete, pruned, failed, left = (found[f"{study}-{number}"] for number in range(4))
    assert {one["group"] for one in found.values()} == {"s"}
    assert (complete["name"], complete["project"], complete["kind"]) == ("trial 0", "ugro", "trial")
    assert complete["curve"] == [(0, 0.0, 4.0), (4, 400.0, 3.5), (8, 800.0, 3.25)]
    assert (complete["config"]["lora.r"], complete["config"]["state"]) == ("4", "complete")
    assert complete["summary"]["peak_memory_mb"] == 600.0
    assert complete["summary"]["eval_loss"] == 3.25
    assert [one["tags"] for one in (complete, pruned, failed, left)] == [
        ["complete"],
        ["pruned"],
        ["failed"],
        ["interrupted"],
    ]
    assert [one["exit"] for one in (complete, pruned, failed, left)] == [0, 0, 1, 0]
    assert failed["config"]["error"] == "ValueError: as told"


def test_a_resumed_trial_goes_on_in_its_run(folder: Path) -> None:
    sent(folder)
    write(folder, second_session(folder))
    found = sent(folder)
    assert len(found) == 4
    resumed = found[f"{study_id(folder)}-3"]
    assert resumed["curve"] == [(0, 0.0, 4.0), (4, 400.0, 3.0), (8, 800.0, 2.75)]
    assert (resumed["tags"], resumed["exit"]) == (["complete"], 0)


def test_the_studys_files_are_in_a_run_of_its_own_and_no_secret_is_in_any(folder: Path) -> None:
    (folder / "analysis").mkdir()
    for name in ("trials.csv", "analysis/report.html"):
        (folder / name).write_text("1")
    own = sent(folder, files=True)[f"{study_id(folder)}-study"]
    assert (own["name"], own["kind"]) == ("s", "study")
    assert {"trials.csv", "analysis/report.html"} <= set(own["files"])
    every = [path for path in (folder / "tracking").rglob("*") if path.is_file()]
    assert not [path for path in every if SECRET.encode() in path.read_bytes()]
