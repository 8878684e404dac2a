"""Messages between a trial's processes and the process that starts them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ugro.config import Config
from ugro.events.channel import Channel
from ugro.events.trial_report import TrialResult

Run = Callable[[Config, Path, Channel], TrialResult]  # a function of a module, such as run_trial


@dataclass(frozen=True)
class Assignment:
    """What a process runs.

    Attributes:
        rank: number of the process
        size: number of processes
        rendezvous: file through which they meet
        run: function to run
        config: configuration of the trial
        folder: folder of the trial; a temporary one for all processes but the first
    """

    rank: int
    size: int
    rendezvous: Path
    run: Run
    config: Config
    folder: Path


@dataclass(frozen=True)
class IsInterrupted:
    """Question of the first process, like its reports: whether the sweep is being interrupted."""


@dataclass(frozen=True)
class Alive:
    """A process has progressed."""


@dataclass(frozen=True)
class Returned:
    """A process has finished."""

    result: TrialResult


@dataclass(frozen=True)
class Raised:
    """A process has failed.

    Attributes:
        error: what it raised
        at: monotonic seconds, the same clock in all processes of a machine
    """

    error: BaseException
    at: float
