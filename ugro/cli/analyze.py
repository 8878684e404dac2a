"""Analyse a study: ``ugro analyze study.name=NAME``."""

from ugro.analysis.analyze import analyze
from ugro.cli.study_lookup import study_arguments


def main(arguments: list[str]) -> None:
    """``study.name=NAME`` and ``storage=URL``; by default the latest study of ``multirun/``.

    Raises:
        UserError: there is no such study, or an argument that is not known.
    """
    what = study_arguments(arguments)
    analyze(what.study(), what.folder)
