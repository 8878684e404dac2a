"""The gain of a value over a reference value."""

from typing import NamedTuple


class GainOver(NamedTuple):
    """How much better a value is.

    Attributes:
        absolute: in the objective's unit; negative where the value is worse
        relative: as a share of the reference's magnitude; None where that is 0
    """

    absolute: float
    relative: float | None


def gain_over(reference: float, value: float, minimised: bool = True) -> GainOver:
    """Compute how much better a value is than a reference."""
    better = reference - value if minimised else value - reference
    return GainOver(better, better / abs(reference) if reference else None)
