"""A driver or a worker dies while a trial is being paused, is paused, or resumes.

Trials run one after another in a given order, so that the same trials end with the same values as
without a fault. By hand, with rungs at 200, 400 and 800 of 1,000 tokens, one of two trials promoted
at each, and losses in the order of ``lora.r``:

- 200 tokens: 0 (r=5) is paused; 1 (7) is behind it, so 0 resumes; 2 (9) is behind; 3 (3) is best of
  four and goes on; 4 (8) is behind; 5 (6) is among the best three of six and goes on.
- 400 tokens: 0 is paused, as it is alone; 3 is best of two and goes on; 5 is behind.
- 800 tokens: 3 is paused, as it is alone. At the end it resumes as the best of the last rung.
"""

import csv
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from ugro.cli.audit import main as audit
from ugro.events.outcome import Outcome
from ugro.study.trial_record import recorded_outcome, retried

from .sweeps import (
    SPACE,
    TWO_SLOTS,
    Sweep,
    attempts,
    check_resumed,
    events,
    study_in,
    swept,
    wait_for,
)

PAUSED, COMPLETE = Outcome.PAUSED, Outcome.COMPLETE
OVERRIDES = (
    "study.name=s",
    "lora.r=5,7,9,3,8,6",
    "scheduler=promotion_asha",
    "scheduler.grace_period=200",
    "scheduler.reduction_factor=2",
)
ONE_SLOT = ("++hydra.launcher.ray.init.num_cpus=1", "hydra.launcher.ray.remote.num_gpus=0")
ENDS = [(400, PAUSED), (200, PAUSED), (200, PAUSED), (1000, COMPLETE), (200, PAUSED), (400, PAUSED)]


def check_as_without_faults(folder: Path) -> None:
    """Assert the endings above, and that each attempt started at the last sealed checkpoint."""
    study = folder / "multirun" / "s"
    trials = study_in(folder).trials()
    assert [(trial.last_step, recorded_outcome(trial)) for trial in trials] == ENDS
    assert [trial.params["lora.r"] for trial in trials] == [5, 7, 9, 3, 8, 6]
    assert trials[3].values == [3 + 3.0 / 11]
    assert {event["number"] for event in events(study, "TrialFinished")} == {3}
    for number in range(6):
        check_resumed(study / "trials" / f"{number:04d}")
    audit(["study.name=s", f"study.dir={study}"])


def began(folder: Path, number: int) -> list[int]:
    """Steps at which the attempts of a trial began."""
    notes = attempts(folder / "multirun" / "s" / "trials" / f"{number:04d}")
    return [note["step"] for note in notes if note["what"] == "began"]


@pytest.mark.parametrize(
    "slots", [pytest.param(ONE_SLOT, marks=pytest.mark.faults), ("hydra/launcher=basic",)]
)
def test_trials_are_paused_and_resumed_where_they_were(
    slots: Sequence[str], tmp_path: Path
) -> None:
    output = swept(tmp_path, *OVERRIDES, *slots)
    check_as_without_faults(tmp_path)
    assert [began(tmp_path, number) for number in range(6)] == [[0, 2], [0], [0], [0, 8], [0], [0]]
    assert "Study ended: all trials are done: 1 complete, 5 paused" in output
    with (tmp_path / "multirun" / "s" / "trials.csv").open() as file:
        reasons = [row["reason"] for row in csv.DictReader(file)]
    assert reasons == ["paused", "paused", "paused", "complete", "paused", "paused"]


@pytest.mark.faults
def test_a_driver_that_is_killed_while_a_trial_is_being_paused_loses_nothing(
    tmp_path: Path,
) -> None:
    notes = tmp_path / "multirun" / "s" / "trials" / "0000" / "0000.jsonl"
    with Sweep(tmp_path, [*OVERRIDES, *ONE_SLOT], {"linger": {"0": 2}}) as sweep:
        wait_for(lambda: notes.exists() and "pausing" in notes.read_text())
        sweep.is_killed()
    swept(tmp_path, *OVERRIDES, *ONE_SLOT)
    check_as_without_faults(tmp_path)
    # It is paused though it had no checkpoint of that step, and repeats the step when it resumes.
    assert began(tmp_path, 0) == [0, 1]


