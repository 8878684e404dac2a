"""What went wrong? Errors, each with the trials that ended in it."""

from dataclasses import dataclass

from ugro.analysis.tables import Tables
from ugro.redaction import redacted

MOST, MOST_NUMBERS, LONGEST = 30, 20, 2000  # errors; trials of one; letters


@dataclass(frozen=True)
class Failure:
    """An error, as several trials may have had it.

    Attributes:
        trials: their numbers, for people
        count: how many
    """

    error: str
    trials: str
    count: int


def failures_of(tables: Tables) -> tuple[Failure, ...]:
    """The errors, the most frequent first."""
    told = tables.trials["error"][tables.trials["error"].astype(bool)]
    found = []
    for error, numbers in told.groupby(told).groups.items():
        shown = ", ".join(str(number) for number in numbers[:MOST_NUMBERS])
        more = ", ..." if len(numbers) > MOST_NUMBERS else ""
        text = redacted(str(error))
        cut = f"{text[:LONGEST]} ..." if len(text) > LONGEST else text
        found.append(Failure(cut, f"{shown}{more}", len(numbers)))
    return tuple(sorted(found, key=lambda one: -one.count)[:MOST])
