"""How is a user's mistake told? As one line, at the door, with a non-zero exit code."""

from hydra.errors import CompactHydraException

from ugro.redaction import redacted


class UserError(CompactHydraException):
    """A mistake in what the user asked for.

    The message is one line: which key, what was given, what is allowed, what to do. Hydra prints a
    ``CompactHydraException`` raised by a sweeper as its message alone; ``train.py`` does the same
    for a single trial.
    """


class StudyFailed(CompactHydraException):
    """Too many trials failed. What was computed is kept."""


class ClusterLost(StudyFailed):
    """What trials run on is gone. What was computed is kept, and the same command goes on."""


def fault(key: str, given: object, allowed: str) -> str:
    """One line that says what is wrong with a key: ``lora.r: 0 given, allowed: 1 or more``."""
    return redacted(f"{key}: {given!r} given, allowed: {allowed}")
