"""Run a trial again and compare: ``ugro reproduce study.name=NAME trial=7``."""

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from optuna.trial import FrozenTrial
from rich import box
from rich.console import Console
from rich.table import Table

from ugro.analysis.reproduction import Change, Number, Ran, Reproduction, reproduction_of
from ugro.cli.rerun import AsFar, configuration_of, provenance_of, reports_of, run_again, stop_of
from ugro.cli.study_lookup import StudyArguments, study_arguments
from ugro.config import register_schema
from ugro.errors import UserError, fault
from ugro.paths import LOG, REPRODUCED, trial_folder, write_atomically
from ugro.plugins.sweeper import register_plugins
from ugro.study.study import metrics

COMPARISON = "reproduction.json"
OF_THE_END = "the end"


def main(arguments: list[str]) -> None:
    """Run a trial of ``study.name=NAME`` again, as far as it was run, and compare.

    ``trial=7`` says which, ``to=FOLDER`` where it is run, by default in ``reproduced/`` of the
    study's folder; ``tolerance=0.01`` how far a number may be off. The study is not touched. Exits
    with 1 where it does not come out the same.

    Raises:
        UserError: there is no such trial, or its configuration is of another version of UGRO.
    """
    register_schema()
    register_plugins()
    what = study_arguments(arguments, ["trial", "to", "tolerance"])
    trial, tolerance = _trial(what), _tolerance(what)
    folder = trial_folder(what.folder, trial.number)
    then = Ran(
        list(reports_of(folder)),
        metrics(trial),
        provenance_of(folder),
        trial.user_attrs.get("error", ""),
    )
    config = configuration_of(folder)
    if threads := then.provenance.get("threads"):
        os.environ["OMP_NUM_THREADS"] = threads  # sums depend on it; torch reads it when imported
    into = _into(what, trial.number)
    logging.basicConfig(filename=into / LOG, level=logging.INFO)
    logging.captureWarnings(True)
    console = Console()
    told = f"Trial {trial.number} of study {what.name}, run again in {into}"
    console.print(told, markup=False, highlight=False, soft_wrap=True)
    channel = AsFar(then, stop_of(what.folder, trial.number, then), console)
    found = reproduction_of(then, run_again(config, into, channel), tolerance)
    told_whole = {**asdict(found), "verdict": found.verdict, "succeeded": found.succeeded}
    write_atomically(into / COMPARISON, json.dumps(told_whole, indent=1))
    show(found, then.provenance, console)
    sys.exit(0 if found.succeeded else 1)


def _trial(what: StudyArguments) -> FrozenTrial:
    known = {trial.number: trial for trial in what.study().of_all_groups()}
    given = what.more.get("trial", "")
    if not given.isdigit() or int(given) not in known:
        allowed = f"the number of one of the {len(known)} trials of study {what.name}"
        raise UserError(fault("trial", given or None, allowed))
    return known[int(given)]


def _tolerance(what: StudyArguments) -> float | None:
    given = what.more.get("tolerance")
    if given is None:
        return None
    try:
        tolerance = float(given)
    except ValueError:
        tolerance = -1.0
    if not tolerance >= 0:
        raise UserError(fault("tolerance", given, "0 or more, as a share of a value"))
    return tolerance


def _into(what: StudyArguments, number: int) -> Path:
    """A new folder."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    into = Path(what.more.get("to") or what.folder / REPRODUCED / f"{number:04d}-{now}")
    if into.exists():
        raise UserError(fault("to", str(into), "a folder that does not exist yet"))
    into.mkdir(parents=True)
    return into


def show(found: Reproduction, then: Mapping[str, str], console: Console) -> None:
    """Print the numbers that differ and those of the end, what was changed, and the verdict.

    Args:
        found: what came of it
        then: what the trial was run with
        console: where it is printed
    """
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("at step", "", "then", "now", "off by"):
        table.add_column(column, justify="right")
    for one in found.numbers:
        if one.off or one.step is None:
            table.add_row(*_row(one))
    console.print(table)
    for change in found.changes:
        console.print(_told(change), markup=False, highlight=False, soft_wrap=True)
    if then.get("git_dirty", "0") != "0":
        console.print(
            f"It was run with changes in {then['git_dirty']} files that are in no commit.",
            highlight=False,
        )
    console.print(found.verdict, markup=False, highlight=False, soft_wrap=True)


def _row(one: Number) -> list[str]:
    at = OF_THE_END if one.step is None else str(one.step)
    return [at, one.name, repr(one.then), repr(one.now), f"{one.off:.1g}" if one.off else "0"]


def _told(change: Change) -> str:
    then, now = change.then or "not written down", change.now or "not written down"
    if change.is_another_training:
        return f"{change.name}: {then} then, {now} now: another training"
    effect = "no effect" if change.is_without_effect else "may change the last digits"
    return f"{change.name}: {then} then, {now} now ({effect})"
