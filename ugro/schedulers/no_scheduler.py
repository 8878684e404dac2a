"""Scheduler without early stopping."""

from collections.abc import Mapping
from typing import Any

from ugro.schedulers.base import CONTINUE, Handle


class NoScheduler:
    """Scheduler that runs every trial to its end."""

    def __init__(self, **_: Any) -> None:
        pass

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Do nothing."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Continue the trial."""
        return CONTINUE

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Do nothing."""
