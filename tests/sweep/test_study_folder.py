"""Creation of the study's folder, refused in one line where files cannot be written."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ugro.errors import UserError
from ugro.sweep.study_folder import RESERVED_BYTES, prepare_folder


@contextmanager
def read_only(path: Path) -> Iterator[None]:
    """Make the folder read-only within the block, for root as well."""
    bind = f"mount --bind {path} {path} && mount -o remount,ro,bind {path}"
    if subprocess.run(["sh", "-c", bind], capture_output=True, check=False).returncode:
        pytest.skip("only root may mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        prepare_folder(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_folder_is_created_or_reused(tmp_path: Path) -> None:
    folder = tmp_path / "multirun" / "s"
    assert prepare_folder(folder) == prepare_folder(folder) == folder
    assert list(folder.iterdir()) == []


def test_concurrent_drivers_can_create_the_same_folder(tmp_path: Path) -> None:
    folder = tmp_path / "multirun" / "s"
    with ThreadPoolExecutor(8) as drivers:
        for one in drivers.map(prepare_folder, [folder] * 2000):
            assert one == folder
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["events.jsonl", "study.db", "trials"])
def test_a_read_only_file_is_named(name: str, tmp_path: Path) -> None:
    if name == "trials":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).touch()
    with read_only(tmp_path / name):
        assert refused(tmp_path).endswith(f"a folder that can be written ({name} is read-only)")
    assert prepare_folder(tmp_path) == tmp_path


def test_a_file_at_the_folders_path_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "a folder that can be written (Not a directory)" in refused(tmp_path / "file" / "s")
    assert "File name too long" in refused(tmp_path / (300 * "n"))


def test_a_path_too_long_for_nested_files_is_refused_and_shortened(tmp_path: Path) -> None:
    most = os.pathconf("/", "PC_PATH_MAX") - RESERVED_BYTES
    parts, left = [], most - len(os.fsencode(tmp_path))
    while left > 1:
        parts.append("d" * min(left - 1, 99))
        left -= len(parts[-1]) + 1
    longest = tmp_path.joinpath(*parts)
    assert most - 1 <= len(os.fsencode(longest)) <= most
    assert prepare_folder(longest) == longest
    error = refused(Path(f"{longest}xx"))
    assert f"allowed: a path of at most {most} bytes" in error
    assert len(error) < 300
