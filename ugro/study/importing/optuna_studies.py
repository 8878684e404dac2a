"""Read a study of another program that uses Optuna."""

import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from ugro.errors import UserError, fault
from ugro.events.outcome import Outcome
from ugro.study.backup import backup
from ugro.study.importing.foreign_study import ForeignStudy, Measured, ended_trial
from ugro.study.importing.renamed_keys import check_renaming, renamed
from ugro.study.storage import file_of, redacted_url
from ugro.study.study import Study, silence_optuna
from ugro.study.trial_record import (
    GROUP,
    REASON,
    last_value,
    metrics,
    recorded_outcome,
    searched_by,
    source,
    state_of,
)

OUTCOMES = {
    TrialState.COMPLETE: Outcome.COMPLETE,
    TrialState.PRUNED: Outcome.RUNG,
    TrialState.FAIL: Outcome.FAILED,
}
CONSTRAINTS = "constraints"  # system attribute: a value above 0 is a violation
# Attributes with a meaning in UGRO's records
RESERVED = (GROUP, REASON, "source", "driver", "metrics", "retried", "error", "traceback")


def snapshot(url: str, folder: Path) -> str:
    """Copy a SQLite database, and upgrade the copy if an earlier Optuna wrote it.

    The original is only read, also while its program runs.

    Args:
        url: of the storage
        folder: for the copy

    Returns:
        URL of the copy; of other storages, the same URL.

    Raises:
        UserError: the database cannot be copied.
    """
    database = file_of(url)
    if database is None:
        return url
    silence_optuna()
    copy = f"sqlite:///{folder / database.name}"
    try:
        backup(database, folder / database.name, "")
    except UserError as error:
        allowed = f"a database of Optuna ({error.__cause__ or error})"
        raise UserError(fault("storage", redacted_url(url), allowed)) from error
    _upgrade(copy)
    return copy


def _upgrade(url: str) -> None:
    """Upgrade a database to this Optuna's schema; one of a later Optuna is left as it is."""
    storage = RDBStorage(url, skip_compatibility_check=True)
    current = storage.get_current_version()
    if current != storage.get_head_version() and current in storage.get_all_versions():
        logging.disable(logging.INFO)  # a line per step
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the classes of earlier distributions
            storage.upgrade()
        logging.disable(logging.NOTSET)
    storage.engine.dispose()


def foreign_study(
    study: Study, origin: str, keys: Mapping[str, str], objectives: Sequence[str] = ()
) -> ForeignStudy:
    """Read the ended trials of a study.

    Trials that run or wait are left out. A complete trial that violates Optuna's constraints is
    infeasible, as its value does not count.

    Args:
        study: the other program's
        origin: where it is, in words
        keys: new names of parameters
        objectives: new names of the objectives; by default as they are

    Raises:
        UserError: ``keys`` or ``objectives`` do not fit the study.
    """
    named, trials = study.objectives, study.every()
    if objectives and len(objectives) != len(named):
        allowed = f"{len(named)} names, for {', '.join(named)}"
        raise UserError(fault("objective", ", ".join(objectives), allowed))
    named = tuple(objectives) or named
    ended = {trial.number: trial for trial in study.trials() if trial.state.is_finished()}
    check_renaming(searched_by(ended.values()), keys)
    return ForeignStudy(
        origin,
        named,
        study.directions,
        {number: _imported(trial, study, named, keys) for number, trial in ended.items()},
        Counter(
            trial.state.name.lower() if not trial.state.is_finished() else "of an earlier group"
            for trial in trials
            if trial.number not in ended and recorded_outcome(trial) is not Outcome.WITHDRAWN
        ),
    )


def _imported(
    trial: FrozenTrial, study: Study, objectives: Sequence[str], keys: Mapping[str, str]
) -> FrozenTrial:
    outcome = _outcome(trial)
    has_values = trial.state is TrialState.COMPLETE and trial.values is not None
    values = dict(zip(objectives, trial.values, strict=True)) if has_values else {}
    last = (last_value(trial) or ()) if len(objectives) == 1 else ()
    error = trial.user_attrs.get("error")
    others = {
        name: value
        for name, value in trial.user_attrs.items()
        if name not in RESERVED and not _is_number(value)
    }
    own = {"source": source(trial)} if study.id else {}
    return ended_trial(
        renamed(trial.params, keys),
        renamed(trial.distributions, keys),
        Measured(
            outcome,
            trial.values if outcome.has_value else last,
            {**dict(_numbers(trial)), **values},
            trial.intermediate_values,
            error if isinstance(error, str) else "",
        ),
        trial.datetime_start,
        trial.datetime_complete,
        {**others, **own},
    )


def _outcome(trial: FrozenTrial) -> Outcome:
    known = recorded_outcome(trial)
    if known is not None and state_of(known) is trial.state:
        return known
    violated = trial.system_attrs.get(CONSTRAINTS) or ()
    if trial.state is TrialState.COMPLETE and any(value > 0 for value in violated):
        return Outcome.INFEASIBLE
    return OUTCOMES[trial.state]


def _numbers(trial: FrozenTrial) -> Iterator[tuple[str, float]]:
    """Yield the metrics: other programs store them as attributes of the trial."""
    for name, value in {**trial.user_attrs, **metrics(trial)}.items():
        if name not in RESERVED and _is_number(value):
            yield name, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
