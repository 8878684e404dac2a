import re
from pathlib import Path

import optuna
import pytest

from tests.stores import Postgresql, postgresql
from tests.study.importing.conftest import downgrade, optimize
from ugro.analysis.report.how_run import how_run
from ugro.analysis.tables import tables_of
from ugro.cli.audit import main as audit
from ugro.cli.import_study import main
from ugro.cli.study_lookup import find_study
from ugro.errors import UserError
from ugro.study.study import read

__all__ = ["postgresql"]

RUNS = """\
Name,State,Created,Runtime,lr,rank,eval/loss
a,finished,2026-03-01T10:20:30.000Z,120,0.001,16,2.5
b,running,2026-03-01T11:20:30.000Z,12,0.01,8,2.75
c,finished,2026-03-01T12:20:30.000Z,120,0.01,8,2.75
"""
RATE = "keys={lr: training.learning_rate}"


@pytest.fixture(autouse=True)
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> optuna.Study:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs.csv").write_text(RUNS)
    return optimize(tmp_path / "theirs.db")


def refusal(*arguments: str) -> str:
    with pytest.raises(UserError) as error:
        main(arguments)
    assert not Path("multirun").exists()
    return str(error.value)


def test_what_was_imported_left_out_and_kept_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    main(["storage=sqlite:///theirs.db", "as=mine", RATE])
    assert capsys.readouterr().out.splitlines() == [
        "Imported 8 trials, study theirs of sqlite:///theirs.db: "
        "6 complete, 1 failed, 1 stopped at rung",
        "Left out: 1 running, 1 waiting",
        "1 of 3 parameters have no key of UGRO and keep their names: kind; "
        "with a key: keys={kind: KEY}",
        "Analyze it: ugro analyze study.name=mine",
        "Begin a sweep with its best trials: 'study.warm_start=[mine]'",
    ]
    audit(["study.name=mine"])
    assert "Log and study agree: 8 trials, 18 events." in capsys.readouterr().out


def test_the_name_is_theirs_unless_one_is_given() -> None:
    main(["storage=sqlite:///theirs.db"])
    assert Path("multirun/theirs/study.db").exists()
    keys = "keys={lr: training.learning_rate, rank: lora.r}"
    main(["wandb=runs.csv", "objective={eval/loss: eval_loss}", "direction=minimize", keys])
    assert Path("multirun/runs/study.db").exists()


def test_the_report_names_the_origin_and_no_driver() -> None:
    main(["storage=sqlite:///theirs.db", "as=mine"])
    where = find_study({"study.name": "mine"})
    facts = dict(how_run(tables_of(where.study(), where.folder)).facts)
    assert facts["imported_from"] == "study theirs of sqlite:///theirs.db"
    assert "trials run" in facts
    assert "driver" not in facts


def test_an_import_that_is_repeated_is_refused() -> None:
    main(["storage=sqlite:///theirs.db", "as=mine"])
    before = Path("multirun/mine/events.jsonl").read_bytes()
    with pytest.raises(UserError, match=r"^as: 'mine' given, allowed: a new name: multirun/mine e"):
        main(["storage=sqlite:///theirs.db", "as=mine"])
    assert Path("multirun/mine/events.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "storage or wandb: one of them says where the trials are"),
        ("storage=sqlite:///theirs.db wandb=runs.csv", "storage or wandb: one of them says"),
        ("storage=sqlite:///no.db", "storage: 'sqlite:///no.db' given, allowed: a database that"),
        ("storage=journal:///no.log", "storage: 'journal:///no.log' given, allowed: a database t"),
        (
            "storage=sqlite:///theirs.db study.name=other",
            "study.name: 'other' given, allowed: a study that the storage holds: theirs",
        ),
        (
            "storage=sqlite:///theirs.db as=../mine",
            "as: '../mine' given, allowed: a name for the new study: as=NAME, of letters, ",
        ),
        ("storage=sqlite:///theirs.db keys=3", "keys: '3' given, allowed: {NAME: KEY, ...}"),
        (
            "storage=sqlite:///theirs.db keys={rate:lora.r}",
            "keys: 'rate' given, allowed: a parameter: kind, lora.r, lr",
        ),
        (
            "storage=sqlite:///theirs.db keys={lr:lora.r}",
            "keys: 'lora.r' given, allowed: a key that one parameter has; lr and lora.r",
        ),
        (
            "storage=sqlite:///theirs.db direction=minimize",
            "direction: 'minimize' given, allowed: nothing; it belongs to wandb=PATH",
        ),
        (
            "wandb=runs.csv study.name=mine",
            "study.name: 'mine' given, allowed: nothing; it belongs to storage=URL",
        ),
        (
            "wandb=runs.csv objective=loss direction=minimize",
            "objective: 'loss' given, allowed: a number of the runs: lr, rank, eval/loss",
        ),
        (
            "wandb=runs.csv objective=eval/loss direction=down",
            "direction: 'down' given, allowed: minimize, maximize",
        ),
        (
            "wandb=runs.csv objective=eval/loss direction=minimize",
            "keys: {} given, allowed: {NAME: KEY} for the searched ones of lr, rank, eval/loss",
        ),
    ],
)
def test_mistakes_are_a_line_and_make_nothing(arguments: str, line: str) -> None:
    assert re.match(re.escape(line), refusal(*arguments.split()))


def test_a_journal_is_imported_as_a_database_is(theirs: optuna.Study) -> None:
    backend = optuna.storages.journal.JournalFileBackend("theirs.log")
    journal = optuna.storages.JournalStorage(backend)
    optuna.copy_study(from_study_name="theirs", from_storage=theirs._storage, to_storage=journal)
    main(["storage=journal:///theirs.log", "as=journal"])
    main(["storage=sqlite:///theirs.db", "as=database"])
    found = [read(name, f"sqlite:///multirun/{name}/study.db") for name in ("journal", "database")]
    one, other = ([(each.params, each.values) for each in study.trials()] for study in found)
    assert one == other
    assert len(one) == 8


def test_a_database_of_an_earlier_optuna_is_told_elsewhere_and_imported() -> None:
    downgrade(Path("theirs.db"))
    with pytest.raises(UserError, match=r"^storage: .* allowed: one that this Optuna reads \("):
        find_study({"storage": "sqlite:///theirs.db"})
    main(["storage=sqlite:///theirs.db", "as=mine"])
    assert len(read("mine", "sqlite:///multirun/mine/study.db").trials()) == 8


@pytest.mark.long
def test_a_study_of_a_server_is_imported(theirs: optuna.Study, postgresql: Postgresql) -> None:
    optuna.copy_study(
        from_study_name="theirs", from_storage=theirs._storage, to_storage=postgresql.url
    )
    main([f"storage={postgresql.url}", "as=mine"])
    study = read("mine", "sqlite:///multirun/mine/study.db")
    assert [trial.params for trial in study.trials()] == [
        trial.params for trial in theirs.trials if trial.state.is_finished()
    ]
