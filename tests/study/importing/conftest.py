"""A study of another program: plain Optuna, in a database of its own."""

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from ugro.study.study import silence_optuna


def objective(trial: optuna.Trial) -> float:
    """Best at a rate of 1e-3; trial 4 fails, bad trials are pruned at the second step."""
    rate = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    rank = trial.suggest_int("lora.r", 4, 64, log=True)
    kind = trial.suggest_categorical("kind", ["a", "b"])
    if trial.number == 4:
        raise ValueError("as scripted")
    value = abs(rate - 1e-3) * 10 + rank / 64 + (kind == "a")
    for step in (1, 2, 3):
        trial.report(value + 1 / step, step)
        if trial.number == 5 and step == 2:
            raise optuna.TrialPruned
    trial.set_user_attr("accuracy", 1 / (1 + value))
    trial.set_user_attr("note", "by hand")
    return value


def optimize(database: Path, trials: int = 8) -> optuna.Study:
    """Run ``study.optimize``; one more trial runs, another waits."""
    silence_optuna()
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(
        study_name="theirs", storage=f"sqlite:///{database}", sampler=sampler
    )
    study.enqueue_trial({"lr": 1.0, "lora.r": 8, "kind": "a"})  # outside of the range of lr
    study.optimize(objective, n_trials=trials, catch=(ValueError,))
    study.ask()
    study.enqueue_trial({"lr": 1e-4})
    return study


@pytest.fixture
def theirs(tmp_path: Path) -> optuna.Study:
    """The study, in ``theirs.db``."""
    return optimize(tmp_path / "theirs.db")


def downgrade(database: Path) -> None:
    """Give a database the schema of Optuna 3.0's beta, by Optuna's own migrations."""
    from alembic import command
    from optuna.storages import RDBStorage

    with closing(sqlite3.connect(database)) as connection, connection:
        # A new database has this index under another name, and cannot be downgraded.
        connection.execute("CREATE INDEX trials_study_id_key ON trials(study_id)")
    storage = RDBStorage(f"sqlite:///{database}")
    command.downgrade(storage._version_manager._create_alembic_config(), "v3.0.0.c")
    storage.engine.dispose()
