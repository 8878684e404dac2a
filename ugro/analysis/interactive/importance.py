"""Which keys mattered, and how sure is that? A dot a key and method, with its interval."""

from plotly import graph_objects as go

from ugro.analysis.interactive.look import Panel, shown
from ugro.analysis.pictures.style import COLOURS, INK
from ugro.analysis.pictures.subject import Kind, NothingToDrawError, Subject

ROW, FRAME = 34, 110  # pixels: of a key, and around them
MOST = 25  # keys
_LOOKS = (
    {"symbol": "circle", "size": 11, "color": COLOURS[Kind.COMPLETE]},
    {"symbol": "diamond", "size": 10, "color": COLOURS[Kind.FAILED]},
)
ASIDE = 0.14  # of a row, that a method is moved from its middle


def draw(subject: Subject) -> Panel:
    """The importances that the data support.

    Raises:
        NothingToDrawError: there are none; why, the findings say.
    """
    able = [one for one in subject.importances if one.of]
    if not able:
        raise NothingToDrawError("the data do not tell which keys mattered")
    keys = list(dict.fromkeys(each.key for one in able for each in one.of))[:MOST][::-1]
    figure = go.Figure()
    for at, one in enumerate(able):
        aside = ASIDE * (1 - 2 * at) if len(able) > 1 else 0.0
        of = [each for each in one.of if each.key in keys]
        figure.add_scatter(
            x=[each.share for each in of],
            y=[keys.index(each.key) + aside for each in of],
            error_x={
                "type": "data", "symmetric": False, "thickness": 2.5, "width": 0,
                "array": [each.high - each.share for each in of],
                "arrayminus": [each.share - each.low for each in of],
            },
            mode="markers", name=one.method, marker=_LOOKS[at % len(_LOOKS)],
            text=[f"<b>{shown(each.key)}</b><br>{each.share:.1%} ({each.low:.1%} to "
                  f"{each.high:.1%})" for each in of],
            hovertemplate="%{text}<extra></extra>",
        )  # fmt: skip
    figure.update_layout(
        showlegend=True,
        height=FRAME + ROW * len(keys),
        xaxis={"title": {"text": "share of the importance"}, "tickformat": ".0%",
               "rangemode": "tozero"},
        yaxis={"tickvals": list(range(len(keys))), "ticktext": [shown(key) for key in keys],
               "range": [-0.6, len(keys) - 0.4], "tickfont": {"color": INK}},
    )  # fmt: skip
    return Panel(figure, "Dot: median of the bootstrap; line: its 10th to 90th percentile.")
