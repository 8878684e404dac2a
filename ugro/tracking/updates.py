"""What is new about a run, and who takes it? Whatever a tracker calls its parts."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

Status = Enum("Status", ["running", "finished", "failed", "killed"])


@dataclass(frozen=True)
class Point:
    """A number that was measured.

    Attributes:
        name: of the metric
        value: in its unit
        step: at which it was measured
        time: of its event, Unix time
        tokens: trained on until then, where it is a point of a trial's curve; None: a result
    """

    name: str
    value: float
    step: int
    time: float
    tokens: int | None = None


@dataclass(frozen=True)
class Table:
    """What a table of the trials shows, best first.

    Attributes:
        metric: by which they are ordered
        ascending: whether smaller is better
        parameters: that differ between them
    """

    metric: str
    ascending: bool
    parameters: tuple[str, ...]


@dataclass
class Change:
    """What is new about a run.

    Attributes:
        trial: its number; None is the study's own run
        name: the run's
        time: of the first event that tells it, Unix time
        parameters: values that never change
        tags: values that may
        points: of curves, and results
        status: None: as it was
        ended: Unix time at which it came to that status
        files: to be kept with it; one that is not there is left out
        description: Markdown; empty: as it was
        table: of the study's own run; None: as it was
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
    """A file that is kept with the study's own run."""

    path: Path
    folder: str  # of the run's files; empty: their top


class Tracker(Protocol):
    """A tracker. Whatever it raises, it is tried again later; to send twice is harmless.

    Attributes:
        name: of its kind
        where: for people, without a password
        look: what they do to see it
        runs: what it calls the runs, by ``str(trial)``, or ``study``
        open_runs: trials of which a part is lost if this process dies now
    """

    name: str
    where: str
    look: str
    runs: dict[str, str]

    @property
    def open_runs(self) -> Collection[int]:
        """Trials of which a part is lost if this process dies now."""

    def open(self, study: str) -> bool:
        """Make contact; False where it does not know the runs any more, and gets all anew.

        Args:
            study: what tells it from all others, for ever
        """

    def send(self, changes: Sequence[Change]) -> None:
        """Write the changes."""

    def keep(self, files: Sequence[StudyFile]) -> None:
        """Keep files with the study's own run."""

    def close(self) -> None:
        """End contact; what was sent is safe then."""
