"""The importance of keys: a dot per key and method, with its interval."""

from dataclasses import dataclass

from plotly import graph_objects as go

from ugro.analysis.figures.drawing import labels
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.theme import COLOURS, INK, escaped
from ugro.analysis.figures.study_view import Kind, NoDataError, StudyView
from ugro.analysis.importance.importance import Importance

ROW, FRAME = 34, 110  # pixels: per key, and around them
MOST = 25  # keys
OFFSET = 0.14  # of a row, between two methods and its middle
_LOOKS = (
    {"symbol": "circle", "size": 11, "color": COLOURS[Kind.COMPLETE]},
    {"symbol": "diamond", "size": 10, "color": COLOURS[Kind.FAILED]},
)


@dataclass(frozen=True)
class KeyImportance:
    """What the figure shows.

    Attributes:
        keys: the most important first
        methods: the importances of these keys by method
    """

    finding: str
    keys: tuple[str, ...]
    methods: tuple[tuple[str, tuple[Importance, ...]], ...]


def prepare(view: StudyView) -> KeyImportance:
    """Collect the importances that the data support.

    Raises:
        NoDataError: there are none.
    """
    able = [one for one in view.importances if one.of]
    if not able:
        raise NoDataError("the data do not tell which keys mattered")
    keys = tuple(dict.fromkeys(each.key for one in able for each in one.of))[:MOST]
    methods = tuple(
        (one.method, tuple(each for each in one.of if each.key in keys)) for one in able
    )
    return KeyImportance(labels.most_important(view), keys, methods)


def draw(data: KeyImportance) -> Panel:
    """Draw the dot plot, the most important key on top."""
    figure = go.Figure()
    rows = list(reversed(data.keys))
    for at, (method, of) in enumerate(data.methods):
        offset = OFFSET * (1 - 2 * at) if len(data.methods) > 1 else 0.0
        figure.add_scatter(
            x=[each.share for each in of],
            y=[rows.index(each.key) + offset for each in of],
            error_x={
                "type": "data", "symmetric": False, "thickness": 2.5, "width": 0,
                "array": [each.high - each.share for each in of],
                "arrayminus": [each.share - each.low for each in of],
            },
            mode="markers", name=method, marker=_LOOKS[at % len(_LOOKS)],
            text=[f"<b>{escaped(each.key)}</b><br>{each.share:.1%} ({each.low:.1%} to "
                  f"{each.high:.1%})" for each in of],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        showlegend=True,
        height=FRAME + ROW * len(rows),
        xaxis={"title": {"text": "share of the importance"}, "tickformat": ".0%",
               "rangemode": "tozero"},
        yaxis={"tickvals": list(range(len(rows))), "ticktext": [escaped(key) for key in rows],
               "range": [-0.6, len(rows) - 0.4], "tickfont": {"color": INK}},
    )  # fmt: skip
    return Panel(figure, "Dot: median of the bootstrap; line: its 10th to 90th percentile.")
