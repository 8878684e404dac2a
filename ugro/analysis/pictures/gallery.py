"""Which pictures does a study get? Those that its data support, as PNG files in one folder."""

import logging
from pathlib import Path

from ugro.analysis.importance.importance import Importances
from ugro.analysis.pictures import (
    contour,
    cost,
    curves,
    overview,
    parallel,
    pareto,
    rate_rank,
    slices,
    timeline,
)
from ugro.analysis.pictures.style import save
from ugro.analysis.pictures.subject import NothingToDrawError, subject_of
from ugro.analysis.tables import Tables

log = logging.getLogger(__name__)

PICTURES = {
    "overview.png": overview.draw,
    "curves.png": curves.draw,
    "slices.png": slices.draw,
    "rate_rank.png": rate_rank.draw,
    "parallel.png": parallel.draw,
    "contour.png": contour.draw,
    "pareto.png": pareto.draw,
    "timeline.png": timeline.draw,
    "cost.png": cost.draw,
}


def write_pictures(
    tables: Tables, importances: tuple[Importances, ...], folder: Path
) -> list[Path]:
    """Write the pictures of a study, finished or running; those of an earlier time are replaced.

    Args:
        tables: the study's
        importances: of its keys; may be empty
        folder: where they are written; it is made

    Returns:
        Those that were written. One that the data do not support is not, and the log says why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subject = subject_of(tables, importances)
    written = []
    for name, draw in PICTURES.items():
        try:
            figure = draw(subject)
        except NothingToDrawError as reason:
            log.info("No %s: %s", name, reason)
            (folder / name).unlink(missing_ok=True)
            continue
        save(figure, folder / name)
        written.append(folder / name)
    return written
