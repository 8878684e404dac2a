"""The errors of a study, each with the trials that ended in it."""

from dataclasses import dataclass

from ugro.analysis.tables import Tables
from ugro.redaction import redacted

MOST, MOST_NUMBERS, LONGEST = 30, 20, 2000  # errors, trials per error, letters


@dataclass(frozen=True)
class Failure:
    """An error that one or more trials ended in.

    Attributes:
        trials: their numbers, as text
        count: of the trials
    """

    error: str
    trials: str
    count: int


def failures_of(tables: Tables) -> tuple[Failure, ...]:
    """Group failed trials by error, the most frequent first."""
    errors = tables.trials["error"][tables.trials["error"].astype(bool)]
    found = []
    for error, numbers in errors.groupby(errors).groups.items():
        shown = ", ".join(str(number) for number in numbers[:MOST_NUMBERS])
        more = ", ..." if len(numbers) > MOST_NUMBERS else ""
        text = redacted(str(error))
        cut = f"{text[:LONGEST]} ..." if len(text) > LONGEST else text
        found.append(Failure(cut, f"{shown}{more}", len(numbers)))
    return tuple(sorted(found, key=lambda one: -one.count)[:MOST])
