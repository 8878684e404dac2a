"""A run of Weights & Biases, as its files hold it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

FINISHED = "finished"


@dataclass(frozen=True)
class Run:
    """A run.

    Attributes:
        name: of the run or its folder
        state: as W&B calls it: finished, failed, crashed, killed, running, ...
        config: flat, with dotted keys
        summary: flat, with dotted keys: the last or best values
        history: logged values by step; empty where the files lack them
        began: local time; None if unknown
        seconds: that it ran; None if unknown
        is_mixed: whether config and summary are the same columns of a table
    """

    name: str
    state: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    history: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    began: datetime | None = None
    seconds: float | None = None
    is_mixed: bool = False

    @property
    def ended(self) -> datetime | None:
        """Local time of its end; None if unknown."""
        if self.began is None or self.seconds is None:
            return None
        return self.began + timedelta(seconds=self.seconds)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested values; W&B's own, with a leading underscore, are left out."""
    return dict(_flat(values, prefix))


def _flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if str(name).startswith("_"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def number(value: Any) -> float | None:
    """Return a value as a number; W&B writes NaN and infinity as text. None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value not in ("NaN", "Infinity", "-Infinity"):
        return None
    return value if isinstance(value, int) else _as_float(value)


def _as_float(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def local(text: str) -> datetime | None:
    """Parse a date; W&B writes UTC. Return local time without a zone, as Optuna does."""
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    zoned = given if given.tzinfo else datetime.fromisoformat(f"{given.isoformat()}+00:00")
    return zoned.astimezone().replace(tzinfo=None)
