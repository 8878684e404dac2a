from pathlib import Path

import pytest

from tests.cli.test_compare import made
from ugro.analysis.figures import static
from ugro.cli.figures import main
from ugro.errors import UserError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_figures_of_a_study_are_written_to_its_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made("a", 3.0, 2.5, 2.75)
    monkeypatch.setattr(static, "write_static", written)
    main(["study.name=a", "format=svg"])
    said = capsys.readouterr().out.split()
    assert "multirun/a/analysis/progression.svg" in said
    main(["study.name=a", "figure=progression"])
    assert capsys.readouterr().out.split() == ["multirun/a/analysis/progression.png"]


def written(sections: tuple[static.Section, ...], folder: Path, file_format: str) -> list[Path]:
    """In place of a browser."""
    return [folder / f"{one.name}.{file_format}" for one in sections if one.panels]


@pytest.mark.parametrize(
    ("argument", "line"),
    [
        ("format=gif", "format: 'gif' given, allowed: png, svg"),
        ("figure=costs", "figure: 'costs' given, allowed: confirmation, trade-offs, progression, "),
        ("figure=contour", "no figure contour: fewer than two of the searched keys are numbers"),
        ("figure=confirmation", "no figure confirmation: the study has no confirmation"),
    ],
)
def test_a_mistake_is_one_line(argument: str, line: str) -> None:
    made("a", 3.0)
    with pytest.raises(UserError) as error:
        main(["study.name=a", argument])
    assert str(error.value).startswith(line)