@pytest.mark.faults
def test_a_driver_that_is_killed_while_a_trial_is_paused_loses_nothing(tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "s"
    with Sweep(tmp_path, [*OVERRIDES, *ONE_SLOT], {"seconds": 0.5}) as sweep:
        wait_for(lambda: [e for e in events(study, "TrialReported") if e["number"] == 1])
        sweep.is_killed()
    swept(tmp_path, *OVERRIDES, *ONE_SLOT)
    check_as_without_faults(tmp_path)
    assert began(tmp_path, 0) == [0, 2]
    assert len(began(tmp_path, 1)) == 2


@pytest.mark.faults
def test_a_driver_that_is_killed_while_a_trial_resumes_loses_nothing(tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "s"
    with Sweep(tmp_path, [*OVERRIDES, *ONE_SLOT], {"seconds": 0.5}) as sweep:
        wait_for(lambda: events(study, "TrialResumed"))
        sweep.is_killed()
    swept(tmp_path, *OVERRIDES, *ONE_SLOT)
    check_as_without_faults(tmp_path)
    assert began(tmp_path, 0)[-1] == 2


@pytest.mark.faults
@pytest.mark.parametrize(
    ("faults", "steps", "retries"),
    [({"die_pausing": {"0": 2}}, [0, 1], 0), ({"die": {"0": 3}}, [0, 2, 2], 1)],
    ids=["pausing", "resuming"],
)
def test_a_worker_that_is_killed_loses_nothing(
    faults: dict[str, dict[str, int]], steps: list[int], retries: int, tmp_path: Path
) -> None:
    swept(tmp_path, *OVERRIDES, *ONE_SLOT, faults=faults)
    check_as_without_faults(tmp_path)
    assert began(tmp_path, 0) == steps
    assert retried(study_in(tmp_path).trials()[0]) == retries


@pytest.mark.faults
def test_ctrl_c_leaves_paused_trials_paused(tmp_path: Path) -> None:
    study = tmp_path / "multirun" / "s"
    with Sweep(tmp_path, [*OVERRIDES, *ONE_SLOT], {"seconds": 0.5}) as sweep:
        wait_for(lambda: [e for e in events(study, "TrialReported") if e["number"] == 3])
        sweep.process.send_signal(signal.SIGINT)
        assert sweep.ends(60) == 130
    outcomes = [recorded_outcome(trial) for trial in study_in(tmp_path).trials()]
    assert outcomes == [PAUSED, PAUSED, PAUSED, Outcome.INTERRUPTED]
    swept(tmp_path, *OVERRIDES, *ONE_SLOT)
    check_as_without_faults(tmp_path)


@pytest.mark.faults
def test_paused_trials_of_a_dead_driver_are_taken_over_by_the_other(tmp_path: Path) -> None:
    url = f"journal:///{tmp_path}/study.log"
    overrides = [*OVERRIDES, *ONE_SLOT, f"hydra.sweeper.storage={url}"]
    study = tmp_path / "multirun" / "s"
    with Sweep(tmp_path, overrides, {"seconds": 0.4}) as first:
        wait_for(lambda: events(study, "TrialPaused"))
        with Sweep(tmp_path, overrides, {"seconds": 0.2}) as second:
            wait_for(lambda: len(events(study, "StudyStarted")) == 2)
            first.is_killed()
            assert second.ends() == 0, second.output()
    trials = study_in(tmp_path, storage=url).trials()
    outcomes = [recorded_outcome(trial) for trial in trials]
    assert sorted(trial.params["lora.r"] for trial in trials) == [3, 5, 6, 7, 8, 9]
    assert set(outcomes) == {PAUSED, COMPLETE}
    assert outcomes[[trial.params["lora.r"] for trial in trials].index(3)] is COMPLETE
    for trial in (study / "trials").iterdir():
        check_resumed(trial)
    audit(["study.name=s", f"study.dir={study}", f"storage={url}"])


@pytest.mark.faults
def test_a_driver_with_the_default_scheduler_is_killed_again_and_again(tmp_path: Path) -> None:
    """With two slots the order of the trials is not given: no trial and no report is lost."""
    overrides = ("study.name=s", SPACE, "scheduler=auto", "hydra.sweeper.n_trials=12", *TWO_SLOTS)
    study = tmp_path / "multirun" / "s"
    for kind, count in (("TrialPaused", 1), ("TrialReported", 25), ("TrialAsked", 9)):
        with Sweep(tmp_path, overrides, {"seconds": 0.3}) as sweep:
            wait_for(lambda: len(events(study, kind)) >= count)  # noqa: B023
            sweep.is_killed()
    swept(tmp_path, *overrides)
    trials = study_in(tmp_path).trials()
    outcomes = [recorded_outcome(trial) for trial in trials]
    assert len(trials) == 12
    assert set(outcomes) == {PAUSED, COMPLETE}
    for trial in trials:
        folder = study / "trials" / f"{trial.number:04d}"
        check_resumed(folder)
        # Every report that was logged is in the record.
        logged = {
            e["tokens_seen"] for e in events(study, "TrialReported") if e["number"] == trial.number
        }
        assert logged - {0} == set(trial.intermediate_values) - {0}
    audit(["study.name=s", f"study.dir={study}"])
