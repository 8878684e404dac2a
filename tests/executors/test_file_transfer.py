"""A trial's files are copied to a node that does not share its folder, and back."""

import io
import tarfile
from pathlib import Path

import pytest

from ugro.executors.file_transfer import (
    CHUNK_BYTES,
    FolderSource,
    IncomingFiles,
    archive_chunks,
    receive_files,
    send_files,
)


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """Folder of a trial, larger than a chunk."""
    folder = tmp_path / "there" / "0007"
    (folder / "checkpoints" / "checkpoint-4").mkdir(parents=True)
    (folder / "checkpoints" / "checkpoint-4" / "weights").write_bytes(bytes(CHUNK_BYTES + 1))
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"adapter")
    (folder / "metrics.jsonl").write_text("{}\n")
    (folder / ".worker").touch()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("checkpoints", [True, False])
def test_a_trials_files_are_sent_and_deleted(
    trial: Path, tmp_path: Path, checkpoints: bool
) -> None:
    before = [name for name in names(trial) if name != ".worker"]
    incoming = IncomingFiles(tmp_path / "here" / "0007")
    send_files(trial, checkpoints, incoming.add)
    incoming.unpack()
    kept = [name for name in before if checkpoints or not name.startswith("checkpoints")]
    assert names(tmp_path / "here" / "0007") == kept
    assert not trial.exists()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["0007"]


def test_a_resumed_trial_receives_its_files(trial: Path, tmp_path: Path) -> None:
    receive_files(tmp_path / "elsewhere", archive_chunks(trial, checkpoints=True))
    assert "checkpoints/checkpoint-4/weights" in names(tmp_path / "elsewhere")


def test_newer_checkpoints_on_the_node_are_kept(trial: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "checkpoints" / "checkpoint-8").mkdir(parents=True)
    receive_files(tmp_path / "elsewhere", archive_chunks(trial, checkpoints=True))
    assert [path.name for path in (tmp_path / "elsewhere" / "checkpoints").iterdir()] == [
        "checkpoint-8"
    ]


def test_a_new_trial_receives_nothing(tmp_path: Path) -> None:
    receive_files(tmp_path / "elsewhere", [])
    assert not (tmp_path / "elsewhere").exists()


def test_an_archive_cannot_write_outside_the_folder(tmp_path: Path) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../outside"))
    incoming = IncomingFiles(tmp_path / "trials" / "0007")
    incoming.add(content.getvalue())
    with pytest.raises(tarfile.FilterError):
        incoming.unpack()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_is_identified_by_the_first_line_of_its_log(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "events.jsonl").write_text('{"study": 1}\n')
    source = FolderSource.of(str(study))
    with (study / "events.jsonl").open("a") as log:
        log.write('{"more": 2}\n')
    assert source.is_shared()
    assert source.local_path() == str(study)


@pytest.mark.parametrize("line", [None, "", '{"study": 2}\n'])
def test_another_folder_of_the_same_name_is_not_shared(line: str | None, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "events.jsonl").write_text('{"study": 1}\n')
    source = FolderSource.of(str(study))
    (study / "events.jsonl").unlink()
    if line is not None:
        (study / "events.jsonl").write_text(line)
    assert not source.is_shared()
    assert source.local_path() != str(study)
