from pathlib import Path

import pytest

from ugro.errors import UserError
from ugro.study.storage import (
    check_reachable,
    check_url,
    file_of,
    is_shared,
    open_storage,
    redacted_url,
)

SERVER = "postgresql+psycopg://me@127.0.0.1:1/studies"  # without a server


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///a/b.db", "a/b.db"),
        ("sqlite+pysqlite:////a/b.db", "/a/b.db"),
        ("journal:///a/b.log", None),
        (SERVER, None),
        ("nonsense", None),
    ],
)
def test_sqlite_is_recognised_by_any_driver_and_has_one_writer(url: str, file: str | None) -> None:
    assert file_of(url) == (file and Path(file))
    assert is_shared(url) == (file is None)


def test_a_sqlite_database_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    for scheme in ("sqlite", "sqlite+pysqlite"):
        open_storage(f"{scheme}:///{tmp_path}/{scheme}/study.db")
        header = (tmp_path / scheme / "study.db").read_bytes()[:20]
        assert header[18:20] == b"\x02\x02"  # WAL: https://www.sqlite.org/fileformat.html


def test_an_unreachable_server_is_reported_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(UserError) as raised:
        open_storage(SERVER)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"hydra.sweeper.storage: '{SERVER}' given, allowed: a reachable stor")
    assert "Connection refused" in line


def test_a_file_that_is_no_database_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("some text, not a database")
    for url in (f"sqlite:///{tmp_path}/file", f"sqlite:///{tmp_path}/file/study.db"):
        with pytest.raises(UserError, match=r"^hydra\.sweeper\.storage: .*/file.* a reachable"):
            open_storage(url)


@pytest.mark.parametrize("url", ["nonsense", "oracel://host/name"])
def test_an_unknown_kind_of_storage_is_rejected_with_the_known_ones(url: str) -> None:
    with pytest.raises(UserError, match=r"allowed: sqlite:///FILE, journal:///FILE or postgresql"):
        open_storage(url)


@pytest.mark.parametrize(
    ("as_written", "url"),
    [
        (None, None),
        ("${oc.env:STORAGE,null}", None),
        ("sqlite://", "sqlite://"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
    ],
)
def test_a_storage_in_memory_is_rejected(as_written: str | None, url: str | None) -> None:
    with pytest.raises(UserError, match=r"hydra\.sweeper\.storage: .* given, allowed: .*sqlite:/"):
        check_url(as_written, url)


def test_a_literal_password_is_rejected() -> None:
    secret = "postgresql://me:secret@host/name"
    assert redacted_url(secret) == "postgresql://me:***@host/name"
    with pytest.raises(UserError, match=r"me:\*\*\*@host.*no password") as raised:
        check_url(secret, secret)
    assert "secret" not in str(raised.value)
    check_url("${oc.env:STORAGE}", secret)
    check_url("sqlite:///${study.dir}/study.db", "sqlite:///multirun/s/study.db")


def test_checking_a_storage_creates_nothing(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/new/study.db", f"journal:///{tmp_path}/new/study.log"):
        assert "can be written" in check_reachable(url)
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_server_is_reported_without_its_password() -> None:
    with pytest.raises(UserError, match=r"^hydra\.sweeper\.storage: .*refused") as raised:
        check_reachable("postgresql+psycopg://me:xyzzy@127.0.0.1:1/studies")
    assert "xyzzy" not in str(raised.value)
