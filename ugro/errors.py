"""Errors that users see: one line and a non-zero exit code, without a traceback."""

from hydra.errors import CompactHydraException

from ugro.redaction import redacted


class UserError(CompactHydraException):
    """Invalid configuration or command.

    The message is one line with the key, the given value, the allowed values and the remedy. Hydra
    prints only the message of a ``CompactHydraException`` raised by a sweeper; ``train.py`` does
    the same for a single trial.
    """


class StudyFailed(CompactHydraException):
    """Too many trials failed; finished trials are kept."""


class ClusterLost(StudyFailed):
    """The cluster is gone; finished trials are kept and the same command resumes the study."""


class MetricError(Exception):
    """A metric function was not found, raised, hung or returned no numbers; its trial fails."""


def fault(key: str, given: object, allowed: str) -> str:
    """Format an invalid value: ``lora.r: 0 given, allowed: 1 or more``."""
    return redacted(f"{key}: {given!r} given, allowed: {allowed}")
