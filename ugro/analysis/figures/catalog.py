"""The catalogue of figures: their order in the report, names, titles and data."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from ugro.analysis.comparison.comparison import Comparison
from ugro.analysis.confirmation.confirmation import Confirmation
from ugro.analysis.figures import (
    comparison,
    confirmation,
    contour,
    cost,
    curves,
    importance,
    key_map,
    parallel,
    pareto,
    progression,
    slices,
    timeline,
)
from ugro.analysis.figures.downsampling import downsampled
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.study_view import NoDataError, StudyView


@dataclass(frozen=True)
class Section:
    """A figure with its texts.

    Attributes:
        name: for addresses, file names and commands
        description: what the figure shows
        finding: what it says of this study; may be empty
        panels: one, or several side by side; none where the data do not support it
        why_not: then the reason
    """

    name: str
    title: str
    description: str
    finding: str = ""
    panels: tuple[Panel, ...] = ()
    why_not: str = ""


class HasFinding(Protocol):
    """The data of a figure."""

    @property
    def finding(self) -> str:
        """What the figure says, in a sentence."""
        ...


D = TypeVar("D", bound=HasFinding)

NAMES = (
    "confirmation", "trade-offs", "progression", "curves", "importance", "slices", "map", "contour",
    "parallel", "timeline", "cost",
)  # fmt: skip


def sections_of(
    view: StudyView, confirmed: Confirmation | None, names: Iterable[str] = NAMES
) -> tuple[Section, ...]:
    """Draw the figures of a study, in the order of the report.

    Args:
        view: the study
        confirmed: its confirmation, where there was one
        names: of the figures to draw
    """
    wanted = set(names)
    plans = _plans(view, confirmed)
    return tuple(_section(*plan) for plan in plans if plan[0] in wanted)


def comparison_section(found: Comparison) -> Section:
    """Draw the figure of a comparison of studies."""
    drawing = _drawing(comparison.prepare, comparison.draw, found)
    section = _section("comparison", "Best value and cost", "", drawing)
    return replace(section, description=comparison.note(found))


_Plan = tuple[str, str, str, Callable[[], tuple[str, tuple[Panel, ...]]]]


def _plans(view: StudyView, confirmed: Confirmation | None) -> list[_Plan]:
    some = downsampled(view)
    several = len(view.tables.objectives) > 1
    first = "the first objective" if several else "the objective"
    keys = ", ".join(key_map.mapped_keys(view))
    plans: list[_Plan] = [
        ("progression", "Progression", f"Each trial's value of {first}, and the best so far.",
         _drawing(progression.prepare, progression.draw, some)),
        ("curves", "Learning curves", "What each trial reported as it trained.",
         _drawing(curves.prepare, curves.draw, view)),
        ("importance", "Importance", "How much of the result each searched key decides.",
         _drawing(importance.prepare, importance.draw, view)),
        ("slices", "Key by key",
         f"Where along each searched key {first} is good. A bar is the median of the complete "
         "trials of a choice.",
         _drawing(slices.prepare, slices.draw, some)),
        ("map", "Two keys", f"Which values go together: {keys}.",
         _drawing(key_map.prepare, key_map.draw, some)),
        ("contour", "Contour", "The objective over the two most important numeric keys.",
         _drawing(contour.prepare, contour.draw, some)),
        ("parallel", "All keys", "Each trial as a line over the keys to its value.",
         _drawing(parallel.prepare, parallel.draw, view)),
        ("timeline", "Timeline", "Which trial ran when, and how many slots were busy.",
         _drawing(timeline.prepare, timeline.draw, view)),
        ("cost", "Cost", "The best value so far against the cost of all trials, stopped and "
         "failed ones too.",
         _drawing(cost.prepare, cost.draw, view)),
    ]  # fmt: skip
    trade_offs = _drawing(pareto.prepare, pareto.draw, some)
    if several:
        what = "What one objective costs in another."
        plans.insert(0, ("trade-offs", "Trade-offs", what, trade_offs))
    else:
        what = "What a good value costs in time, memory and parameters."
        plans.append(("trade-offs", "Trade-offs", what, trade_offs))
    if confirmed is not None:
        what = "The best configurations and the baseline, retrained with other seeds."
        drawing = _drawing(confirmation.prepare, confirmation.draw, confirmed)
        plans.insert(0, ("confirmation", "Confirmation", what, drawing))
    return plans


def _drawing(
    prepare: Callable[[Any], D], draw: Callable[[D], Panel | Sequence[Panel]], given: object
) -> Callable[[], tuple[str, tuple[Panel, ...]]]:
    def drawn() -> tuple[str, tuple[Panel, ...]]:
        data = prepare(given)
        panels = draw(data)
        return data.finding, (panels,) if isinstance(panels, Panel) else tuple(panels)

    return drawn


def _section(
    name: str,
    title: str,
    description: str,
    drawing: Callable[[], tuple[str, tuple[Panel, ...]]],
) -> Section:
    try:
        finding, panels = drawing()
    except NoDataError as reason:
        return Section(name, title, description, why_not=str(reason))
    return Section(name, title, description, finding, panels)
