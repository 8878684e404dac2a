"""Interfaces of trial schedulers, compatible with Ray Tune's classes."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

STOP = "STOP"  # Ray Tune's values
CONTINUE = "CONTINUE"
PAUSE = "PAUSE"


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
        """Return ``STOP`` or ``CONTINUE``; a :class:`PausingScheduler` may return ``PAUSE``."""

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Remove a finished trial."""


@runtime_checkable
class PausingScheduler(TrialScheduler, Protocol):
    """Scheduler that also pauses trials, and chooses at each free slot which of them resumes.

    A trial that cannot be paused continues as if the answer had been ``CONTINUE``.
    """

    def choose_paused(
        self, paused: Collection[Handle], can_start: bool, is_idle: bool
    ) -> Handle | None:
        """Return the paused trial that resumes in a free slot, or None.

        With None a new trial starts. If none can start, the slot stays free; if no trial is
        running either, the study ends, and its paused trials are kept.

        Args:
            paused: trials that can be resumed
            can_start: whether a new trial can start instead
            is_idle: whether no trial is running, this slot's included
        """

    def on_trial_resume(self, trial: Handle) -> None:
        """Note that a paused trial resumes, also by the choice of an earlier or other driver."""
