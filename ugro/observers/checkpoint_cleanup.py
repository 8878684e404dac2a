"""Delete the checkpoints of trials that will not be resumed."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from ugro.events.events import Event, TrialFinished

log = logging.getLogger(__name__)


class CheckpointCleanup:
    """Delete the checkpoints of pruned trials; those of failed trials are kept for debugging.

    Args:
        checkpoints_of: returns the checkpoint folder of a trial
    """

    def __init__(self, checkpoints_of: Callable[[int], Path]) -> None:
        self._checkpoints_of = checkpoints_of

    def observe(self, event: Event) -> None:
        """Delete the checkpoints of a trial that was pruned."""
        if not isinstance(event, TrialFinished) or not event.outcome.is_pruned:
            return
        folder = self._checkpoints_of(event.number)
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s cannot be deleted: %s", folder, error)
