"""Analyze a study: ``ugro analyze study.name=NAME``."""

from ugro.analysis.analyze import analyze
from ugro.cli.arguments import parse
from ugro.cli.study_lookup import find_study


def main(arguments: list[str]) -> None:
    """Write a study's results, report and figures, and print its summary.

    Args:
        arguments: ``study.name=NAME``, ``study.dir=FOLDER``, ``storage=URL``; by default the latest
            study of ``multirun/``

    Raises:
        UserError: there is no such study, or an argument is unknown.
    """
    where = find_study(parse("analyze", arguments))
    analyze(where.study(), where.folder)
