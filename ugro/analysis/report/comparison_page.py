"""The page ``comparison.html``: the figures and the tables of a comparison of studies."""

from collections.abc import Sequence
from pathlib import Path

from ugro.analysis.comparison.comparison import Comparison
from ugro.analysis.comparison.side_by_side import differences, results
from ugro.analysis.figures.catalog import Section
from ugro.analysis.figures.comparison import finding
from ugro.analysis.report.page import render
from ugro.paths import write_atomically


def write_comparison(found: Comparison, sections: Sequence[Section], path: Path) -> None:
    """Write the page.

    Args:
        found: the comparison
        sections: its figures
        path: of the file
    """
    names = [side.name for side in found.sides]
    context = {
        "title": "Comparison of " + ", ".join(names),
        "names": names,
        "finding": finding(found),
        "sections": sections,
        "results": results(found),
        "differences": differences(found),
    }
    write_atomically(path, render("comparison.html.j2", (), context))
