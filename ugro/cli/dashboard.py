"""Open a study in optuna-dashboard: ``ugro dashboard study.name=NAME``."""

import subprocess
import sys
from pathlib import Path

from ugro.cli.arguments import parse
from ugro.cli.pages import HOST, announce, port_of
from ugro.cli.study_lookup import find_study
from ugro.study.storage import file_of

PORT = 8080


def main(arguments: list[str]) -> None:
    """Serve a study's pages until Ctrl-C.

    Args:
        arguments: the study, by default the latest, and ``port=PORT``

    Raises:
        UserError: there is no such study, or no such port.
    """
    given = parse("dashboard", arguments)
    where, port = find_study(given), port_of(given, PORT)
    number = where.study().record._study_id  # the dashboard's address has no name
    announce(f"http://{HOST}:{port}/dashboard/studies/{number}", f"study {where.name}")
    command = [Path(sys.executable).with_name("optuna-dashboard"), "--host", HOST, "--port", port]
    sys.exit(subprocess.call([*map(str, command), _read_only(where.storage)]))


def _read_only(storage: str) -> str:
    """Open SQLite without writing: its only writer is the driver."""
    database = file_of(storage)
    return storage if database is None else f"sqlite:///file:{database}?mode=ro&uri=true"
