import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution

from tests.studies import ended
from ugro.cli.compare import main
from ugro.errors import UserError
from ugro.events.event_log import as_line
from ugro.events.events import StudyStarted
from ugro.events.outcome import Outcome
from ugro.study.study import Study, create_or_continue

R = {"lora.r": CategoricalDistribution((4, 8, 16))}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")


def made(
    name: str,
    *values: float,
    folder: Path | None = None,
    objective: str = "eval_loss",
    direction: str = "minimize",
    configuration: Mapping[str, Any] | None = None,
) -> Study:
    """A study whose first trial is its baseline."""
    folder = folder or Path("multirun") / name
    study = create_or_continue(name, f"sqlite:///{folder}/study.db", [objective], [direction])
    for at, value in enumerate(values):
        source = "sampler" if at else "baseline"
        ended(
            study, R, Outcome.COMPLETE, value, source=source, given={"lora.r": (16, 8, 4)[at % 3]}
        )
    began = StudyStarted(
        name, str(folder), len(values), 0, (objective,), (direction,), (), configuration or {}
    )
    (folder / "events.jsonl").write_text(as_line(began) + "\n")
    return study


def read(folder: str) -> dict[str, Any]:
    found = json.loads((Path(folder) / "comparison.json").read_text())
    assert isinstance(found, dict)
    return found


def test_studies_are_set_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    made("a", 3.0, 2.5, 2.75, configuration={"scheduler": {"_target_": "asha"}})
    made("b", 3.0, 2.0, configuration={"scheduler": {"_target_": "none"}})
    main(["study=[a,b]"])
    found = read("multirun/comparison-a-b")
    assert (found["objective"], found["direction"]) == ("eval_loss", "minimize")
    assert found["best_study"] == "b"
    assert found["target"] == 2.5  # the worst of 2.5 and 2.0
    a, b = found["studies"]["a"], found["studies"]["b"]
    assert a["best"] == {"trial": 1, "value": 2.5}
    assert a["baseline"] == {"trial": 0, "value": 3.0}
    assert (a["gain"], b["gain"]) == (0.5, 1.0)
    assert (a["trials"], b["trials"]) == (3, 2)
    assert a["parameters"] == {"lora.r": 8}
    assert found["differing"] == {"scheduler._target_": {"a": "asha", "b": "none"}}
    assert found["importance"] == {"method": None}  # so few trials cannot tell
    said = capsys.readouterr().out
    assert "best eval_loss" in said
    assert "scheduler._target_" in said
    assert "multirun/comparison-a-b/comparison.json" in said
    page = Path("multirun/comparison-a-b/comparison.html").read_text(encoding="utf-8")
    assert "b is best: evaluation loss 2, against 2.5 of a" in page
    assert "Nothing to draw: neither tokens nor times of the studies are known." in page
    assert re.search(r'baseline</th><td class="right">3</td><td class="right">3</td>', page)


def test_larger_is_better_where_it_is_maximised() -> None:
    made("a", 0.1, 0.5, direction="maximize")
    made("b", 0.1, 0.4, direction="maximize")
    main(["study=a,b", "to=here"])
    found = read("here")
    assert (found["best_study"], found["target"]) == ("a", 0.4)
    assert found["studies"]["a"]["gain"] == pytest.approx(0.4)


def test_a_study_may_be_any_folder_under_another_name(tmp_path: Path) -> None:
    made("a", 3.0, 2.0)
    made("first", 3.0, 2.5, folder=tmp_path / "kept" / "elsewhere")
    main(["study=[a,kept/elsewhere]", "to=here"])
    assert set(read("here")["studies"]) == {"a", "elsewhere"}


def test_another_programs_studies_are_named_in_their_storage() -> None:
    url = "sqlite:///theirs.db"
    for name, values in (("x", (1.0, 0.5)), ("y", (0.8,))):
        study = create_or_continue(name, url, ["value"], ["minimize"])
        for value in values:
            ended(study, R, Outcome.COMPLETE, value, source="")
    main(["study=[x,y]", f"storage={url}", "to=here"])
    found = read("here")
    assert found["studies"]["x"]["best"]["value"] == 0.5
    assert found["studies"]["y"]["baseline"] is None
    with pytest.raises(
        UserError, match=r"^study.name: 'z' given, allowed: a study that the storage"
    ):
        main(["study=[x,z]", f"storage={url}"])


def test_a_study_without_a_complete_trial_has_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    made("a", 3.0)
    made("b")
    main(["study=[a,b]", "to=here"])
    found = read("here")
    assert found["target"] is None
    assert found["studies"]["b"]["best"] is None
    [best] = [line for line in capsys.readouterr().out.splitlines() if "best eval_loss" in line]
    assert best.split() == ["best", "eval_loss", "3", "-"]
    made("c")
    main(["study=[b,c]", "to=nothing"])
    page = Path("nothing/comparison.html").read_text(encoding="utf-8")
    assert "Nothing to draw: no study has a complete trial." in page
    assert not Path("nothing/comparison.png").exists()


def test_values_of_another_model_are_not_comparable_and_it_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made("a", 3.0, configuration={"model": {"path": "one"}})
    made("b", 2.0, configuration={"model": {"path": "other"}})
    main(["study=[a,b]", "to=here"])
    assert "Not of the same task, so values cannot be compared: they differ in model.path." in (
        capsys.readouterr().out
    )


def test_studies_of_different_objectives_are_refused() -> None:
    made("a", 3.0)
    made("b", 0.1, objective="composite_score", direction="maximize")
    with pytest.raises(UserError) as error:
        main(["study=[a,b]"])
    assert str(error.value) == (
        "study: 'b: composite_score (maximize)' given, allowed: studies of the same objectives; "
        "a has eval_loss (minimize)"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["study=a"], "study: 'a' given, allowed: two studies or more: study=[a,b]"),
        (["study=[a,a]"], "study: '[a,a]' given, allowed: two studies or more: study=[a,b]"),
        ([], "study: None given, allowed: two studies or more: study=[a,b]"),
        (["study=[a,b]"], "study: 'b' given, allowed: a study's name or folder; there is no "),
        (["studies=[a,b]"], "argument: 'studies=[a,b]' given, allowed: storage, study, to"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], line: str) -> None:
    made("a", 3.0)
    with pytest.raises(UserError) as error:
        main(arguments)
    assert str(error.value).startswith(line)
