from pathlib import Path

import pytest

from ugro.ending import Ending
from ugro.events import TrialFinished, TrialStarted
from ugro.observers.tidy import Tidy

GO = {
    Ending.RUNG,
    Ending.BUDGET,
    Ending.TIMED_OUT,
    Ending.DIVERGED,
    Ending.STUDY_LIMIT,
    Ending.INFEASIBLE,
    Ending.OUT_OF_MEMORY,
}


@pytest.mark.parametrize("how", list(Ending))
def test_the_checkpoints_of_a_pruned_trial_go_and_all_others_stay(
    how: Ending, tmp_path: Path
) -> None:
    for number in (0, 1):
        (tmp_path / str(number) / "checkpoint-4").mkdir(parents=True)
    tidy = Tidy(lambda number: tmp_path / str(number))
    tidy.observe(TrialStarted(0))
    assert (tmp_path / "0").exists()
    tidy.observe(TrialFinished(0, how, (), {}))
    assert (tmp_path / "0").exists() == (how not in GO)
    assert (tmp_path / "1").exists()


def test_a_trial_without_checkpoints_is_borne(tmp_path: Path) -> None:
    Tidy(lambda number: tmp_path / str(number)).observe(TrialFinished(0, Ending.RUNG, (), {}))
