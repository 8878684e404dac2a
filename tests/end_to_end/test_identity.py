"""A study that goes on when something is not what it was, through the command line."""

from pathlib import Path

import pytest

from ..conftest import QUICK
from .studies import IN_PROCESS, TrainPy, table

TEXT = "The committee met on Tuesday and agreed on the minutes of the meeting before. "


def written(tmp_path: Path, words: str = TEXT) -> None:
    for number in range(12):
        (tmp_path / f"{number}.txt").write_text(f"Minutes {number}. {words * 8}")


def asked(*overrides: str) -> list[str]:
    own = ["data=text", "data.train_files=['*.txt']", "study.name=s", *overrides]
    return ["-m", *QUICK, IN_PROCESS, *own]


def files_of(study: Path) -> dict[str, bytes]:
    """What trials have left."""
    every = (path for path in (study / "trials").rglob("*") if path.is_file())
    return {str(path.relative_to(study)): path.read_bytes() for path in every}


@pytest.mark.long
def test_a_study_whose_data_have_changed_ends_and_a_new_group_is_ranked_alone(
    train_py: TrainPy, tmp_path: Path
) -> None:
    written(tmp_path)
    study = tmp_path / "multirun" / "s"
    searched = "lora.r=2,4,8"
    first = train_py(*asked(searched, "hydra.sweeper.n_trials=1"))
    assert first.returncode == 0, first.stderr
    [row], before = table(study), files_of(study)
    written(tmp_path, "Nothing of that kind was said by anybody at all. ")
    other = train_py(*asked(searched))
    assert other.returncode == 1
    assert "data: the training data and evaluation data of trial 1 are not what" in other.stderr
    assert "Traceback" not in other.stderr
    assert table(study)[0] == row
    assert len([one for one in table(study) if one["value"]]) == 1
    after = files_of(study)
    assert {name: after[name] for name in before} == before
    allowed = train_py(*asked(searched, "study.allow_change=true"))
    assert allowed.returncode == 0, allowed.stderr
    assert "A new group of trials begins, number 1" in allowed.stdout
    rows = table(study)
    new = [one for one in rows if one["group"] == "1"]
    assert sorted(one["lora.r"] for one in new) == ["2", "4", "8"]
    assert [one["group"] for one in rows] == sorted(one["group"] for one in rows)
    best = min(new, key=lambda one: float(one["value"]))
    assert (
        (study / "experiment" / "best.yaml")
        .read_text()
        .splitlines()[1]
        .startswith(f"# Trial {best['number']}, ")
    )
    again = train_py(*asked(searched))
    assert again.returncode == 0, again.stderr
    assert table(study) == rows


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("training.max_steps=6", "training.max_steps: '6' given, allowed: 4, as study s began"),
        ("data.block_size=16", "data.block_size: '16' given, allowed: 32, as study s began"),
    ],
)
@pytest.mark.long
def test_another_length_or_other_blocks_are_refused_and_leave_all_as_it_is(
    override: str, line: str, train_py: TrainPy, tmp_path: Path
) -> None:
    written(tmp_path)
    study = tmp_path / "multirun" / "s"
    assert train_py(*asked("lora.r=2,4", "hydra.sweeper.n_trials=1")).returncode == 0
    rows, files = table(study), files_of(study)
    other = train_py(*asked("lora.r=2,4", override))
    assert other.returncode == 1
    assert line in other.stderr
    assert "Traceback" not in other.stderr
    assert (table(study), files_of(study)) == (rows, files)


@pytest.mark.parametrize("lost", [False, True], ids=["renamed", "renamed and study.db lost"])
@pytest.mark.long
def test_a_renamed_folder_goes_on_and_nothing_of_it_is_overwritten(
    lost: bool, train_py: TrainPy, tmp_path: Path
) -> None:
    written(tmp_path)
    a, b = tmp_path / "multirun" / "s", tmp_path / "multirun" / "b"
    assert train_py(*asked("lora.r=2,4,8", "hydra.sweeper.n_trials=2")).returncode == 0
    rows, files = table(a), files_of(a)
    a.rename(b)
    if lost:
        for path in b.glob("study.db*"):
            path.unlink()
    done = train_py(*asked("lora.r=2,4,8")[:-1], "lora.r=2,4,8", "study.name=b")
    assert done.returncode == 0, done.stderr
    now = table(b)
    assert [row["number"] for row in now] == ["0", "1", "2"]
    assert now[:2] == rows
    after = files_of(b)
    assert {name: after[name] for name in files} == files


@pytest.mark.parametrize(
    "arguments", [["-m", "+lora.rank=4,64"], ["-m", "+lora.rank=4"], ["+lora.rank=4"]]
)
def test_a_key_that_the_schema_has_not_is_refused_with_a_plus_too(
    arguments: list[str], train_py: TrainPy, tmp_path: Path
) -> None:
    launcher = [IN_PROCESS] if "-m" in arguments else []
    done = train_py(*arguments, *QUICK, *launcher)
    assert done.returncode == 1
    assert "lora.rank: no key of the schema, nearest: lora.r, " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "multirun").exists()
