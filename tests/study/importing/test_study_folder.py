import json
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from optuna.distributions import check_distribution_compatibility

from tests.analysis.random_studies import studies
from ugro.errors import UserError
from ugro.events.event_log import read as read_log
from ugro.study.consistency import disagreements
from ugro.study.importing.foreign_study import ForeignStudy
from ugro.study.importing.optuna_studies import foreign_study
from ugro.study.importing.study_folder import write_study
from ugro.study.study import Study, read

SLOW = [
    HealthCheck.too_slow,
    HealthCheck.filter_too_much,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
]


def written(foreign: ForeignStudy, folder: Path) -> Study:
    write_study(foreign, folder.name, folder)
    return read(folder.name, f"sqlite:///{folder}/study.db")


def foreign(theirs: optuna.Study) -> ForeignStudy:
    return foreign_study(Study(theirs, theirs._storage), "study theirs", {})


def test_record_folder_and_log_belong_together(theirs: optuna.Study, tmp_path: Path) -> None:
    folder = tmp_path / "multirun" / "mine"
    write_study(foreign(theirs), "mine", folder)
    assert sorted(path.name for path in folder.iterdir()) == [
        "events.jsonl",
        "study.db",
        "study.json",
    ]
    study = read("mine", f"sqlite:///{folder}/study.db")
    assert json.loads((folder / "study.json").read_text()) == {"id": study.id, "name": "mine"}
    assert study.imported_from == "study theirs"
    events = list(read_log(folder / "events.jsonl"))
    assert list(disagreements(study, events)) == []
    times = [event["time"] for event in events]
    assert times == sorted(times)
    began = theirs.trials[0].datetime_start
    assert began is not None
    assert times[0] == began.timestamp()
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]  # no draft is left


def test_trials_keep_their_numbers(theirs: optuna.Study, tmp_path: Path) -> None:
    whole = foreign(theirs)
    some = {number: whole.trials[number] for number in (2, 5, 7)}
    study = written(ForeignStudy("o", ("value",), ("minimize",), some), tmp_path / "mine")
    assert [trial.number for trial in study.of_all_groups()] == [2, 5, 7]
    assert [trial.number for trial in study.every()] == list(range(8))
    assert study.trials()[0].params == theirs.trials[2].params


def test_a_value_that_the_log_has_otherwise_is_found(theirs: optuna.Study, tmp_path: Path) -> None:
    study = written(foreign(theirs), tmp_path / "mine")
    events = list(read_log(tmp_path / "mine" / "events.jsonl"))
    next(one for one in events if one["event"] == "TrialFinished")["values"] = [7.0]
    assert len(list(disagreements(study, events))) == 1


def test_nothing_is_overwritten(theirs: optuna.Study, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match=r"^as: 'mine' given, allowed: a new name: .*mine exists$"):
        write_study(foreign(theirs), "mine", tmp_path / "mine")
    assert list((tmp_path / "mine").iterdir()) == []


def test_an_import_that_fails_leaves_nothing(theirs: optuna.Study, tmp_path: Path) -> None:
    whole = foreign(theirs)
    torn = ForeignStudy("o", ("value", "second"), ("minimize", "minimize"), whole.trials)
    with pytest.raises(ValueError, match="values"):
        write_study(torn, "mine", tmp_path / "multirun" / "mine")
    assert list((tmp_path / "multirun").iterdir()) == []


def is_storable(study: Study) -> bool:
    """Whether a database of Optuna would hold the study: a key does not change its kind there."""
    latest = study.searched()
    try:
        for trial in study.every():
            for key, over in trial.distributions.items():
                check_distribution_compatibility(latest.get(key, over), over)
    except ValueError:
        return False
    return True


@pytest.mark.long
@settings(
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],  # each example writes databases: shrinking takes long
    deadline=None,
    suppress_health_check=SLOW,
    derandomize=True,
)
@given(studies())
def test_any_study_is_imported_and_agrees_with_its_log(study: Study) -> None:
    assume(is_storable(study))
    found = foreign_study(study, "theirs", {})
    ended = {trial.number: trial for trial in study.trials() if trial.state.is_finished()}
    assert {*found.trials} == {*ended}
    with TemporaryDirectory() as folder:
        own = written(found, Path(folder) / "mine")
        assert {one.number: one.params for one in own.trials()} == {
            number: trial.params for number, trial in ended.items()
        }
        complete = {one.number: one.values for one in own.ranked()}
        assert complete == {one.number: one.values for one in study.ranked()}
        assert own.directions == study.directions
        assert list(disagreements(own, read_log(Path(folder) / "mine" / "events.jsonl"))) == []
