"""What if every trial is to run to its end?"""

from collections.abc import Mapping
from typing import Any

from ugro.schedulers.base import CONTINUE, Handle


class NoScheduler:
    """Stops nobody."""

    def __init__(self, **_: Any) -> None:
        pass

    def on_trial_add(self, controller: Any, trial: Handle) -> None:
        """Nothing."""

    def on_trial_result(self, controller: Any, trial: Handle, result: Mapping[str, Any]) -> str:
        """Go on."""
        return CONTINUE

    def on_trial_remove(self, controller: Any, trial: Handle) -> None:
        """Nothing."""
