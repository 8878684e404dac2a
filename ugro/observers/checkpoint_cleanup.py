"""What is not needed any more? The checkpoints of a trial that will never go on."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from ugro.events.events import Event, TrialFinished

log = logging.getLogger(__name__)


class CheckpointCleanup:
    """Deletes the checkpoints of a pruned trial; a failed one's are left to be looked at.

    Args:
        checkpoints_of: where a trial has them
    """

    def __init__(self, checkpoints_of: Callable[[int], Path]) -> None:
        self._checkpoints_of = checkpoints_of

    def observe(self, event: Event) -> None:
        """Delete them, or nothing."""
        if not isinstance(event, TrialFinished) or not event.ending.is_pruned:
            return
        folder = self._checkpoints_of(event.number)
        try:
            shutil.rmtree(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s cannot be deleted: %s", folder, error)
