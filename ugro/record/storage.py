"""Where is a study's record kept? In any storage of Optuna, opened so that it bears trouble."""

import sqlite3
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import InterfaceError, OperationalError

from ugro.errors import UserError, fault

BUSY_SECONDS = 60.0  # another process may hold SQLite's lock that long
TROUBLE = (OperationalError, InterfaceError, optuna.exceptions.StorageInternalError, OSError)
SQLITE, JOURNAL = "sqlite:///", "journal:///"


def open_storage(url: str) -> BaseStorage:
    """The storage of a URL: ``sqlite:///``, ``postgresql://`` or ``journal:///`` and a file.

    SQLite is put into WAL mode, so that who reads a running study holds nobody up.

    Raises:
        UserError: there is no such kind of storage, or its driver is not installed.
    """
    if url.startswith(JOURNAL):
        path = Path(url.removeprefix(JOURNAL))
        path.parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(str(path)))
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith(SQLITE):
        path = Path(url.removeprefix(SQLITE))
        path.parent.mkdir(parents=True, exist_ok=True)
        with sqlite3.connect(path, timeout=BUSY_SECONDS) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.close()
        options = {"connect_args": {"timeout": BUSY_SECONDS}}
    try:
        # With Optuna's cache of finished trials.
        return optuna.storages.get_storage(RDBStorage(url, engine_kwargs=options))
    except (ImportError, sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError) as error:
        allowed = "sqlite:///FILE, journal:///FILE or postgresql+psycopg://HOST/NAME"
        raise UserError(
            fault("hydra.sweeper.storage", masked(url), f"{allowed} ({error})")
        ) from None


def masked(url: str) -> str:
    """The URL, without its password."""
    try:
        return sqlalchemy.engine.make_url(url).render_as_string(hide_password=True)
    except sqlalchemy.exc.ArgumentError:
        return url.partition("://")[0] + "://..."


def check_no_password(url: str) -> None:
    """Refuse a password that is written out: it would be in every file of the study.

    Args:
        url: as configured, with interpolations as they are written

    Raises:
        UserError: it has one.
    """
    if url.startswith("$") or "${oc.env:" in url:
        return
    try:
        password = sqlalchemy.engine.make_url(url).password
    except sqlalchemy.exc.ArgumentError:
        return
    if password is not None:
        allowed = "no password: put it into PGPASSWORD, or the URL into ${oc.env:NAME}"
        raise UserError(fault("hydra.sweeper.storage", masked(url), allowed))


def is_shared(url: str) -> bool:
    """Whether several drivers may write: SQLite has one writer."""
    return not url.startswith(SQLITE)


def is_trouble(error: BaseException) -> bool:
    """Whether it may be over the next time: no server, a full disk, a locked file."""
    return isinstance(error, TROUBLE)
