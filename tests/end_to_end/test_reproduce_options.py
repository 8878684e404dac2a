"""A trial with any objectives, and with some schedulers, is run again from what it left."""

from pathlib import Path

import pytest

from ..conftest import QUICK, ROOT
from .studies import IN_PROCESS, TrainPy

OBJECTIVES = [
    f"objectives={one.stem}" for one in sorted((ROOT / "conf" / "objectives").glob("*.yaml"))
]
OTHERS = ["scheduler=asha", "scheduler=dominance", "scheduler=median", "constraints=deployment"]


@pytest.mark.long
@pytest.mark.parametrize("option", [*OBJECTIVES, *OTHERS])
def test_it_reproduces_and_the_best_experiment_runs(
    option: str, train_py: TrainPy, tmp_path: Path
) -> None:
    constraints = ["constraints.expressions=['latency_ms <= 1e9']"] if "constr" in option else []
    asked = [*QUICK, IN_PROCESS, option, *constraints, "study.name=s"]
    swept = train_py("-m", *asked)
    assert swept.returncode == 0, swept.stderr
    done = train_py("reproduce", "study.name=s", "trial=0", module="ugro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The same " in done.stdout
    study = tmp_path / "multirun" / "s"
    best = train_py("--config-dir", str(study), "experiment=best", "hydra.run.dir=again")
    assert best.returncode == 0, best.stderr
