"""What is drawn in a figure, as numbers and words."""

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text


def marks(axes: Axes, label: str) -> list[tuple[float, float]]:
    """Where marks of this label are."""
    found = [one for one in axes.collections if one.get_label() == label]
    return [(float(x), float(y)) for one in found for x, y in one.get_offsets()]  # type: ignore[union-attr]


def lines(axes: Axes, label: str) -> list[list[list[float]]]:
    """The lines of this label, each as points."""
    found = [
        one
        for one in axes.collections
        if isinstance(one, LineCollection) and one.get_label() == label
    ]
    return [line.tolist() for one in found for line in one.get_segments()]


def words(part: Figure | Axes) -> str:
    """All that is written."""
    return " ".join(one.get_text().replace("\n", " ") for one in part.findobj(Text))  # type: ignore[attr-defined]


def headline(figure: Figure) -> str:
    """What is written over a figure."""
    return figure.texts[0].get_text().replace("\n", " ")


def legend(figure: Figure) -> list[str]:
    """What is explained."""
    return [one.get_text() for one in figure.legends[0].get_texts()]
