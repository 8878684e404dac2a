from pathlib import Path

import pytest

from ugro.events.events import TrialFinished, TrialStarted
from ugro.events.outcome import Outcome
from ugro.observers.checkpoint_cleanup import CheckpointCleanup

GO = {
    Outcome.RUNG,
    Outcome.BUDGET,
    Outcome.TIMED_OUT,
    Outcome.DIVERGED,
    Outcome.STUDY_LIMIT,
    Outcome.INFEASIBLE,
    Outcome.OUT_OF_MEMORY,
}


@pytest.mark.parametrize("how", list(Outcome))
def test_the_checkpoints_of_a_pruned_trial_go_and_all_others_stay(
    how: Outcome, tmp_path: Path
) -> None:
    for number in (0, 1):
        (tmp_path / str(number) / "checkpoint-4").mkdir(parents=True)
    tidy = CheckpointCleanup(lambda number: tmp_path / str(number))
    tidy.observe(TrialStarted(0))
    assert (tmp_path / "0").exists()
    tidy.observe(TrialFinished(0, how, (), {}))
    assert (tmp_path / "0").exists() == (how not in GO)
    assert (tmp_path / "1").exists()


def test_a_trial_without_checkpoints_is_borne(tmp_path: Path) -> None:
    CheckpointCleanup(lambda number: tmp_path / str(number)).observe(
        TrialFinished(0, Outcome.RUNG, (), {})
    )
