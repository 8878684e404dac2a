"""Adapters beside LoRA on the command line."""

from pathlib import Path

import pytest

from ..conftest import QUICK
from .studies import IN_PROCESS, TrainPy, table


@pytest.mark.long
def test_a_search_among_adapters_trains_each_with_its_own_keys(
    train_py: TrainPy, tmp_path: Path
) -> None:
    asked = ("search_space=adapters", "hydra.sweeper.n_trials=16", "study.name=mixed")
    done = train_py("-m", *QUICK, IN_PROCESS, *asked, "study.analysis=true")
    assert done.returncode == 0, done.stderr
    study = tmp_path / "multirun" / "mixed"
    rows = table(study)
    assert {row["state"] for row in rows} == {"COMPLETE"}
    assert len({row["adapter"] for row in rows}) >= 6
    for row in rows:
        of_others = [
            key for key, value in row.items() if value and key.endswith((".learning_rate", ".r"))
        ]
        own = "training" if row["adapter"] == "lora" else row["adapter"]
        assert f"{own}.learning_rate" in of_others
        assert {key.partition(".")[0] for key in of_others} <= {own, row["adapter"]}
    report = (study / "analysis" / "report.html").read_text()
    assert "vera.learning_rate" in report
    best = min(rows, key=lambda row: float(row["value"]))
    assert f"As overrides: adapter={best['adapter']}" in done.stdout
    where = ("study.name=mixed", f"trial={best['number']}", "to=served", "format=merged")
    exported = train_py("export", *where, module="ugro")
    assert exported.returncode == 0, exported.stderr
    again = train_py("reproduce", "study.name=mixed", f"trial={best['number']}", module="ugro")
    assert "The same to the last digit" in again.stdout
