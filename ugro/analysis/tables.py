"""A study as tables: from its record, and from its event log where it has one.

Everything that analyses a study begins here; nothing else in this room reads storage or log.
"""

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from ugro.events.event_log import read as read_events
from ugro.paths import EVENTS
from ugro.study.study import Study, ending, group, metrics, source

# How a trial stands: an Outcome's value, or one of these.
RUNNING = "running"
OF_OTHERS = {  # where another program ran the trials
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "rung",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: RUNNING,
    TrialState.WAITING: "interrupted",
}
# Columns of every table of trials, whatever a study's keys and objectives are called.
FIXED = ("number", "state", "ending", "source", "error", "began", "ended", "seconds", "last_value")
TAKEN = (*FIXED, "reason")  # which is in trials.csv


@dataclass(frozen=True)
class Tables:
    """A study, running or finished, as it is now.

    Attributes:
        name: the study's
        objectives: their names, one or several
        directions: ``minimize`` or ``maximize``, one an objective
        searched: the keys that trials searched, and over what; a key (or an objective) that is
            called as another column is told apart by ``(searched)`` (or ``(objective)``)
        trials: a row a trial, by number. Columns: ``state`` (Optuna's, lower case), ``ending`` (an
            ``Outcome``'s value, or running), ``source``, ``error``, ``began`` and ``ended`` (Unix
            time, NaN where it is not known), ``seconds``; a column an objective, under its name,
            NaN unless the trial is complete, and one under ``measured NAME`` with what any trial
            measured of it, an infeasible one too; ``last_value``, the last number that its
            scheduler compared; the searched keys, NaN where a trial did not search one; every
            metric that trials measured, under its name, where no objective is called so.
        reports: a row an evaluation, in order. Columns: ``number``, ``tokens_seen``, ``value``
            (what the scheduler compared, in the direction of the first objective); from the log,
            besides: ``step``, ``total_tokens``, ``seconds`` (of training), ``time`` (Unix),
            ``rung``, ``stop`` (the Outcome's value with which it was told to stop, or None) and the
            reported metrics.
        spans: a row a stay of a trial in a slot. Columns: ``number``, ``worker``, ``began``,
            ``ended`` (Unix time; of a trial that runs, the time of the latest event)
        slots: how many trials could run at once. Columns: ``time``, ``slots``
        configuration: as the study was begun, interpolations as written; empty where it is unknown
        provenance: what its driver was run with
        total: trials that it shall have; None where nobody said
        finished_because: why the last driver ended; None while it runs, or where it was killed
        data: what a trial said of its data, counts in ``parts`` and ``notes``; empty where unknown
        overrides: of the command line that began it, or last went on with it
        sessions: a row a driver. Columns: ``by`` (who, where), ``began``, ``ended`` (Unix time; of
            one that runs or was killed, the time of its latest event)
        stays: seconds in slots by trial number, of earlier groups too; all else is of the newest
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

    @property
    def complete(self) -> pandas.DataFrame:
        """The trials with a value, the best first objective first."""
        done = self.trials[self.trials["state"] == "complete"]
        return done.sort_values(
            self.objectives[0], ascending=self.directions[0] == "minimize", kind="stable"
        )

    @property
    def slot_seconds(self) -> pandas.Series:
        """How long each trial has stayed in slots, by its number."""
        return _stays(self.spans)

    @property
    def is_ours(self) -> bool:
        """Whether UGRO ran it, and not another program."""
        return bool((self.trials["source"] != "").any())

    def column(self, key: str) -> str:
        """What a searched key's column is called: as the key, where nothing else is."""
        return _column(key, self.objectives)

    @property
    def baseline(self) -> int | None:
        """The number of the trial that ran the configuration as it was; None without one."""
        numbers = self.trials.index[self.trials["source"] == "baseline"]
        return int(numbers[0]) if len(numbers) else None


def tables_of(study: Study, folder: Path | None = None) -> Tables:
    """Read a study once.

    Args:
        study: its record
        folder: its own, with its event log; None, or a folder without one: the record alone
    """
    trials = study.trials()
    log = _Log(read_events(folder / EVENTS) if folder else ())
    recorded = _reports(trials)
    objectives = tuple(_free(one, TAKEN, "objective") for one in study.objectives)
    searched = study.searched()
    spans = log.spans() if log.spanned else _spans(study.of_all_groups())
    others = [trial.number for trial in study.of_all_groups() if group(trial) != study.group]
    return Tables(
        name=study.record.study_name,
        objectives=objectives,
        directions=study.directions,
        searched={_column(key, objectives): over for key, over in searched.items()},
        trials=_trials(trials, study.objectives, objectives, list(searched)),
        reports=recorded.merge(log.reports(), how="left", on=["number", "tokens_seen"]),
        spans=spans[~spans["number"].isin(others)].reset_index(drop=True),
        slots=pandas.DataFrame(log.counted, columns=["time", "slots"]),
        configuration=log.started.get("configuration", {}),
        provenance=log.started.get("provenance", {}),
        total=log.started.get("trials"),
        finished_because=log.finished_because,
        data=log.data,
        overrides=tuple(log.started.get("overrides", ())),
        sessions=log.sessions(),
        stays=_stays(spans),
    )


