"""Ray's temporary files have short socket paths and a private folder."""

import stat
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ugro.errors import UserError
from ugro.executors import ray_temp_dir
from ugro.executors.ray_temp_dir import with_short_paths

LOCAL = OmegaConf.create({"address": "local"})
LONG = "/" + 90 * "d"


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ray_temp_dir, "SHORT", str(tmp_path))
    monkeypatch.delenv("RAY_TMPDIR", raising=False)


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_a_short_default_folder_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert with_short_paths(LOCAL) == LOCAL


def test_a_long_default_folder_is_replaced_by_a_private_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", LONG)
    init = with_short_paths(LOCAL)
    folder = Path(init["_temp_dir"]).parent
    assert folder.parent == tmp_path
    assert mode(folder) == 0o700
    assert with_short_paths(LOCAL) == init  # the same folder again


def test_a_folder_that_others_can_enter_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TMPDIR", LONG)
    known = Path(with_short_paths(LOCAL)["_temp_dir"]).parent
    known.chmod(0o755)
    other = Path(with_short_paths(LOCAL)["_temp_dir"]).parent
    assert other != known
    assert mode(other) == 0o700
    known.rmdir()
    known.symlink_to(other)
    assert Path(with_short_paths(LOCAL)["_temp_dir"]).parent not in (known, other)


def test_the_longest_path_just_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    most = ray_temp_dir.MAX_SOCKET_PATH - ray_temp_dir.SUFFIX_LENGTH
    fits = OmegaConf.create({"address": "local", "_temp_dir": "/" + (most - 1) * "d"})
    assert with_short_paths(fits) == fits
    longer = OmegaConf.create({"address": "local", "_temp_dir": "/" + most * "d"})
    with pytest.raises(UserError, match=f"init._temp_dir: '/d*' given, allowed: .* {most} bytes"):
        with_short_paths(longer)


def test_the_folder_of_a_cluster_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", LONG)
    joined = OmegaConf.create({"address": "auto"})
    assert with_short_paths(joined) == joined
