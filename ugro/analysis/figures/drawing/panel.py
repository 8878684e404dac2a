"""A drawn figure with its texts."""

from dataclasses import dataclass

from plotly import graph_objects as go

from ugro.analysis.figures.drawing.theme import HEIGHT


@dataclass(frozen=True)
class Panel:
    """A figure, or one of several side by side.

    Attributes:
        title: above it, where there are several
        subtitle: below the title
        note: facts below the figure; empty without any
        hint: how to explore it, on a page only
        least_width: pixels; a narrower page scrolls it
    """

    figure: go.Figure
    note: str = ""
    hint: str = ""
    title: str = ""
    subtitle: str = ""
    least_width: int = 0

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.figure.layout.height or HEIGHT)
