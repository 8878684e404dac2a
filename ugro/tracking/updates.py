"""Updates of runs, independent of any tracker, and the interface of trackers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

Status = Enum("Status", ["running", "finished", "failed", "killed"])


@dataclass(frozen=True)
class Point:
    """A measured value.

    Attributes:
        name: of the metric
        value: in the metric's unit
        step: of the measurement
        time: of the event, Unix time
        tokens: trained on so far, for a point of a trial's curve; None: a final result
    """

    name: str
    value: float
    step: int
    time: float
    tokens: int | None = None


@dataclass(frozen=True)
class Table:
    """Columns and order of a table of trials, best first.

    Attributes:
        metric: that orders the trials
        ascending: whether smaller is better
        parameters: that differ between the trials
    """

    metric: str
    ascending: bool
    parameters: tuple[str, ...]


@dataclass
class RunUpdate:
    """New information about a run.

    Attributes:
        trial: its number; None: the study's own run
        name: of the run
        time: of the first event in the update, Unix time
        parameters: values that never change
        tags: values that may change
        points: of curves, and final results
        status: None: unchanged
        ended: Unix time of the final status
        files: to upload; missing files are skipped
        description: Markdown; empty: unchanged
        table: of the study's own run; None: unchanged
    """

    trial: int | None
    name: str
    time: float
    parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    status: Status | None = None
    ended: float | None = None
    files: list[Path] = field(default_factory=list)
    description: str = ""
    table: Table | None = None


@dataclass(frozen=True)
class StudyFile:
    """A file that belongs to the study's own run."""

    path: Path
    folder: str  # folder among the run's files; empty: the top level


class Tracker(Protocol):
    """A tracker. Calls that raise are repeated later, so each call must be idempotent.

    Attributes:
        name: kind of tracker
        where: place for messages, without a password
        view_hint: command or URL that shows the study
        runs: the tracker's run ids by ``str(trial)`` or ``study``
        open_runs: trials whose run is incomplete if this process dies now
    """

    name: str
    where: str
    view_hint: str
    runs: dict[str, str]

    @property
    def open_runs(self) -> Collection[int]:
        """Trials whose run is incomplete if this process dies now."""

    def open(self, study: str) -> bool:
        """Connect; return False if the tracker has lost the runs and needs all events again.

        Args:
            study: id that is unique among all studies
        """

    def send(self, updates: Sequence[RunUpdate]) -> None:
        """Write run updates."""

    def keep(self, files: Sequence[StudyFile]) -> None:
        """Upload files to the study's own run."""

    def close(self) -> None:
        """Disconnect after everything sent is stored."""
