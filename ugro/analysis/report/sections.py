"""Which figures has the report, in which order, and what do they show?"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.interactive import confirmation as dots
from ugro.analysis.interactive import (
    contour,
    curves,
    front,
    importance,
    parallel,
    progression,
    rate_rank,
    slices,
    spending,
    timeline,
)
from ugro.analysis.interactive.drawn import drawn
from ugro.analysis.interactive.look import Panel
from ugro.analysis.pictures.rate_rank import keys
from ugro.analysis.pictures.subject import NothingToDrawError, Subject


@dataclass(frozen=True)
class Section:
    """A part of the page with figures.

    Attributes:
        name: in the page's address
        shows: a sentence
        panels: one, or several side by side
        why_not: why there are none; empty where there are some
    """

    name: str
    title: str
    shows: str
    panels: tuple[Panel, ...]
    why_not: str = ""


def sections_of(
    subject: Subject, front_numbers: tuple[int, ...], confirmation: Confirmation | None
) -> tuple[Section, ...]:
    """All sections that the study can have, those without anything to draw among them."""
    return tuple(_drawn(*one) for one in _plan(subject, front_numbers, confirmation))


_Plan = tuple[str, str, str, Callable[[], Panel | Sequence[Panel]]]


def _plan(
    subject: Subject, front_numbers: tuple[int, ...], confirmation: Confirmation | None
) -> Iterator[_Plan]:
    some = drawn(subject)
    if confirmation is not None:
        yield (
            "confirmation", "Confirmation",
            "The best configurations and the baseline, trained again with other seeds.",
            lambda: dots.draw(confirmation),
        )  # fmt: skip
    if len(subject.tables.objectives) > 1:
        yield (
            "front", "Pareto front", "What one objective costs in another.",
            lambda: front.draw(drawn(subject), front_numbers),
        )  # fmt: skip
    first = "the first objective" if len(subject.tables.objectives) > 1 else "the objective"
    across = ", ".join(_keys(some))
    yield from (
        ("progression", "Progression", f"How {first} went as trials came, and the best so far.",
         lambda: progression.draw(some)),
        ("curves", "Learning curves", "What each trial reported as it trained.",
         lambda: curves.draw(subject)),
        ("importance", "What mattered", "How much each searched key decides, by each method.",
         lambda: importance.draw(subject)),
        ("slices", "Key by key",
         f"Where along each searched key {first} is good. Marks as above; a bar is the median of a "
         "choice's complete trials.",
         lambda: slices.draw(some)),
        ("map", "Two keys at once", f"Which values go together: {across}.",
         lambda: rate_rank.draw(some)),
        ("contour", "Contour", "The objective over the two numbers that mattered most.",
         lambda: contour.draw(some)),
        ("parallel", "All keys at once", "Each trial as a line over the keys to its value.",
         lambda: parallel.draw(subject)),
        ("timeline", "Executor", "Which trial ran when, and how many slots were busy.",
         lambda: timeline.draw(subject)),
        ("cost", "Cost", "What it took to get so far.", lambda: spending.draw(subject)),
    )  # fmt: skip


def _keys(subject: Subject) -> tuple[str, ...]:
    try:
        return keys(subject)
    except NothingToDrawError:
        return ()


def _drawn(
    name: str, title: str, shows: str, draw: Callable[[], Panel | Sequence[Panel]]
) -> Section:
    try:
        found = draw()
    except NothingToDrawError as error:
        return Section(name, title, shows, (), str(error))
    panels = (found,) if isinstance(found, Panel) else tuple(found)
    return Section(name, title, shows, panels)
