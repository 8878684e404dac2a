from pathlib import Path

import pytest

from ugro.events.events import TrialFinished, TrialPaused, TrialStarted
from ugro.events.outcome import Outcome
from ugro.observers.checkpoint_cleanup import CheckpointCleanup

DELETED = {
    Outcome.RUNG,
    Outcome.BUDGET,
    Outcome.TIMED_OUT,
    Outcome.DIVERGED,
    Outcome.STUDY_LIMIT,
    Outcome.INFEASIBLE,
    Outcome.OUT_OF_MEMORY,
}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_the_checkpoints_of_a_pruned_trial_are_deleted(
    outcome: Outcome, tmp_path: Path
) -> None:
    for number in (0, 1):
        (tmp_path / str(number) / "checkpoint-4").mkdir(parents=True)
    cleanup = CheckpointCleanup(lambda number: tmp_path / str(number))
    cleanup.observe(TrialStarted(0))
    cleanup.observe(TrialPaused(0))
    assert (tmp_path / "0").exists()
    cleanup.observe(TrialFinished(0, outcome, (), {}))
    assert (tmp_path / "0").exists() == (outcome not in DELETED)
    assert (tmp_path / "1").exists()


def test_a_trial_without_checkpoints_is_no_error(tmp_path: Path) -> None:
    CheckpointCleanup(lambda number: tmp_path / str(number)).observe(
        TrialFinished(0, Outcome.RUNG, (), {})
    )
