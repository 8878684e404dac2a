"""A trial in two processes resumes when one is lost, and ends with the process that started it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ugro.config import Config
from ugro.events.channel import Answer, TrialInterruptedError
from ugro.events.trial_report import Report
from ugro.executors.executor import WorkerLostError
from ugro.trial.trial import run_trial

from ...conftest import QUICK
from ..conftest import Run, reports
from ..test_continuing import WEIGHTS, Told, without_times
from .conftest import CLOSE, LONGER, Parallel, check_same
from .functions import on_a_disk_that_is_full_once, slow_to_leave


class KillsAt:
    """A channel that kills a process of the trial at a step.

    Args:
        step: at which
        rank: of the process
    """

    def __init__(self, step: int, rank: int) -> None:
        self._step = step
        self._rank = rank

    def report(self, report: Report) -> Answer:
        if report.step == self._step:
            os.kill(processes_of(os.getpid())[self._rank], signal.SIGKILL)
        return Answer.CONTINUE

    def interrupted(self) -> bool:
        return False


def processes_of(parent: int) -> list[int]:
    """Return the processes of a trial, in the order of their start."""
    found = subprocess.run(
        ["pgrep", "--parent", str(parent), "--full", "ugro.trial.parallel.rank"],
        capture_output=True,
        text=True,
    )
    return sorted(map(int, found.stdout.split()))


@pytest.mark.parametrize(
    ("parallel", "rank"), [("fsdp", 1), pytest.param("ddp", 0, marks=pytest.mark.long)]
)
def test_a_killed_process_loses_nothing_and_one_process_goes_on(
    parallel: str,
    rank: int,
    run: Run,
    in_two: Parallel,
    tmp_path: Path,
    settings: Callable[..., Config],
) -> None:
    expected, folder = run(*LONGER)
    with pytest.raises(WorkerLostError, match=f"process {rank} of the trial was ended by SIGKILL"):
        in_two(parallel, *LONGER, folder=tmp_path, to=KillsAt(6, rank))
    assert not processes_of(os.getpid())
    result = run_trial(settings(*QUICK, *LONGER), tmp_path, again := Told())
    assert [report.step for report in again.reports] == [6, 8]  # not from zero
    assert result.values == pytest.approx(expected.values, abs=CLOSE)
    check_same(folder, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_a_paused_trial_continues_in_two_processes_bit_for_bit(
    parallel: str, in_two: Parallel, tmp_path: Path
) -> None:
    # Rows of different length, so that the processes draw different numbers for dropout.
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps({"text": "some words " * n}) + "\n" for n in range(1, 60)))
    uneven = ("data=jsonl", f"data.train_files=[{path}]", "data.packing=none", "lora.dropout=0.2")
    data = (*LONGER, *uneven, "data.block_size=600")
    expected, folder = in_two(parallel, *data)
    with pytest.raises(TrialInterruptedError, match="saved after step 4"):
        in_two(parallel, *data, folder=tmp_path, to=Told(pause_at=4))
    with pytest.raises(TrialInterruptedError, match="saved after step 5"):
        in_two(parallel, *data, folder=tmp_path, to=Told(interrupt_after=1))
    result, _ = in_two(parallel, *data, folder=tmp_path)
    assert result.values == expected.values
    assert (tmp_path / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    lines = [without_times(one) for one in reports(tmp_path) if one["step"] != 6]
    # The logged training loss begins anew at step 5.
    assert lines == [without_times(one) for one in reports(folder) if one["step"] != 6]


@pytest.mark.long
@pytest.mark.timeout(120)
def test_the_others_wait_for_the_first_while_its_disk_is_full(
    in_two: Parallel, caplog: pytest.LogCaptureFixture
) -> None:
    expected, _ = in_two("ddp", *LONGER)
    result, _ = in_two("ddp", *LONGER, function=on_a_disk_that_is_full_once)
    assert "The checkpoint cannot be written" in caplog.text
    assert result.values == expected.values


@pytest.mark.long
def test_the_first_process_may_take_long_to_leave(in_two: Parallel, tmp_path: Path) -> None:
    with pytest.raises(TrialInterruptedError, match="saved"):
        in_two("ddp", folder=tmp_path, function=slow_to_leave)
    assert (tmp_path / "copied").exists()


@pytest.fixture
def trial_command(tmp_path: Path, cache_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A trial in two processes by train.py."""
    train = Path(__file__).parents[3] / "train.py"
    long = [name for name in QUICK if "max_steps" not in name]
    command = [sys.executable, str(train), *long, "training.max_steps=100000"]
    command += ["training.eval_steps=2", "training.parallel=ddp", "training.processes=2"]
    command += [f"cache_dir={cache_dir}", f"hydra.run.dir={tmp_path}/trial"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        yield process
        process.kill()


@pytest.mark.long
def test_the_processes_end_with_the_one_that_started_them(
    trial_command: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    while not (tmp_path / "trial" / "metrics.jsonl").exists():
        assert trial_command.poll() is None
        time.sleep(0.2)
    started = processes_of(trial_command.pid)
    assert len(started) == 2
    trial_command.kill()
    trial_command.wait()
    until = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in started):
        assert time.monotonic() < until
        time.sleep(0.2)
