"""Write figures as files: ``ugro figures study.name=NAME format=svg figure=cost``."""

from ugro.analysis.confirmation.confirmation import confirmation_of
from ugro.analysis.importance.importance import importances_of
from ugro.analysis.tables import tables_of
from ugro.cli.arguments import parse
from ugro.cli.study_lookup import find_study
from ugro.errors import UserError, fault
from ugro.paths import ANALYSIS


def main(arguments: list[str]) -> None:
    """Write the figures of a study, by default of the latest, to its folder ``analysis/``.

    ``format=png`` (the default) or ``format=svg``; ``figure=NAME`` writes a single one, such as
    ``cost``. A browser draws them: Chrome or Chromium, and the package kaleido.

    Raises:
        UserError: there is no such study or figure, the data do not support the figure, or there
            is no browser.
    """
    from ugro.analysis.figures.catalog import NAMES, sections_of  # plotly is slow to import
    from ugro.analysis.figures.static import FORMATS, write_static
    from ugro.analysis.figures.study_view import study_view

    given = parse("figures", arguments)
    location = find_study(given)
    file_format, name = given.get("format", FORMATS[0]), given.get("figure")
    if file_format not in FORMATS:
        raise UserError(fault("format", file_format, ", ".join(FORMATS)))
    if name is not None and name not in NAMES:
        raise UserError(fault("figure", name, ", ".join(NAMES)))
    study = location.study()
    tables = tables_of(study, location.folder)
    view = study_view(tables, importances_of(study, tables))
    sections = sections_of(view, confirmation_of(location.folder), [name] if name else NAMES)
    if name and not any(section.panels for section in sections):
        why = sections[0].why_not if sections else "the study has no confirmation"
        raise UserError(f"no figure {name}: {why}")
    for path in write_static(sections, location.folder / ANALYSIS, file_format):
        print(path)
