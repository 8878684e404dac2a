"""Tables of a study, read from its record and its event log.

Every analysis starts from these tables; other modules of this package read neither record nor log,
except for confirmations.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from ugro.analysis.event_log_tables import EventLogTables
from ugro.events.event_log import read as read_events
from ugro.events.outcome import Outcome
from ugro.paths import EVENTS
from ugro.study.study import Study
from ugro.study.trial_record import group, metrics, recorded_outcome, source

# Status of a trial: the value of an Outcome, or one of these.
RUNNING = "running"
# Statuses of trials that have not ended.
OPEN = (RUNNING, Outcome.INTERRUPTED.value, Outcome.PAUSED.value)
STATUS_OF_STATE = {  # status by state for trials of other programs
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "rung",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: RUNNING,
    TrialState.WAITING: "interrupted",
}
# Columns of every trials table; keys and objectives with these names get a suffix.
FIXED = ("number", "state", "ending", "source", "error", "began", "ended", "seconds", "last_value")
RESERVED = (*FIXED, "reason")  # a column of trials.csv


@dataclass(frozen=True)
class Tables:
    """Snapshot of a running or finished study.

    Attributes:
        name: name of the study
        objectives: names of the objectives
        directions: ``minimize`` or ``maximize`` for each objective
        searched: distributions of the searched keys. A key or objective with the name of another
            column gets the suffix ``(searched)`` or ``(objective)``
        trials: a row per trial, indexed by number. Columns: ``state`` (Optuna's, lower case),
            ``ending`` (an ``Outcome``'s value, or running), ``source``, ``error``, ``began`` and
            ``ended`` (Unix time, NaN if unknown), ``seconds``; each objective (NaN unless the trial
            is complete) and ``measured OBJECTIVE`` (also for infeasible trials); ``last_value``,
            the last value that the scheduler compared; each searched key (NaN if the trial did not
            search it); each measured metric that is not an objective
        reports: a row per evaluation, in order. Columns: ``number``, ``tokens_seen``, ``value``
            (compared by the scheduler, in the direction of the first objective); from the event
            log: ``step``, ``total_tokens``, ``seconds`` (of training), ``time`` (Unix), ``rung``,
            ``stop`` (Outcome's value of the stop signal, or None) and the reported metrics
        spans: a row per run of a trial in a slot. Columns: ``number``, ``worker``, ``began``,
            ``ended`` (Unix time; for running trials the time of the latest event)
        slots: number of slots over time. Columns: ``time``, ``slots``
        configuration: initial configuration with unresolved interpolations; empty if unknown
        provenance: provenance of the driver
        total: planned number of trials; None if unknown
        finished_because: why the last driver ended; None if it runs or was killed
        data: document counts (``parts``) and ``notes`` of a trial; empty if unknown
        overrides: command-line overrides of the driver that started or last resumed the study
        sessions: a row per driver. Columns: ``by`` (name and host), ``began``, ``ended`` (Unix
            time; for running or killed drivers the time of their latest event)
        stays: seconds in slots by trial number, including earlier groups; everything else covers
            only the newest group
        folder: folder of the study, with the trials' folders; None if unknown
        model: model by which the sampler proposed in the end, and why; empty if it never changed
    """

    name: str
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    searched: Mapping[str, BaseDistribution]
    trials: pandas.DataFrame
    reports: pandas.DataFrame
    spans: pandas.DataFrame
    slots: pandas.DataFrame
    configuration: Mapping[str, Any]
    provenance: Mapping[str, str]
    total: int | None
    finished_because: str | None
    data: Mapping[str, Any]
    overrides: tuple[str, ...]
    sessions: pandas.DataFrame
    stays: pandas.Series
    folder: Path | None = None
    model: str = ""

    @property
    def complete(self) -> pandas.DataFrame:
        """Complete trials, sorted by the first objective, the best first."""
        done = self.trials[self.trials["state"] == "complete"]
        return done.sort_values(
            self.objectives[0], ascending=self.directions[0] == "minimize", kind="stable"
        )

    @property
    def slot_seconds(self) -> pandas.Series:
        """Seconds in slots by trial number."""
        return _stays(self.spans)

    @property
    def is_ours(self) -> bool:
        """Whether UGRO ran the study, rather than another program."""
        return bool((self.trials["source"] != "").any())

    def column(self, key: str) -> str:
        """Return the column name of a searched key, with a suffix if the name is taken."""
        return _column(key, self.objectives)

    @property
    def baseline(self) -> int | None:
        """Number of the baseline trial; None without a baseline."""
        numbers = self.trials.index[self.trials["source"] == "baseline"]
        return int(numbers[0]) if len(numbers) else None


def tables_of(study: Study, folder: Path | None = None) -> Tables:
    """Read the tables of a study.

    Args:
        study: record of the study
        folder: folder of the study with its event log; without a log only the record is used
    """
    trials = study.trials()
    log = EventLogTables(read_events(folder / EVENTS) if folder else ())
    recorded = _reports(trials)
    objectives = tuple(_unique_name(name, RESERVED, "objective") for name in study.objectives)
    searched = study.searched()
    spans = log.spans() if log.trial_spans else _spans(study.of_all_groups())
    others = [trial.number for trial in study.of_all_groups() if group(trial) != study.group]
    return Tables(
        name=study.record.study_name,
        objectives=objectives,
        directions=study.directions,
        searched={_column(key, objectives): over for key, over in searched.items()},
        trials=_trials(trials, study.objectives, objectives, list(searched)),
        reports=recorded.merge(log.reports(), how="left", on=["number", "tokens_seen"]),
        spans=spans[~spans["number"].isin(others)].reset_index(drop=True),
        slots=pandas.DataFrame(log.slot_counts, columns=["time", "slots"]),
        configuration=log.started.get("configuration", {}),
        provenance=log.started.get("provenance", {}),
        total=log.started.get("trials"),
        finished_because=log.finished_because,
        data=log.data,
        overrides=tuple(log.started.get("overrides", ())),
        sessions=log.sessions(),
        stays=_stays(spans),
        folder=folder,
        model=log.model,
    )


def _stays(spans: pandas.DataFrame) -> pandas.Series:
    stays = (spans["ended"] - spans["began"]).astype("float64")
    return stays.groupby(spans["number"]).sum()


def _column(key: str, objectives: Sequence[str]) -> str:
    return _unique_name(
        key, {*RESERVED, *objectives, *map(_measured_column, objectives)}, "searched"
    )


def _measured_column(objective: str) -> str:
    return f"measured {objective}"


def _unique_name(name: str, taken: Container[str], what: str) -> str:
    return f"{name} ({what})" if name in taken else name


def _trials(
    trials: list[FrozenTrial],
    measured_as: Sequence[str],
    objectives: Sequence[str],
    keys: list[str],
) -> pandas.DataFrame:
    """Build the table of trials.

    Args:
        trials: trials of the study
        measured_as: names of the objectives among the trials' metrics
        objectives: column names of the objectives
        keys: searched keys
    """
    columns = {key: _column(key, objectives) for key in keys}
    head = [*FIXED, *objectives, *map(_measured_column, objectives), *columns.values()]
    measured = dict.fromkeys(name for trial in trials for name in metrics(trial))
    names = [name for name in measured if name not in (*head, *RESERVED)]
    nothing = [float("nan")] * len(objectives)
    rows = []
    for trial in trials:
        how, found = recorded_outcome(trial), metrics(trial)
        began, ended = trial.datetime_start, trial.datetime_complete
        values = trial.values if trial.state is TrialState.COMPLETE else None
        rows.append(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "ending": how.value if how else STATUS_OF_STATE[trial.state],
                "source": source(trial),
                "error": trial.user_attrs.get("error", ""),
                "began": began.timestamp() if began else float("nan"),
                "ended": ended.timestamp() if ended else float("nan"),
                "seconds": trial.duration.total_seconds() if trial.duration else float("nan"),
                "last_value": _last_value(trial),
                **dict(zip(objectives, values or nothing, strict=True)),
                **{
                    _measured_column(objective): found.get(name)
                    for objective, name in zip(objectives, measured_as, strict=True)
                },
                **{column: trial.params.get(key) for key, column in columns.items()},
                **{name: found.get(name) for name in names},
            }
        )
    return pandas.DataFrame(rows, columns=[*head, *names]).set_index("number")


def _last_value(trial: FrozenTrial) -> float:
    last = trial.last_step
    return float("nan") if last is None else trial.intermediate_values[last]


def _reports(trials: list[FrozenTrial]) -> pandas.DataFrame:
    rows = [
        (trial.number, resource, value)
        for trial in trials
        for resource, value in sorted(trial.intermediate_values.items())
    ]
    return pandas.DataFrame(rows, columns=["number", "tokens_seen", "value"])


def _spans(trials: list[FrozenTrial]) -> pandas.DataFrame:
    """Derive spans from the record, which does not know workers."""
    rows = [
        (trial.number, "", trial.datetime_start.timestamp(), trial.datetime_complete.timestamp())
        for trial in trials
        if trial.datetime_start and trial.datetime_complete
    ]
    return pandas.DataFrame(rows, columns=["number", "worker", "began", "ended"])
