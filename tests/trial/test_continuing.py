"""Interrupted trials resume from their last checkpoint."""

import json
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from ugro.config import Config
from ugro.events.channel import Answer, TrialInterruptedError
from ugro.events.trial_report import DATA_PARTS, Report, TrialResult
from ugro.trial.checkpoints import hash_training, latest, seal
from ugro.trial.trial import RecordingChannel, run_trial

from ..conftest import QUICK
from .conftest import Run, reports


def test_reports_are_never_lost_while_those_that_are_repeated_are_taken_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"step": step, "eval_loss": 3.0}) for step in (0, 2, 4)]
    path.write_text("".join(f"{line}\n" for line in lines))
    again = Report(4, 8, 400, 800, 4.0, {"eval_loss": 3.0}, time=0.0)
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, hard))  # bytes of a file: less than two lines
    try:
        with pytest.raises(OSError, match="File too large"):
            RecordingChannel(path, Told()).report(again)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text().splitlines() == lines
    RecordingChannel(path, Told()).report(again)
    assert [line["step"] for line in reports(tmp_path)] == [0, 2, 4]


class Told:
    """A channel that interrupts after this many queries, or pauses or breaks at a step."""

    def __init__(
        self, interrupt_after: int = 99, break_at: int = 99, pause_at: int | None = None
    ) -> None:
        self.reports: list[Report] = []
        self._pause_at = pause_at
        self._interrupt_after = interrupt_after
        self._break_at = break_at
        self._steps = 0

    def report(self, report: Report) -> Answer:
        if report.step == self._break_at:
            raise ConnectionError("the driver is gone")
        self.reports.append(report)
        return Answer.PAUSE if report.step == self._pause_at else Answer.CONTINUE

    def interrupted(self) -> bool:
        self._steps += 1
        return self._steps >= self._interrupt_after


WEIGHTS = "adapter/adapter_model.safetensors"
LONGER = ("training.max_steps=8", "lora.dropout=0.1", "training.max_tokens=null")


@pytest.fixture
def at_once(run: Run) -> tuple[TrialResult, list[dict[str, float]]]:
    result, folder = run(*LONGER)
    return result, reports(folder)


def without_times(report: dict[str, float]) -> dict[str, float]:
    times = ("seconds", "time", "peak_memory_mb")
    return {key: value for key, value in report.items() if key not in times}


@pytest.mark.parametrize(
    "told", [Told(interrupt_after=5), Told(interrupt_after=4), Told(break_at=6)]
)
def test_a_continued_trial_comes_to_what_it_would_have_come_to_at_once(
    told: Told,
    at_once: tuple[TrialResult, list[dict[str, float]]],
    settings: Callable[..., Config],
    tmp_path: Path,
) -> None:
    config = settings(*QUICK, *LONGER)
    with pytest.raises((TrialInterruptedError, ConnectionError)):
        run_trial(config, tmp_path, told)
    again = Told()
    result = run_trial(config, tmp_path, again)
    assert again.reports[0].step > 2  # not from zero
    expected, lines = at_once
    same = ("eval_loss", "tokens_seen", "steps", "best_step", "train_loss")
    for name in same:
        assert result.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-6), name
    assert result.metrics["eval_loss"] == expected.metrics["eval_loss"]
    told_twice = [without_times(report) for report in reports(tmp_path)]
    if (
        told._interrupt_after != 4
    ):  # between two evaluations: the logged training loss begins anew in between
        assert told_twice == [without_times(report) for report in lines]
    assert [line["step"] for line in told_twice] == [line["step"] for line in lines]


