"""Tables of a study, read from its event log."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas


class EventLogTables:
    """Data of a study that only its event log holds.

    Args:
        events: events in the order of the log

    Attributes:
        started: latest ``StudyStarted`` event, or empty
        finished_because: why the last driver ended; None if it runs or was killed
        data: document counts and notes of a trial
        counted: time and number of slots
        spanned: number, worker, start and end of each run of a trial
    """

    def __init__(self, events: Iterable[Mapping[str, Any]]) -> None:
        self.started: Mapping[str, Any] = {}
        self.finished_because: str | None = None
        self.model = ""
        self.data: Mapping[str, Any] = {}
        self.slot_counts: list[tuple[float, int]] = []
        self.trial_spans: list[list[Any]] = []  # number, worker, began, ended
        self._reported: list[dict[str, Any]] = []
        self._sessions: list[list[Any]] = []  # by, began, ended
        self._session_of: dict[str, list[Any]] = {}
        self._open: dict[int, list[Any]] = {}
        self._latest = 0.0
        for event in events:
            self._latest = event["time"]
            self._read(event)
            self._extend_session(event)
        for span in self._open.values():
            span[3] = self._latest

    def _read(self, event: Mapping[str, Any]) -> None:
        match event["event"]:
            case "StudyStarted":
                self.started, self.finished_because = event, None
            case "StudyFinished":
                self.finished_because = event["reason"]
            case "ModelChanged":
                self.model = f"{event['model']}: {event['reason']}"
            case "SlotsCounted":
                self.slot_counts.append((event["time"], event["slots"]))
            case "TrialStarted":
                self._close(event)
                span = [event["number"], event.get("worker", ""), event["time"], event["time"]]
                self._open[event["number"]] = span
                self.trial_spans.append(span)
            case "TrialReported":
                self._reported.append(dict(event))
            case "TrialRetried" | "TrialPaused":
                self._close(event)
            case "TrialFinished":
                self._close(event)
                if data := event.get("provenance", {}).get("data"):
                    self.data = json.loads(data)

    def _extend_session(self, event: Mapping[str, Any]) -> None:
        """Extend the session of the driver that wrote the event."""
        by, at = event.get("by", ""), event["time"]
        if event["event"] == "StudyStarted" or by not in self._session_of:
            self._session_of[by] = [by, at, at]
            self._sessions.append(self._session_of[by])
        self._session_of[by][2] = at

    def _close(self, event: Mapping[str, Any]) -> None:
        span = self._open.pop(event["number"], None)
        if span is not None:
            span[3] = event["time"]

    def reports(self) -> pandas.DataFrame:
        """Return the logged reports, the latest of repeated reports."""
        reports = pandas.DataFrame(self._reported)
        if reports.empty:
            return pandas.DataFrame({"number": [], "tokens_seen": []}).astype("int64")
        reports = reports.drop(columns=["event", "utc", "by"])
        return reports.drop_duplicates(["number", "tokens_seen"], keep="last")

    def sessions(self) -> pandas.DataFrame:
        """Return a row per driver."""
        return pandas.DataFrame(self._sessions, columns=["by", "began", "ended"])

    def spans(self) -> pandas.DataFrame:
        """Return a row per run of a trial in a slot."""
        return pandas.DataFrame(self.trial_spans, columns=["number", "worker", "began", "ended"])
