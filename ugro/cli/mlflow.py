"""Open the latest study's trials in MLflow: ``ugro mlflow``."""

import os
import subprocess
import sys
from pathlib import Path

from ugro.cli.arguments import parse
from ugro.cli.pages import HOST, announce, port_of
from ugro.cli.study_folders import STUDIES
from ugro.cli.track import DEFAULT, configured
from ugro.errors import UserError
from ugro.shell import command
from ugro.study.storage import file_of
from ugro.tracking.mlflow import trials_page

PORT = 5000
# No telemetry, and no job runner, which would start more processes.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def main(arguments: list[str]) -> None:
    """Serve MLflow's pages until Ctrl-C; print the address of the latest study's trials.

    Args:
        arguments: ``port=PORT``, ``uri=URI`` of MLflow's store

    Raises:
        UserError: there are no runs yet, or no such port.
    """
    given = parse("mlflow", arguments)
    port = port_of(given, PORT)
    config = configured(Path(), {"tracking": DEFAULT}).mlflow
    assert config is not None
    config.uri = given.get("uri", config.uri)
    store = str(config.uri)
    database = file_of(store)
    if database is not None and not database.exists():
        raise UserError(f"no runs in {database} yet; run: {command('sweep')}")
    os.environ |= QUIET
    announce(f"http://{HOST}:{port}/{trials_page(config)}", "trials of the latest study")
    server = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    server += ["--host", HOST, "--port", str(port), "--backend-store-uri", store]
    sys.exit(subprocess.call([*server, "--default-artifact-root", f"{STUDIES}/mlflow-artifacts"]))
