"""A trial with any objectives, and with some schedulers, is run again from what it left."""

from pathlib import Path

import pytest

from ..conftest import QUICK, ROOT
from .studies import IN_PROCESS, TrainPy, preference_pairs, reviews, write_rows

OBJECTIVES = [
    f"objectives={one.stem}" for one in sorted((ROOT / "conf" / "objectives").glob("*.yaml"))
]
OTHERS = ["scheduler=asha", "scheduler=dominance", "scheduler=median", "constraints=deployment"]


def needed(option: str, folder: Path) -> list[str]:
    """Return the overrides without which an option is refused."""
    match option:
        case "constraints=deployment":
            return ["constraints.expressions=['latency_ms <= 1e9']"]
        case "objectives=reward_accuracy":
            return ["task=dpo", *write_rows(folder, preference_pairs())]
        case "objectives=accuracy":
            columns = "data.columns={text: review, label: stars}"
            return ["task=classification", columns, *write_rows(folder, reviews())]
        case _:
            return []


@pytest.mark.long
@pytest.mark.parametrize("option", [*OBJECTIVES, *OTHERS])
def test_it_reproduces_and_the_best_experiment_runs(
    option: str, train_py: TrainPy, tmp_path: Path
) -> None:
    asked = [*QUICK, IN_PROCESS, option, *needed(option, tmp_path), "study.name=s"]
    swept = train_py("-m", *asked)
    assert swept.returncode == 0, swept.stderr
    done = train_py("reproduce", "study.name=s", "trial=0", module="ugro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The same " in done.stdout
    study = tmp_path / "multirun" / "s"
    best = train_py("--config-dir", str(study), "experiment=best", "hydra.run.dir=again")
    assert best.returncode == 0, best.stderr
