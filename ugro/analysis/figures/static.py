"""Figures as PNG or SVG files, drawn by a headless browser (kaleido and Chrome or Chromium)."""

import importlib.util
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path

from plotly import graph_objects as go

from ugro.analysis.figures.catalog import Section
from ugro.analysis.figures.drawing.panel import Panel
from ugro.analysis.figures.drawing.theme import FAINT, PAPER, escaped, joined, template
from ugro.errors import UserError

FORMATS = ("png", "svg")
WIDTH, SCALE = 1200, 2  # pixels, and pixels of the file per pixel
GAP = 90  # pixels between panels side by side
HEAD, LEGEND, PANEL_TITLE = 86, 36, 26  # pixels: title and legend; of these the legend; a panel's
FOOT = 64  # pixels, for ticks and titles of axes
LINE, NOTE_LINE = 30, 20  # pixels
LETTERS, NOTE_LETTERS = 84, 150  # of a line of the title, and of the notes


class NoBrowserError(UserError):
    """Static figures cannot be drawn here; the message says what is missing."""


def write_static(sections: Sequence[Section], folder: Path, file_format: str = "png") -> list[Path]:
    """Write each figure to a file of its own; figures without data have none.

    Args:
        sections: the figures
        folder: made where it is missing; earlier files of the same figures are replaced
        file_format: ``png`` or ``svg``

    Returns:
        The files that were written.

    Raises:
        NoBrowserError: kaleido or a browser is missing.
    """
    if importlib.util.find_spec("kaleido") is None:
        raise NoBrowserError(
            f"{file_format.upper()} files of figures need kaleido, which is not installed; "
            "run: pip install 'ugro[figures]'"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for section in sections:
        if not section.panels:
            _path(section, folder, file_format).unlink(missing_ok=True)
    drawn = [section for section in sections if section.panels]
    paths = [_path(section, folder, file_format) for section in drawn]
    _export([standalone(section) for section in drawn], paths, file_format)
    return paths


def _path(section: Section, folder: Path, file_format: str) -> Path:
    return folder / f"{section.name}.{file_format}"


def _export(figures: Sequence[go.Figure], paths: Sequence[Path], file_format: str) -> None:
    import kaleido
    from kaleido.errors import BrowserClosedError, BrowserFailedError, ChromeNotFoundError

    drafts = [path.with_name(f".{path.name}.{os.getpid()}.draft") for path in paths]
    options = {"format": file_format, "scale": SCALE if file_format == "png" else 1}
    specs = [
        {
            "fig": figure.to_plotly_json(),
            "path": str(draft),
            "opts": {**options, "width": WIDTH, "height": int(figure.layout.height)},
        }
        for figure, draft in zip(figures, drafts, strict=True)
    ]
    try:
        kaleido.write_fig_from_object_sync(specs)
    except (BrowserClosedError, BrowserFailedError, ChromeNotFoundError) as error:
        raise NoBrowserError(
            f"{file_format.upper()} files of figures need Chrome or Chromium; none starts; "
            "run: plotly_get_chrome"
        ) from error
    finally:
        for draft, path in zip(drafts, paths, strict=True):
            if draft.exists():
                os.replace(draft, path)


def standalone(section: Section) -> go.Figure:
    """Compose the panels of a figure with its title and its notes."""
    panels = section.panels
    several = len(panels) > 1
    figure = _side_by_side(panels) if several else go.Figure(panels[0].figure)
    title = textwrap.wrap(section.finding or section.title, LETTERS)
    notes = textwrap.wrap(joined(*dict.fromkeys(panel.note for panel in panels)), NOTE_LETTERS)
    inner = int(figure.layout.height or panels[0].height)
    top = HEAD + LINE * (len(title) - 1) + (PANEL_TITLE if several else 0)
    top = max(top, top - LEGEND + (figure.layout.margin.t or 0))
    bottom = FOOT + NOTE_LINE * len(notes)
    plotted = inner - FOOT  # pixels from the top of the axes to their foot
    figure.update_layout(
        template=template(),
        paper_bgcolor=PAPER,
        width=WIDTH,
        height=plotted + top + bottom,
        margin={"t": top, "l": 24, "r": 24, "b": bottom},
        title={"text": f"<b>{'<br>'.join(map(escaped, title))}</b>", "x": 0, "xref": "container",
               "xanchor": "left", "y": 1, "yref": "container", "yanchor": "top",
               "pad": {"t": 16 * len(title), "l": 24}, "font": {"size": 22}},
        **({"showlegend": True, "legend": {"y": 1 + PANEL_TITLE / plotted}} if several else {}),
    )  # fmt: skip
    if notes:
        figure.add_annotation(
            text="<br>".join(map(escaped, notes)), showarrow=False, align="left",
            xref="paper", x=0, xanchor="left", yref="paper", y=0, yanchor="top", yshift=-FOOT,
            font={"size": 13, "color": FAINT},
        )  # fmt: skip
    return figure


def _side_by_side(panels: Sequence[Panel]) -> go.Figure:
    """Lay out panels in a grid in one figure."""
    columns = 2 if len(panels) <= 4 else 3
    rows = -(-len(panels) // columns)
    row_height = max(panel.height for panel in panels) + 20
    height = rows * row_height
    combined = go.Figure()
    labelled: set[str | None] = set()
    for at, panel in enumerate(panels):
        row, column = divmod(at, columns)
        left, right = _share(column, columns, GAP / WIDTH)
        top, bottom = (1 - one for one in _share(row, rows, GAP / height))
        suffix = "" if at == 0 else str(at + 1)
        for trace in panel.figure.data:
            shown = trace.showlegend is not False and trace.name not in labelled
            if shown:
                labelled.add(trace.name)
            combined.add_trace(trace)
            combined.data[-1].update(xaxis=f"x{suffix}", yaxis=f"y{suffix}", showlegend=shown)
        layout = panel.figure.layout
        combined.update_layout({
            f"xaxis{suffix}": {**layout.xaxis.to_plotly_json(), "domain": [left, right],
                               "anchor": f"y{suffix}"},
            f"yaxis{suffix}": {**layout.yaxis.to_plotly_json(), "domain": [bottom, top],
                               "anchor": f"x{suffix}"},
        })  # fmt: skip
        for shape in layout.shapes:
            placed = {"xref": f"x{suffix}{_domain(shape.xref)}", "yref": f"y{suffix}"}
            combined.add_shape({**shape.to_plotly_json(), **placed})
        text = joined(panel.title, f"({panel.subtitle})" if panel.subtitle else "")
        combined.add_annotation(
            text=f"<b>{escaped(text)}</b>", showarrow=False, xref="paper", x=left, xanchor="left",
            yref="paper", y=top, yanchor="bottom", font={"size": 13},
        )  # fmt: skip
    combined.update_layout(height=height)
    return combined


def _domain(reference: str | None) -> str:
    return " domain" if reference and reference.endswith("domain") else ""


def _share(at: int, of: int, gap: float) -> tuple[float, float]:
    """The part of 0..1 of one of several cells with gaps between them."""
    size = (1 - gap * (of - 1)) / of
    return at * (size + gap), min(1.0, at * (size + gap) + size)
