"""The best of a study, trained again with other seeds, as a user asks for it."""

import json
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from ..conftest import QUICK
from .studies import IN_PROCESS, TrainPy, table

STUDY = ("-m", *QUICK, IN_PROCESS, "search_space=lora_small", "hydra.sweeper.n_trials=3")
# Half of them is stopped at the first rung; whoever confirms them hears nothing of that.
STOPPED = ("scheduler=asha", "scheduler.grace_period=0.5", "scheduler.reduction_factor=2")


@pytest.mark.long
def test_the_best_and_the_baseline_are_trained_again_to_their_ends_and_what_that_says_is_told(
    train_py: TrainPy, tmp_path: Path
) -> None:
    asked = [*STUDY, *STOPPED, "study.name=c", "study.confirm=1"]
    done = train_py(*asked, "study.confirm_seeds=2")
    assert done.returncode == 0, done.stderr
    study = tmp_path / "multirun" / "c"
    searched = table(study)
    complete = [row for row in searched if row["state"] == "COMPLETE"]
    best = min(complete, key=lambda row: float(row["value"]))
    rows = table(study / "confirm")
    sources = {f"trial {best['number']}", "trial 0"}
    assert {row["source"] for row in rows} == sources
    assert len(rows) == 2 * len(sources)
    assert {row["state"] for row in rows} == {"COMPLETE"}
    assert {row["seed"] for row in rows} == {"43", "44"}
    for row in rows:
        folder = study / "confirm" / "trials" / f"{int(row['number']):04d}"
        config = OmegaConf.load(folder / ".hydra" / "config.yaml")
        ran_with = json.loads((folder / "provenance.json").read_text())
        first = json.loads((study / "trials" / "0000" / "provenance.json").read_text())
        assert config.seed == int(row["seed"])
        assert str(config.lora.r) == row["lora.r"]
        assert ran_with["eval_data"] == first["eval_data"]  # whatever the seed
        assert ran_with["train_data"] == first["train_data"]
    assert f"Trial {best['number']}, the best: eval_loss " in done.stdout

    again = train_py(*asked, "study.confirm_seeds=3")  # what there is stays
    assert again.returncode == 0, again.stderr
    more = table(study / "confirm")
    assert [row["value"] for row in more[: len(rows)]] == [row["value"] for row in rows]
    assert {row["seed"] for row in more[len(rows) :]} == {"45"}
    assert len(more) == 3 * len(sources)
    assert "with seeds 43, 44 and 45" in again.stdout
    assert len(table(study)) == 3  # nothing is added to the study itself
