"""A trial's files go to where its folder is not, and come back."""

import io
import tarfile
from pathlib import Path

import pytest

from ugro.executors.file_transfer import (
    CHUNK_BYTES,
    FolderSource,
    IncomingFiles,
    bring,
    fetch,
    pieces,
)


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """A trial's folder, larger than a piece."""
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
def test_what_a_trial_has_left_is_brought_and_nothing_of_it_stays(
    trial: Path, tmp_path: Path, checkpoints: bool
) -> None:
    before = [name for name in names(trial) if name != ".worker"]
    arriving = IncomingFiles(tmp_path / "here" / "0007")
    bring(trial, checkpoints, arriving.add)
    arriving.unpack()
    kept = [name for name in before if checkpoints or not name.startswith("checkpoints")]
    assert names(tmp_path / "here" / "0007") == kept
    assert not trial.exists()
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["0007"]


def test_what_goes_on_gets_its_files(trial: Path, tmp_path: Path) -> None:
    fetch(tmp_path / "elsewhere", pieces(trial, checkpoints=True))
    assert "checkpoints/checkpoint-4/weights" in names(tmp_path / "elsewhere")


def test_what_is_there_already_is_newer(trial: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "checkpoints" / "checkpoint-8").mkdir(parents=True)
    fetch(tmp_path / "elsewhere", pieces(trial, checkpoints=True))
    assert [path.name for path in (tmp_path / "elsewhere" / "checkpoints").iterdir()] == [
        "checkpoint-8"
    ]


def test_a_new_trial_gets_nothing(tmp_path: Path) -> None:
    fetch(tmp_path / "elsewhere", [])
    assert not (tmp_path / "elsewhere").exists()


def test_an_archive_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../outside"))
    arriving = IncomingFiles(tmp_path / "trials" / "0007")
    arriving.add(made.getvalue())
    with pytest.raises(tarfile.FilterError):
        arriving.unpack()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_folder_is_known_by_how_its_log_begins(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "events.jsonl").write_text('{"study": 1}\n')
    home = FolderSource.of(str(study))
    with (study / "events.jsonl").open("a") as log:
        log.write('{"more": 2}\n')
    assert home.is_here()
    assert home.here() == str(study)


@pytest.mark.parametrize("there", [None, "", '{"study": 2}\n'])
def test_another_folder_of_that_name_is_not_taken_for_it(there: str | None, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "events.jsonl").write_text('{"study": 1}\n')
    home = FolderSource.of(str(study))
    (study / "events.jsonl").unlink()
    if there is not None:
        (study / "events.jsonl").write_text(there)
    assert not home.is_here()
    assert home.here() != str(study)
