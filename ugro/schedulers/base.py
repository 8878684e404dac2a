"""Interface of trial schedulers, compatible with Ray Tune's classes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

STOP = "STOP"  # Ray Tune's values
CONTINUE = "CONTINUE"


@dataclass(frozen=True)
class Handle:
    """Trial as a scheduler sees it."""

    trial_id: str


class TrialScheduler(Protocol):
    """Scheduler that decides at each result whether the trial continues.

    A result holds the resource under the scheduler's ``time_attr``, the compared value under its
    ``metric``, the objectives as ``values`` (a tuple, all minimised) and ``elapsed_seconds`` since
    the trial started.
    """

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Register a new trial."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Return ``STOP`` or ``CONTINUE``."""

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Remove a finished trial."""