def test_a_paused_and_resumed_trial_equals_an_uninterrupted_one_bit_for_bit(
    run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    expected, folder = run(*LONGER)
    config = settings(*QUICK, *LONGER)
    for step in (2, 6):  # a trial may be paused more than once
        with pytest.raises(TrialInterruptedError, match=f"saved after step {step}"):
            run_trial(config, tmp_path, channel := Told(pause_at=step))
        assert channel.reports[-1].step == step
    result = run_trial(config, tmp_path, channel := Told())
    assert [report.step for report in channel.reports] == [8]  # no step is repeated
    assert [without_times(one) for one in reports(tmp_path)] == [
        without_times(one) for one in reports(folder)
    ]
    assert result.values == expected.values
    assert (tmp_path / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_a_trial_that_ends_by_itself_is_not_paused(
    settings: Callable[..., Config], tmp_path: Path
) -> None:
    # A learning rate of almost nothing: the patience ends the trial at step 8.
    patience = ("training.learning_rate=1e-30", "training.early_stopping_patience=3")
    config = settings(*QUICK, "training.max_steps=20", *patience)
    assert run_trial(config, tmp_path, Told(pause_at=8)).metrics["steps"] == 8


@pytest.mark.parametrize("keep", ["best_and_last", "best", "none"])
def test_a_paused_trial_keeps_its_checkpoint_whatever_is_kept_of_ended_trials(
    keep: str, settings: Callable[..., Config], tmp_path: Path
) -> None:
    config = settings(*QUICK, *LONGER, f"study.keep_checkpoints={keep}")
    with pytest.raises(TrialInterruptedError):
        run_trial(config, tmp_path, Told(pause_at=4))
    run_trial(config, tmp_path, channel := Told())
    assert [report.step for report in channel.reports] == [6, 8]


@pytest.mark.parametrize("how", ["pissa", "pissa_niter_1", "olora"])
def test_so_does_one_whose_initialisation_rewrites_the_base(
    how: str, run: Run, settings: Callable[..., Config], tmp_path: Path
) -> None:
    asked = (*LONGER, f"lora.init_lora_weights={how}")
    expected, at_once = run(*asked)
    config = settings(*QUICK, *asked)
    with pytest.raises(TrialInterruptedError):
        run_trial(config, tmp_path, Told(interrupt_after=5))
    result = run_trial(config, tmp_path, Told())  # on a base model that was read anew
    assert result.metrics["eval_loss"] == pytest.approx(expected.metrics["eval_loss"], abs=1e-6)
    one, other = (load_file(folder / WEIGHTS) for folder in (at_once, tmp_path))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=0, atol=1e-6)


def test_the_patience_is_continued_too(settings: Callable[..., Config], tmp_path: Path) -> None:
    # A learning rate of almost nothing, so that no evaluation is better than the second.
    patience = ("training.learning_rate=1e-30", "training.early_stopping_patience=3")
    config = settings(*QUICK, "training.max_steps=20", *patience)
    with pytest.raises(TrialInterruptedError):
        run_trial(config, tmp_path, Told(interrupt_after=4))
    assert run_trial(config, tmp_path, Told()).metrics["steps"] == 8


def test_what_had_come_to_its_end_is_not_trained_further(
    run: Run, settings: Callable[..., Config]
) -> None:
    result, folder = run("training.max_steps=6", "data.max_train_examples=64")
    told = Told()
    again = run_trial(settings(*QUICK, "training.max_steps=6"), folder, told)
    assert told.reports == []
    for name in ("eval_loss", "steps", "tokens_seen", "train_loss"):
        assert again.metrics[name] == result.metrics[name]


def test_checkpoints_of_another_training_are_not_continued(
    run: Run, settings: Callable[..., Config]
) -> None:
    _, folder = run()
    told = Told()
    run_trial(settings(*QUICK, "lora.r=4"), folder, told)
    assert [report.step for report in told.reports] == [0, 2, 4]
    assert [report["step"] for report in reports(folder)] == [0, 2, 4]


@pytest.mark.parametrize(
    ("keep", "steps"),
    [("best_and_last", {2, 6}), ("best", {2}), ("all", {2, 4, 6}), ("none", set())],
)
def test_checkpoints_are_kept_as_configured(keep: str, steps: set[int], run: Run) -> None:
    # A learning rate of almost nothing: the first evaluation is the best.
    _, folder = run(
        "training.max_steps=6", "training.learning_rate=1e-30", f"study.keep_checkpoints={keep}"
    )
    found = {int(path.name.partition("-")[2]) for path in (folder / "checkpoints").iterdir()}
    assert found == steps


def test_a_checkpoint_cannot_bring_code_along(
    settings: Callable[..., Config], tmp_path: Path, cache_dir: Path
) -> None:
    config = settings(*QUICK, *LONGER)
    with pytest.raises(TrialInterruptedError):
        run_trial(config, tmp_path, Told(interrupt_after=5))
    ran_with = json.loads((tmp_path / "provenance.json").read_text())
    data = {name: ran_with[name] for name in DATA_PARTS if name in ran_with}
    training = hash_training(config, data)
    checkpoint = latest(tmp_path / "checkpoints", training)
    assert checkpoint is not None
    torch.save(Hostile(tmp_path / "ran"), checkpoint / "optimizer.pt")
    seal(checkpoint, training)
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        run_trial(config, tmp_path, Told())
    assert not (tmp_path / "ran").exists()


class Hostile:
    """Creates a file when unpickled."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self._file,)
