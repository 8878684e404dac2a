"""Open Optuna storages for a study's record, with settings that tolerate transient errors."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import InterfaceError, OperationalError

from ugro.errors import UserError, fault
from ugro.paths import is_writable
from ugro.retries import one_line

BUSY_SECONDS = 60.0  # how long to wait for another process's SQLite lock
TROUBLE = (OperationalError, InterfaceError, optuna.exceptions.StorageInternalError, OSError)
JOURNAL = "journal:///"
KEY = "hydra.sweeper.storage"
KINDS = "sqlite:///FILE, journal:///FILE or postgresql+psycopg://HOST/NAME"


def open_storage(url: str) -> BaseStorage:
    """Open the storage of a URL: ``sqlite:///``, ``postgresql://`` or ``journal:///`` and a file.

    SQLite is set to WAL mode, so that readers of a running study do not block the driver.

    Raises:
        UserError: the storage is of an unknown kind, unreachable, or lacks an installed driver.
    """
    try:
        return _open(url)
    except (ImportError, sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise UserError(fault(KEY, redacted_url(url), f"{KINDS} ({error})")) from None
    except (*TROUBLE, sqlite3.Error) as error:
        why = one_line(error.__cause__ or error)
        raise UserError(fault(KEY, redacted_url(url), f"a reachable storage ({why})")) from None


def _open(url: str) -> BaseStorage:
    if url.startswith(JOURNAL):
        path = Path(url.removeprefix(JOURNAL))
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))
    options: dict[str, Any] = {"pool_pre_ping": True}
    if (database := file_of(url)) is not None:
        database.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        options = {"connect_args": {"timeout": BUSY_SECONDS}}
    # get_storage adds Optuna's cache of finished trials.
    return optuna.storages.get_storage(RDBStorage(url, engine_kwargs=options))


def rename_study(database: Path, old: str, new: str) -> None:
    """Rename a study in a SQLite database that no driver uses; Optuna has no function for it."""
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as connection, connection:
        statement = "UPDATE studies SET study_name = ? WHERE study_name = ?"
        connection.execute(statement, [new, old])


def check_reachable(url: str) -> str:
    """Return a line that confirms that a storage answers; creates nothing.

    Raises:
        UserError: it does not answer, or its file cannot be written.
    """
    shown, file = redacted_url(url), file_of(url)
    if url.startswith(JOURNAL):
        file = Path(url.removeprefix(JOURNAL))
    if file is not None:
        if not is_writable(file.parent) or (file.exists() and not os.access(file, os.W_OK)):
            raise UserError(fault(KEY, shown, "a file that can be written"))
        return f"{shown} can be written"
    try:
        engine = sqlalchemy.create_engine(url)
        with closing(engine.connect()) as connection:
            connection.execute(sqlalchemy.text("SELECT 1"))
        engine.dispose()
    except (ImportError, sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        raise UserError(fault(KEY, shown, f"{KINDS} ({error})")) from None
    except TROUBLE as error:
        why = one_line(error.__cause__ or error)
        raise UserError(fault(KEY, shown, f"a reachable storage ({why})")) from None
    return f"{shown} answers"


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite database; None for other storages."""
    try:
        parts = sqlalchemy.engine.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        return None
    return Path(parts.database or "") if parts.get_backend_name() == "sqlite" else None


def redacted_url(url: str) -> str:
    """Return the URL without its password."""
    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url.partition("://")[0] + "://..."


def check_url(as_written: str | None, url: str | None) -> None:
    """Reject storages in memory and literal passwords, which would appear in files.

    Args:
        as_written: with unresolved interpolations
        url: with resolved interpolations

    Raises:
        UserError: the storage does not persist, or the URL has a password.
    """
    if as_written is None or url is None:
        raise UserError(fault(KEY, url, KINDS))
    if file_of(url) in (Path(), Path(":memory:")):
        raise UserError(fault(KEY, url, f"a file, because a database in memory is lost: {KINDS}"))
    if as_written.startswith("$") or "${oc.env:" in as_written:
        return
    try:
        password = sqlalchemy.engine.make_url(as_written).password
    except sqlalchemy.exc.ArgumentError:
        return
    if password is not None:
        allowed = "no password: put it into PGPASSWORD, or the URL into ${oc.env:NAME}"
        raise UserError(fault(KEY, redacted_url(as_written), allowed))


def is_shared(url: str) -> bool:
    """Whether several drivers may write; SQLite allows one writer."""
    return file_of(url) is None


def is_trouble(error: BaseException) -> bool:
    """Whether an error may be transient: no server, a full disk, a locked file."""
    return isinstance(error, TROUBLE)
