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
    """Yield the records of a ``.wandb`` file, which ``wandb sync`` would send."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, complete = path.read_bytes(), HEADER, b""
    assert data.startswith(b":W&B")
    while at < len(data):
        if BLOCK - at % BLOCK < HEADER:  # a block's end is padded
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        complete += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # a record that is complete now
            record = Record()
            record.ParseFromString(complete)
            complete = b""
            yield record


def read_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the content of W&B's files by run id; later files continue earlier ones."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*.wandb"), key=lambda path: path.parent.name):
        content: dict[str, Any] = {}
        for record in records(path):
            match record.WhichOneof("record_type"):
                case "run":
                    run = record.run
                    content = found.setdefault(run.run_id, {"curve": [], "config": {}, "files": []})
                    content |= {"name": run.display_name, "group": run.run_group}
                    content |= {"project": run.project, "kind": run.job_type}
                    content["tags"] = list(run.tags) or content.get("tags", [])
                    _update(content["config"], run.config.update)
                case "config":
                    _update(content["config"], record.config.update)
                case "history":
                    row = {tuple(i.nested_key) or i.key: i.value_json for i in record.history.item}
                    named = {k if isinstance(k, str) else ".".join(k): v for k, v in row.items()}
                    if "eval_loss" in named:
                        loss, tokens = json.loads(named["eval_loss"]), named["tokens_seen"]
                        content["curve"].append((record.history.step.num, float(tokens), loss))
                case "summary":
                    _update(content.setdefault("summary", {}), record.summary.update)
                case "files":
                    content["files"] += [file.path for file in record.files.files]
                case "exit":
                    content["exit"] = record.exit.exit_code
    return found


def _update(config: dict[str, Any], items: Any) -> None:
    for item in items:
        config[item.key or ".".join(item.nested_key)] = json.loads(item.value_json)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of a study after its first session."""
    monkeypatch.setenv("PASSWORD", SECRET)
    write(tmp_path / "s", first_session(tmp_path / "s"))
    return tmp_path / "s"


def sent(folder: Path, files: bool = False) -> dict[str, dict[str, Any]]:
    outbox = Outbox(folder, Wandb(CONFIG, folder / "tracking"))
    outbox.send()
    if files:
        outbox.send_files()
    outbox.close()
    return read_runs(folder / "tracking")


def test_the_files_hold_a_group_with_a_run_for_each_trial(folder: Path) -> None:
    found, study = sent(folder), study_id(folder)
    assert set(found) == {f"{study}-{number}" for number in range(4)}
    complete, pruned, failed, interrupted = (found[f"{study}-{number}"] for number in range(4))
    assert {run["group"] for run in found.values()} == {"s"}
    assert (complete["name"], complete["project"], complete["kind"]) == ("trial 0", "ugro", "trial")
    assert complete["curve"] == [(0, 0.0, 4.0), (4, 400.0, 3.5), (8, 800.0, 3.25)]
    assert (complete["config"]["lora.r"], complete["config"]["state"]) == ("4", "complete")
    assert complete["summary"]["peak_memory_mb"] == 600.0
    assert complete["summary"]["eval_loss"] == 3.25
    assert [run["tags"] for run in (complete, pruned, failed, interrupted)] == [
        ["complete"],
        ["pruned"],
        ["failed"],
        ["interrupted"],
    ]
    assert [run["exit"] for run in (complete, pruned, failed, interrupted)] == [0, 0, 1, 0]
    assert failed["config"]["error"] == "ValueError: as scripted"


def test_a_resumed_trial_continues_its_run(folder: Path) -> None:
    sent(folder)
    write(folder, second_session(folder))
    found = sent(folder)
    assert len(found) == 4
    resumed = found[f"{study_id(folder)}-3"]
    assert resumed["curve"] == [(0, 0.0, 4.0), (4, 400.0, 3.0), (8, 800.0, 2.75)]
    assert (resumed["tags"], resumed["exit"]) == (["complete"], 0)


def test_the_study_has_a_run_with_its_files_and_no_secret(folder: Path) -> None:
    (folder / "analysis").mkdir()
    for name in ("trials.csv", "analysis/report.html"):
        (folder / name).write_text("1")
    own = sent(folder, files=True)[f"{study_id(folder)}-study"]
    assert (own["name"], own["kind"]) == ("s", "study")
    assert {"trials.csv", "analysis/report.html"} <= set(own["files"])
    files = [path for path in (folder / "tracking").rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
