"""Read runs from the files of Weights & Biases, without its server.

A table of runs is a CSV file: downloaded from a workspace, or written from ``wandb.Api().runs()``.
A folder of runs has a folder for each, ``run-DATE_TIME-ID`` or ``offline-run-DATE_TIME-ID``, with
``files/config.yaml`` and ``files/wandb-summary.json``, or the log ``run-ID.wandb`` alone.
"""

import ast
import csv
import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ugro.errors import UserError, fault
from ugro.study.importing.wandb_log import run_of_log
from ugro.study.importing.wandb_run import FINISHED, Run, flat, local, number

CONFIG, SUMMARY, METADATA = "config.yaml", "wandb-summary.json", "wandb-metadata.json"
# Columns of a table of runs that are neither parameters nor metrics, in lower case
ABOUT = (
    *("name", "id", "state", "notes", "user", "tags", "created", "updated", "end time", "runtime"),
    *("sweep", "group", "job type", "hostname", "host", "github", "git commit", "commit", "path"),
    *("agent", "project", "entity", "url", "description", "gpu type", "gpu count", "cpu count"),
)
NO_NUMBER = re.compile(r"(?<=: )(nan|-?inf)(?=[,}\]])")  # which Python's literals lack


def runs_of(path: Path) -> list[Run]:
    """Read the runs of a CSV file or of a folder, oldest first.

    Args:
        path: a file of a row per run, or a folder with the runs' folders

    Raises:
        UserError: there is no such file, or it holds no runs.
    """
    if not path.exists():
        raise UserError(fault("wandb", str(path), "a CSV file or a folder that exists"))
    runs = list(_runs_in(path) if path.is_dir() else _rows(path))
    if not runs:
        allowed = f"a CSV file with a row per run, or a folder with files/{CONFIG} or .wandb files"
        raise UserError(fault("wandb", str(path), allowed))
    if all(run.began for run in runs):
        runs.sort(key=lambda run: run.began or datetime.max)
    return runs


def _rows(path: Path) -> Iterator[Run]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                yield _run_of_row({name: cell for name, cell in row.items() if name and cell})
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(fault("wandb", str(path), f"a CSV file ({error})")) from error


def _run_of_row(row: Mapping[str, str]) -> Run:
    about = {name.lower(): cell for name, cell in row.items() if name.lower() in ABOUT}
    config, summary = _dictionary(row.get("config")), _dictionary(row.get("summary"))
    is_mixed = config is None or summary is None
    if config is None or summary is None:
        plain = {name: _value(cell) for name, cell in row.items() if name.lower() not in ABOUT}
        config = summary = {name: value for name, value in plain.items() if value is not None}
    seconds = number(_value(about.get("runtime", "")))
    return Run(
        about.get("name", about.get("id", "")),
        about.get("state", FINISHED).lower(),
        flat(config),
        flat(summary),
        began=local(about.get("created", "")),
        seconds=seconds,
        is_mixed=is_mixed,
    )


def _dictionary(cell: str | None) -> dict[str, Any] | None:
    """Parse a dictionary that pandas wrote into a cell; None if it is none."""
    try:
        value = ast.literal_eval(NO_NUMBER.sub("None", cell or ""))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _value(cell: str) -> Any:
    """Parse a cell: a number, true, false, null, a list, or text."""
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(cell, cell))
    except ValueError:
        return cell


def _runs_in(folder: Path) -> Iterator[Run]:
    seen = set()
    logs = (path.parent for path in folder.rglob("*.wandb"))
    files = (path.parent for name in (SUMMARY, CONFIG) for path in folder.rglob(name))
    for found in sorted({_folder_of(path) for path in [*logs, *files]}):
        real = found.resolve()  # latest-run is a link
        if real not in seen and (run := _run_in(found)) is not None:
            seen.add(real)
            yield run


def _folder_of(path: Path) -> Path:
    """Return a run's folder, of which ``files`` is a part."""
    return path.parent if path.name == "files" else path


def _run_in(folder: Path) -> Run | None:
    """Read a run; None if the folder is not a run's."""
    files = folder / "files" if (folder / "files").is_dir() else folder
    log = next(iter(sorted(folder.glob("*.wandb"))), None)
    if not (files / CONFIG).exists() and log is not None:
        return run_of_log(log)
    config, summary = _yaml(files / CONFIG), _json(files / SUMMARY)
    if not (files / SUMMARY).exists() and not {"_wandb", "wandb_version"} & set(config):
        return None  # another program's config.yaml
    values = {
        name: one["value"]
        for name, one in config.items()
        if isinstance(one, dict) and "value" in one
    }
    seconds = number(summary.get("_runtime"))
    began, stamp = (
        local(str(_json(files / METADATA).get("startedAt", ""))),
        summary.get("_timestamp"),
    )
    if began is None and (ended := number(stamp)) is not None:
        began = datetime.fromtimestamp(ended - (seconds or 0.0))
    state = FINISHED if summary else "crashed"
    return Run(folder.name, state, flat(values), flat(summary), began=began, seconds=seconds)


def _yaml(path: Path) -> dict[str, Any]:
    return _read(path, yaml.safe_load, yaml.YAMLError)


def _json(path: Path) -> dict[str, Any]:
    return _read(path, json.loads, ValueError)


def _read(path: Path, load: Any, error: type[Exception]) -> dict[str, Any]:
    """Read a file's mapping; empty if there is no file."""
    if not path.exists():
        return {}
    try:
        content = load(path.read_text(encoding="utf-8"))
    except (error, UnicodeDecodeError) as damaged:
        why = str(damaged).splitlines()[0]
        raise UserError(fault("wandb", str(path), f"a file that can be read ({why})")) from damaged
    return content if isinstance(content, dict) else {}
