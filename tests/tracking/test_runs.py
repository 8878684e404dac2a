from pathlib import Path

import pytest

from tests.observers.scripted_study import (
    SECRET,
    finished,
    first_session,
    report,
    second_session,
    trial_events,
)
from ugro.events.events import (
    Event,
    TrialAsked,
    TrialFinished,
    TrialPaused,
    TrialReported,
    TrialResumed,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.tracking.runs import Runs
from ugro.tracking.updates import Point, RunUpdate, Status, Table

EVERY = [*first_session(Path("multirun/s")), *second_session(Path("multirun/s"))]


def updates(events: list[Event], folder: Path = Path("nowhere")) -> dict[int | None, RunUpdate]:
    return {update.trial: update for update in Runs(folder).updates(events)}


def curve(update: RunUpdate, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in update.points if point.name == name]


def test_the_study_has_a_run_followed_by_a_run_per_trial() -> None:
    made = Runs(Path("nowhere")).updates(EVERY)
    assert [update.name for update in made] == ["s", "trial 0", "trial 1", "trial 2", "trial 3"]
    assert [update.time for update in made] == [100.0, 101.0, 107.0, 112.0, 114.0]


def test_runs_end_with_the_outcome_of_their_trials() -> None:
    made = updates(EVERY)
    ends = {number: (run.status, run.ended, run.tags["state"]) for number, run in made.items()}
    assert ends == {
        None: (Status.finished, 206.0, "finished"),
        0: (Status.finished, 106.0, "complete"),
        1: (Status.killed, 111.0, "pruned"),
        2: (Status.failed, 113.0, "failed"),
        3: (Status.finished, 205.0, "complete"),
    }
    reasons = [made[number].tags["reason"] for number in range(4)]
    assert reasons == ["complete", "rung", "failed", "complete"]
    assert made[1].tags["rung"] == "1"
    assert made[2].tags["error"] == "ValueError: as scripted"


def test_an_interruption_marks_study_and_trial_as_interrupted() -> None:
    made = updates(first_session(Path("multirun/s")))
    assert (made[None].status, made[None].tags["reason"]) == (Status.killed, "interrupted")
    assert (made[3].status, made[3].tags["state"]) == (Status.killed, "interrupted")


def test_a_resumed_trial_sends_repeated_steps_once() -> None:
    runs = Runs(Path("nowhere"))
    before = {update.trial: update for update in runs.updates(first_session(Path("multirun/s")))}
    (_, resumed) = runs.updates(second_session(Path("multirun/s"))[:4])
    assert (resumed.status, resumed.tags["state"]) == (Status.running, "running")
    assert resumed.tags["retried_because"] == "it was interrupted"
    after = {
        update.trial: update for update in runs.updates(second_session(Path("multirun/s"))[4:])
    }
    assert curve(before[3], "eval_loss") == [(0, 4.0), (4, 3.0)]
    assert curve(after[3], "eval_loss") == [(8, 2.75), (8, 2.75)]  # the curve's, the result
    assert not after[3].parameters  # sent before


def test_a_paused_trial_has_one_run_with_one_curve() -> None:
    runs = Runs(Path("nowhere"))
    runs.updates(first_session(Path("multirun/s")))
    begun = [*trial_events(4, 300.0, (0, 4.0), (4, 3.5)), TrialPaused(4, time=304.0)]
    (paused,) = runs.updates(begun)
    assert (paused.status, paused.ended, paused.tags["state"]) == (Status.killed, 304.0, "paused")
    last = TrialReported(4, report(8, 3.25, 311.0, 20.0), None, 2, time=311.0)
    (resumed,) = runs.updates([TrialResumed(4, time=309.0), TrialStarted(4, time=310.0), last])
    assert (resumed.status, resumed.tags["state"]) == (Status.running, "running")
    assert curve(paused, "eval_loss") + curve(resumed, "eval_loss") == [
        (0, 4.0),
        (4, 3.5),
        (8, 3.25),
    ]


def test_a_curve_has_steps_tokens_and_event_times() -> None:
    trial = updates(EVERY)[0]
    assert [point for point in trial.points if point.name == "eval_loss"] == [
        Point("eval_loss", 4.0, 0, 103.0, 0),
        Point("eval_loss", 3.5, 4, 104.0, 400),
        Point("eval_loss", 3.25, 8, 105.0, 800),
        Point("eval_loss", 3.25, 8, 106.0),  # the result
    ]
    assert curve(trial, "tokens_per_second") == [(4, 40.0), (8, 40.0)]  # 400 tokens in 10 s
    assert curve(trial, "peak_memory_mb") == [(8, 600.0)]


def test_the_study_has_curves_over_the_trials_that_have_ended() -> None:
    own = updates(EVERY)[None]
    assert curve(own, "best/eval_loss") == [(1, 3.25), (2, 3.25), (3, 3.25), (4, 2.75)]
    assert curve(own, "trials/complete") == [(1, 1), (2, 1), (3, 1), (4, 2)]
    assert curve(own, "trials/pruned") == [(1, 0), (2, 1), (3, 1), (4, 1)]
    assert curve(own, "trials/failed") == [(1, 0), (2, 0), (3, 1), (4, 1)]
    assert curve(own, "tokens_seen") == [(1, 800), (2, 1200), (3, 1200), (4, 2000)]
    assert (own.tags["best_trial"], own.tags["best_overrides"]) == ("3", "lora.r=16")


def test_the_study_has_a_description_and_a_table() -> None:
    own = updates(EVERY)[None]
    assert own.table == Table("eval_loss", True, ("lora.r",))
    assert own.description == (
        "**eval_loss 2.7500** by trial 3, 0.5000 (15.4%) better than the baseline, trial 0.\n\n"
        "| | best | baseline |\n|---|---|---|\n| lora.r | 16 | 4 |\n\n"
        "4 of 4 trials have ended: 2 complete, 1 stopped at rung, 1 failed."
        " 2,000 tokens were trained on.\n\n"
        "Reproduce the best trial: `python train.py --config-dir multirun/s experiment=best`"
    )


def test_parameters_combine_the_trials_own_and_the_workers_configuration(tmp_path: Path) -> None:
    written = tmp_path / "trials" / "0000" / ".hydra" / "config.yaml"
    written.parent.mkdir(parents=True)
    written.write_text("lora: {r: 4, alpha: '${multiply:${lora.r},3}'}\nstudy: {name: s}\n")
    made = updates(EVERY, tmp_path)
    assert made[0].parameters == {"lora.r": "4", "lora.alpha": "12"}
    assert made[0].files == [written]
    composed = made[1].parameters  # it ran on another machine
    assert (composed["lora.r"], composed["lora.alpha"], composed["seed"]) == ("8", "16", "42")
    assert "lora.r" not in made[None].parameters
    assert made[None].parameters["training.learning_rate"] == "0.0002"


def test_no_secret_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", SECRET)
    made = updates(EVERY)
    assert SECRET not in repr(made)
    assert made[None].tags["overrides"] == "experiment=quickstart"
    assert made[0].parameters["data.train_files"] == "[${oc.env:PASSWORD}/a.jsonl]"


@pytest.mark.parametrize("cut", range(1, len(EVERY)))
def test_batches_add_up_to_the_same_updates_wherever_they_end(cut: int) -> None:
    complete = updates(EVERY)
    runs = Runs(Path("nowhere"))
    parts = [*runs.updates(EVERY[:cut]), *runs.updates(EVERY[cut:])]
    for number, change in complete.items():
        own = [part for part in parts if part.trial == number]
        assert [point for part in own for point in part.points] == change.points
        assert {k: v for part in own for k, v in part.parameters.items()} == change.parameters
        assert {k: v for part in own for k, v in part.tags.items()} == change.tags
        assert [part.status for part in own if part.status][-1] == change.status


def test_only_open_trials_are_sent_again() -> None:
    runs = Runs(Path("nowhere"))
    (again,) = runs.updates(first_session(Path("multirun/s")), of={3})
    assert (again.trial, curve(again, "eval_loss")) == (3, [(0, 4.0), (4, 3.0)])
    after = {each.trial: each for each in runs.updates(second_session(Path("multirun/s")))}
    assert set(after) == {None, 3}
    assert curve(after[None], "best/eval_loss") == [(4, 2.75)]
    assert not after[None].parameters


def test_the_study_keeps_running_while_another_driver_has_trials() -> None:
    events = first_session(Path("multirun/s"))
    running = [*events[:-2], events[-1]]  # another driver still runs trial 3
    assert updates(running)[None].status is Status.running


def test_a_nan_loss_is_sent() -> None:
    events: list[Event] = [
        *EVERY[:2],
        TrialAsked(0, {}, "space", time=1.0),
        TrialReported(0, report(4, float("nan"), 2.0, 1.0), Outcome.DIVERGED, time=2.0),
        finished(0, Outcome.DIVERGED, 3.0, float("nan"), 400),
    ]
    trial = updates(events)[0]
    assert (trial.status, trial.tags["reason"]) == (Status.killed, "diverged")
    assert str(curve(trial, "eval_loss")) == "[(4, nan), (4, nan)]"
    assert trial.description == "as configured"


def test_several_objectives_are_described_by_the_pareto_front() -> None:
    start = first_session(Path("multirun/s"))[0]
    pareto = type(start)(
        **{
            **vars(start),
            "objectives": ("eval_loss", "latency_ms"),
            "directions": ("minimize", "minimize"),
        }
    )
    events: list[Event] = [pareto]
    for number, values in enumerate([(3.0, 20.0), (2.0, 30.0), (3.5, 40.0)]):
        events += trial_events(number, 101.0)
        events.append(TrialFinished(number, Outcome.COMPLETE, values, {}, time=110.0))
    own = updates(events)[None]
    assert curve(own, "best/eval_loss") == [(1, 3.0), (2, 2.0), (3, 2.0)]
    assert curve(own, "best/latency_ms") == [(1, 20.0), (2, 20.0), (3, 20.0)]
    assert own.description.startswith(
        "2 trials on the Pareto front:\n\n"
        "| trial | eval_loss | latency_ms |\n|---|---|---|\n"
        "| 1 | 2.0000 | 30.0000 |\n| 0 | 3.0000 | 20.0000 |"
    )