def _stays(spans: pandas.DataFrame) -> pandas.Series:
    stays = (spans["ended"] - spans["began"]).astype("float64")
    return stays.groupby(spans["number"]).sum()


def _column(key: str, objectives: Sequence[str]) -> str:
    return _free(key, {*TAKEN, *objectives, *map(_of_any, objectives)}, "searched")


def _of_any(objective: str) -> str:
    return f"measured {objective}"


def _free(name: str, taken: Container[str], what: str) -> str:
    return f"{name} ({what})" if name in taken else name


def _trials(
    trials: list[FrozenTrial],
    measured_as: Sequence[str],
    objectives: Sequence[str],
    keys: list[str],
) -> pandas.DataFrame:
    """A row a trial.

    Args:
        measured_as: what trials call the objectives among their metrics
        objectives: what their columns are called
        keys: that were searched
    """
    columns = {key: _column(key, objectives) for key in keys}
    head = [*FIXED, *objectives, *map(_of_any, objectives), *columns.values()]
    measured = dict.fromkeys(name for trial in trials for name in metrics(trial))
    names = [name for name in measured if name not in (*head, *TAKEN)]
    nothing = [float("nan")] * len(objectives)
    rows = []
    for trial in trials:
        how, found = ending(trial), metrics(trial)
        began, ended = trial.datetime_start, trial.datetime_complete
        values = trial.values if trial.state is TrialState.COMPLETE else None
        rows.append(
            {
                "number": trial.number,
                "state": trial.state.name.lower(),
                "ending": how.value if how else OF_OTHERS[trial.state],
                "source": source(trial),
                "error": trial.user_attrs.get("error", ""),
                "began": began.timestamp() if began else float("nan"),
                "ended": ended.timestamp() if ended else float("nan"),
                "seconds": trial.duration.total_seconds() if trial.duration else float("nan"),
                "last_value": _last(trial),
                **dict(zip(objectives, values or nothing, strict=True)),
                **{
                    _of_any(objective): found.get(name)
                    for objective, name in zip(objectives, measured_as, strict=True)
                },
                **{column: trial.params.get(key) for key, column in columns.items()},
                **{name: found.get(name) for name in names},
            }
        )
    return pandas.DataFrame(rows, columns=[*head, *names]).set_index("number")


def _last(trial: FrozenTrial) -> float:
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
    """From the record alone, which does not know workers."""
    rows = [
        (trial.number, "", trial.datetime_start.timestamp(), trial.datetime_complete.timestamp())
        for trial in trials
        if trial.datetime_start and trial.datetime_complete
    ]
    return pandas.DataFrame(rows, columns=["number", "worker", "began", "ended"])


class _Log:
    """What the event log tells beyond the record."""

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self.started: Mapping[str, Any] = {}
        self.finished_because: str | None = None
        self.data: Mapping[str, Any] = {}
        self.counted: list[tuple[float, int]] = []
        self.spanned: list[list[Any]] = []  # number, worker, began, ended
        self._reported: list[dict[str, Any]] = []
        self._sessions: list[list[Any]] = []  # by, began, ended
        self._session_of: dict[str, list[Any]] = {}
        self._open: dict[int, list[Any]] = {}
        self._latest = 0.0
        for said in events:
            self._latest = said["time"]
            self._hear(said)
            self._lasts(said)
        for span in self._open.values():
            span[3] = self._latest

    def _hear(self, said: Mapping[str, Any]) -> None:
        match said["event"]:
            case "StudyStarted":
                self.started, self.finished_because = said, None
            case "StudyFinished":
                self.finished_because = said["reason"]
            case "SlotsCounted":
                self.counted.append((said["time"], said["slots"]))
            case "TrialStarted":
                self._close(said)
                span = [said["number"], said.get("worker", ""), said["time"], said["time"]]
                self._open[said["number"]] = span
                self.spanned.append(span)
            case "TrialReported":
                self._reported.append(dict(said))
            case "TrialRetried":
                self._close(said)
            case "TrialFinished":
                self._close(said)
                if data := said.get("provenance", {}).get("data"):
                    self.data = json.loads(data)

    def _lasts(self, said: Mapping[str, Any]) -> None:
        """Whoever writes an event runs until then at least."""
        by, at = said.get("by", ""), said["time"]
        if said["event"] == "StudyStarted" or by not in self._session_of:
            self._session_of[by] = [by, at, at]
            self._sessions.append(self._session_of[by])
        self._session_of[by][2] = at

    def _close(self, said: Mapping[str, Any]) -> None:
        span = self._open.pop(said["number"], None)
        if span is not None:
            span[3] = said["time"]

    def reports(self) -> pandas.DataFrame:
        """The reports' further columns; of one that was repeated, the latest."""
        found = pandas.DataFrame(self._reported)
        if found.empty:
            return pandas.DataFrame({"number": [], "tokens_seen": []}).astype("int64")
        found = found.drop(columns=["event", "utc", "by"])
        return found.drop_duplicates(["number", "tokens_seen"], keep="last")

    def sessions(self) -> pandas.DataFrame:
        """Which driver ran, and when."""
        return pandas.DataFrame(self._sessions, columns=["by", "began", "ended"])

    def spans(self) -> pandas.DataFrame:
        """Who was where, and when."""
        return pandas.DataFrame(self.spanned, columns=["number", "worker", "began", "ended"])
