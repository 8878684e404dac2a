"""Run a trial again and compare its numbers: ``ugro reproduce study.name=NAME trial=7``."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from ugro.analysis.reproduction import Change, Number, Reproduction, TrialRun, reproduction_of
from ugro.cli.arguments import parse
from ugro.cli.rerun import (
    ReplayChannel,
    configuration_of,
    provenance_of,
    reports_of,
    run_again,
    stop_of,
)
from ugro.cli.study_lookup import StudyLocation, find_study
from ugro.config import register_schema
from ugro.errors import UserError, fault
from ugro.paths import LOG, REPRODUCED, trial_folder, write_atomically
from ugro.plugins.sweeper import register_plugins
from ugro.study.trial_record import metrics

COMPARISON = "reproduction.json"
AT_END = "the end"


def main(arguments: list[str]) -> None:
    """Run a trial of a study again, up to the step that it reached, and compare the numbers.

    The study is not changed. Exit with 1 if the numbers differ.

    Args:
        arguments: the study, ``trial=NUMBER``, ``to=FOLDER`` (a new one, by default in the study's
            ``reproduced/``), ``tolerance=SHARE`` of a value

    Raises:
        UserError: there is no such trial, or its configuration is of another version of UGRO.
    """
    register_schema()
    register_plugins()
    given = parse("reproduce", arguments)
    where = find_study(given)
    trial, tolerance = where.trial(given.get("trial")), _tolerance(given.get("tolerance"))
    folder = trial_folder(where.folder, trial.number)
    then = TrialRun(
        list(reports_of(folder)),
        metrics(trial),
        provenance_of(folder),
        trial.user_attrs.get("error", ""),
    )
    config = configuration_of(folder)
    if threads := then.provenance.get("threads"):
        os.environ["OMP_NUM_THREADS"] = threads  # sums depend on it; torch reads it when imported
    into = _new_folder(where, trial.number, given.get("to"))
    logging.basicConfig(filename=into / LOG, level=logging.INFO)
    logging.captureWarnings(True)
    console = Console()
    title = f"Trial {trial.number} of study {where.name}, run again in {into}"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    channel = ReplayChannel(then, stop_of(where.folder, trial.number, then), console)
    found = reproduction_of(then, run_again(config, into, channel), tolerance)
    written = {**asdict(found), "verdict": found.verdict, "succeeded": found.succeeded}
    write_atomically(into / COMPARISON, json.dumps(written, indent=1))
    show(found, then.provenance, console)
    sys.exit(0 if found.succeeded else 1)


def _tolerance(given: str | None) -> float | None:
    if given is None:
        return None
    try:
        tolerance = float(given)
    except ValueError:
        tolerance = -1.0
    if not tolerance >= 0:
        raise UserError(fault("tolerance", given, "0 or more, as a share of a value"))
    return tolerance


def _new_folder(where: StudyLocation, number: int, to: str | None) -> Path:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    into = Path(to or where.folder / REPRODUCED / f"{number:04d}-{now}")
    if into.exists():
        raise UserError(fault("to", str(into), "a folder that does not exist yet"))
    into.mkdir(parents=True)
    return into


def show(found: Reproduction, then: Mapping[str, str], console: Console) -> None:
    """Print the numbers that differ, the final ones, the changes in the setup, and the verdict.

    Args:
        found: the comparison
        then: the trial's provenance
        console: to print to
    """
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("at step", "", "then", "now", "off by"):
        table.add_column(column, justify="right")
    for one in found.numbers:
        if one.relative_difference or one.step is None:
            table.add_row(*_row(one))
    console.print(table)
    for change in found.changes:
        console.print(_change(change), markup=False, highlight=False, soft_wrap=True)
    if then.get("git_dirty", "0") != "0":
        console.print(
            f"It was run with changes in {then['git_dirty']} files that are in no commit.",
            highlight=False,
        )
    console.print(found.verdict, markup=False, highlight=False, soft_wrap=True)


def _row(one: Number) -> list[str]:
    at = AT_END if one.step is None else str(one.step)
    return [
        at,
        one.name,
        repr(one.then),
        repr(one.now),
        f"{one.relative_difference:.1g}" if one.relative_difference else "0",
    ]


def _change(change: Change) -> str:
    then, now = change.then or "not written down", change.now or "not written down"
    if change.is_another_training:
        return f"{change.name}: {then} then, {now} now: another training"
    effect = "no effect" if change.is_without_effect else "may change the last digits"
    return f"{change.name}: {then} then, {now} now ({effect})"
