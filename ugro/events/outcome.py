"""How can a trial end? One enum; the study keeps its value as the reason."""

from enum import Enum


class Outcome(Enum):
    """How a trial ended."""

    COMPLETE = "complete"
    PLATEAU = "plateau"  # no improvement any more: its value stands
    RUNG = "rung"  # behind the others at equal resource
    BUDGET = "budget"  # its own tokens are used up
    TIMED_OUT = "timed_out"
    DIVERGED = "diverged"
    STUDY_LIMIT = "study_limit"  # the study ended while it ran
    INFEASIBLE = "infeasible"  # its results break a constraint
    OUT_OF_MEMORY = "out_of_memory"  # it would be again
    FAILED = "failed"
    WITHDRAWN = "withdrawn"  # another driver of the study was faster
    INTERRUPTED = "interrupted"  # still to be done: it is continued under its number

    @property
    def has_value(self) -> bool:
        """Whether it came to its end, and what it measured there counts."""
        return self in (Outcome.COMPLETE, Outcome.PLATEAU)

    @property
    def in_words(self) -> str:
        """As people read it: a trial is, or was, ..."""
        return _IN_WORDS.get(self, self.value.replace("_", " "))

    @property
    def is_pruned(self) -> bool:
        """Whether it was given up: its value is not one that can be the best."""
        return self in _PRUNED


_PRUNED = frozenset(
    (
        Outcome.RUNG,
        Outcome.BUDGET,
        Outcome.TIMED_OUT,
        Outcome.DIVERGED,
        Outcome.STUDY_LIMIT,
        Outcome.INFEASIBLE,
        Outcome.OUT_OF_MEMORY,
    )
)

_IN_WORDS = {
    Outcome.PLATEAU: "on a plateau",
    Outcome.RUNG: "stopped at rung",
    Outcome.BUDGET: "out of tokens",
    Outcome.STUDY_LIMIT: "ended with the study",
}
