"""What is a trial scheduler? What Ray Tune takes for one: its classes and ours change places."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

STOP = "STOP"  # Ray Tune's own words
CONTINUE = "CONTINUE"


@dataclass(frozen=True)
class Handle:
    """All that a trial scheduler sees of a trial."""

    trial_id: str


class TrialScheduler(Protocol):
    """Decides at each result whether its trial goes on.

    A result holds the resource under the scheduler's ``time_attr``, the number that it compares
    under its ``metric``, the objectives as ``values`` (a tuple, all minimised) and
    ``elapsed_seconds`` since the trial was started.
    """

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """A trial is new."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """``STOP`` or ``CONTINUE``."""

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """A trial is over."""
