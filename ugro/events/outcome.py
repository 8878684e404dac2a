"""Outcome of a trial; the study stores its value as the reason."""

from enum import Enum


class Outcome(Enum):
    """How a trial ended."""

    COMPLETE = "complete"
    PLATEAU = "plateau"  # no further improvement; its value counts
    RUNG = "rung"  # worse than the others at equal resource
    BUDGET = "budget"  # its token budget is used up
    TIMED_OUT = "timed_out"
    DIVERGED = "diverged"
    STUDY_LIMIT = "study_limit"  # the study ended while it ran
    INFEASIBLE = "infeasible"  # its results violate a constraint
    OUT_OF_MEMORY = "out_of_memory"  # a retry would fail as well
    FAILED = "failed"
    WITHDRAWN = "withdrawn"  # another driver of the study took it
    INTERRUPTED = "interrupted"  # resumed later under the same number
    PAUSED = "paused"  # by the trial scheduler, which may resume it under the same number

    @property
    def has_value(self) -> bool:
        """Whether the trial finished and its value counts."""
        return self in (Outcome.COMPLETE, Outcome.PLATEAU)

    @property
    def in_words(self) -> str:
        """Label for people, to follow "is" or "was"."""
        return _IN_WORDS.get(self, self.value.replace("_", " "))

    @property
    def can_resume(self) -> bool:
        """Whether the trial has not ended and can go on from its checkpoint."""
        return self in (Outcome.INTERRUPTED, Outcome.PAUSED)

    @property
    def is_pruned(self) -> bool:
        """Whether the trial was stopped early: its value cannot be the best."""
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

# Outcomes of trials that were shortened on purpose
SHORTENED = (Outcome.RUNG, Outcome.PAUSED, Outcome.DIVERGED, Outcome.PLATEAU)

_IN_WORDS = {
    Outcome.PLATEAU: "on a plateau",
    Outcome.RUNG: "stopped at rung",
    Outcome.BUDGET: "out of tokens",
    Outcome.STUDY_LIMIT: "ended with the study",
}
