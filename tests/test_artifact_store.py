import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from ugro.artifact_store import Folder, check, check_reachable, faults
from ugro.errors import UserError

from .stores import S3, s3

__all__ = ["s3"]

Uri = Callable[[], str]


@pytest.fixture(params=["folder", "file", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """One URI of each kind."""
    match request.param:
        case "folder":
            return f"{tmp_path}/kept"
        case "file":
            return f"file://{tmp_path}/kept"
    server: S3 = request.getfixturevalue("s3")
    return server.uri


def test_uploaded_files_are_listed_downloaded_and_deleted(uri: str, tmp_path: Path) -> None:
    folder = Folder(uri, "study", "trials")
    assert folder.names() == []
    here = tmp_path / "here"
    (here / "deep").mkdir(parents=True)
    (here / "one").write_bytes(b"1")
    (here / "deep" / "two").write_bytes(bytes(3_000_000))
    folder.put_all(here, ["deep", "deep/two", "one", "gone"])
    assert folder.names() == ["deep/two", "one"]
    assert Folder(uri, "study").names() == ["trials/deep/two", "trials/one"]
    assert Folder(uri, "study", "trial").names() == []  # a name that begins alike
    folder.get("deep/two", tmp_path / "new" / "two")
    assert (tmp_path / "new" / "two").read_bytes() == bytes(3_000_000)
    (here / "one").write_bytes(b"11")
    folder.put(here / "one", "one")
    folder.get("one", tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == b"11"
    folder.delete("deep/two")
    assert folder.names() == ["one"]


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_an_upload_to_a_mounted_disk_is_atomic(scheme: str, tmp_path: Path) -> None:
    folder = Folder(f"{scheme}{tmp_path}/kept", "study")
    file = tmp_path / "file"
    file.write_bytes(b"before")
    folder.put(file, "deep/one")
    file.write_bytes(bytes(100))
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, hard))  # bytes of a file
    try:
        with pytest.raises(OSError, match="File too large"):
            folder.put(file, "deep/one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    there = tmp_path / "kept" / "study" / "deep"
    assert [path.name for path in there.iterdir()] == ["one"]
    assert (there / "one").read_bytes() == b"before"
    (there / ".two.1234.draft").write_bytes(b"of a process that was killed")
    assert folder.names() == ["deep/one"]


def test_a_check_leaves_no_files(uri: str) -> None:
    check(uri, "study")
    assert Folder(uri, "study").names() == []
    check(None, "study")


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("relative/folder", "'relative/folder' given, allowed: an absolute path or s3://"),
        ("ftp://host/folder", "'ftp://host/folder' given, allowed: an absolute path or s3://"),
        ("s3://key:secret@bucket/x", "'s3://...' given, allowed: no keys in the URI"),
    ],
)
def test_an_invalid_uri_is_reported(uri: str, line: str) -> None:
    [fault] = faults(uri)
    assert fault.startswith(f"study.artifacts: {line}")
    assert "secret" not in fault


def test_a_valid_uri_is_not_connected_to() -> None:
    for uri in (None, "/mnt/share", "s3://bucket", "gs://bucket/folder?anonymous=true"):
        assert faults(uri) == []


def test_an_unwritable_location_is_reported_in_advance(
    s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ugro.artifact_store.CHECK_SECONDS", 0.5)
    with pytest.raises(UserError, match=r"^study\.artifacts: 's3://.*can be written \(OSError: "):
        check(s3.uri.replace("bucket", "another"), "study")


def test_checking_a_folder_does_not_create_it(tmp_path: Path) -> None:
    assert "can be written" in check_reachable(f"{tmp_path}/new/place", "s")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"^study\.artifacts: 'ftp://host' given"):
        check_reachable("ftp://host", "s")
