"""A trial in two processes equals the same trial in one, and resumes when a process is lost."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from ugro.config import ADAPTERS, Config
from ugro.errors import UserError
from ugro.events.channel import Answer, TrialInterruptedError, channel
from ugro.events.trial_report import Report
from ugro.executors.executor import WorkerLostError
from ugro.trial.held_out import measure_test
from ugro.trial.model.base_models import evict_base_model
from ugro.trial.model.random_llama import byte_tokenizer, random_llama
from ugro.trial.parallel.processes import in_processes
from ugro.trial.trial import run_trial

from ...conftest import QUICK
from ..conftest import Run, reports
from ..test_continuing import WEIGHTS, Told, without_times
from .conftest import Parallel

CLOSE = 1e-5
GPUS = torch.cuda.device_count()
THREE = ("training.max_steps=3", "training.eval_steps=3", "training.learning_rate=0.01")
LONGER = ("training.max_steps=8", "training.learning_rate=0.01", "lora.dropout=0")
SAME = ("eval_loss", "eval_bits_per_byte", "train_loss", "tokens_seen", "learning_rate")


def check_same(one: Path, two: Path) -> None:
    """Check that the reports of two trials agree."""
    assert [line["step"] for line in reports(two)] == [line["step"] for line in reports(one)]
    for a, b in zip(reports(one), reports(two), strict=True):
        assert a["tokens_seen"] == b["tokens_seen"]
        for name in SAME:
            assert b.get(name) == pytest.approx(a.get(name), abs=CLOSE), name


@pytest.mark.parametrize(
    ("parallel", "overrides"),
    [
        ("ddp", ()),
        pytest.param("fsdp", ("training.gradient_accumulation_steps=2",), marks=pytest.mark.long),
        pytest.param(
            "ddp", ("data.packing=none", "data.max_eval_examples=3"), marks=pytest.mark.long
        ),
        pytest.param("fsdp", ("training.gradient_checkpointing=true",), marks=pytest.mark.long),
        pytest.param("ddp", ("training.eval_batch_size=3", "seed=3"), marks=pytest.mark.long),
        pytest.param("ddp", ("quantization=bnb_nf4",), marks=pytest.mark.long),
    ],
)
def test_two_processes_train_what_one_trains(
    parallel: str, overrides: tuple[str, ...], run: Run, in_two: Parallel
) -> None:
    one, folder = run(*LONGER, *overrides)
    two, other = in_two(parallel, *LONGER, *overrides)
    check_same(folder, other)
    assert two.values == pytest.approx(one.values, abs=CLOSE)
    assert two.provenance["processes"] == "2"
    named = {path.relative_to(folder) for path in folder.rglob("*")}
    assert {path.relative_to(other) for path in other.rglob("*")} == named


@pytest.mark.long
@pytest.mark.parametrize("adapter", [name for name in ADAPTERS if name != "lora"])
def test_any_adapter_trains_on_a_sharded_base(adapter: str, run: Run, in_two: Parallel) -> None:
    one, folder = run(f"adapter={adapter}", *THREE)
    two, other = in_two("fsdp", f"adapter={adapter}", *THREE)
    check_same(folder, other)
    assert two.values == pytest.approx(one.values, abs=CLOSE)


@pytest.mark.long
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
@pytest.mark.parametrize("task", ["dpo", "classification"])
def test_other_tasks_share_their_rows_too(
    task: str, parallel: str, run: Run, in_two: Parallel, tmp_path: Path
) -> None:
    pair = {"prompt": "q{}", "chosen": "yes {} and so on", "rejected": "no"}
    labelled = {"text": "{} is a number of some length", "label": "odd"}
    row = pair if task == "dpo" else labelled
    lines = []
    for number in range(40):
        line = {name: value.format(number) for name, value in row.items()}
        if "label" in line:
            line["label"] = ("even", "odd")[number % 2]
        lines.append(json.dumps(line) + "\n")
    path = tmp_path / "records.jsonl"
    path.write_text("".join(lines))
    data = ("data=jsonl", f"data.train_files=[{path}]", f"task={task}", "data.block_size=64")
    one, folder = run(*LONGER, *data)
    two, other = in_two(parallel, *LONGER, *data)
    check_same(folder, other)
    assert two.values == pytest.approx(one.values, abs=CLOSE)


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
def test_a_paused_trial_continues_in_two_processes_bit_for_bit(
    in_two: Parallel, tmp_path: Path
) -> None:
    dropout = "lora.dropout=0.1"
    expected, folder = in_two("fsdp", *LONGER, dropout)
    with pytest.raises(TrialInterruptedError, match="saved after step 4"):
        in_two("fsdp", *LONGER, dropout, folder=tmp_path, to=Told(pause_at=4))
    with pytest.raises(TrialInterruptedError, match="saved after step 5"):
        in_two("fsdp", *LONGER, dropout, folder=tmp_path, to=Told(interrupt_after=1))
    result, _ = in_two("fsdp", *LONGER, dropout, folder=tmp_path)
    assert result.values == expected.values
    assert (tmp_path / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    lines = [without_times(one) for one in reports(tmp_path) if one["step"] != 6]
    # The logged training loss begins anew at step 5.
    assert lines == [without_times(one) for one in reports(folder) if one["step"] != 6]


def test_errors_and_logs_arrive_as_from_one_process(
    in_two: Parallel, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"data.train_files.*given, allowed"):
        in_two("ddp", "data=jsonl", f"data.train_files=[{tmp_path}/none.jsonl]")
    with caplog.at_level(logging.INFO):
        in_two("ddp", "training.max_steps=2")
    steps = [line.message.split(":")[0] for line in caplog.records if "step " in line.message]
    assert steps == ["step 0", "step 2"]  # those of the first process


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (("training.processes=null",), "training.processes: None given, allowed: a number"),
        (
            ("training.processes=8",),
            "training.batch_size: 4 given, allowed: a multiple of 8, or other gradient_acc",
        ),
    ],
)
def test_processes_that_cannot_share_a_step_are_refused(
    overrides: tuple[str, ...], line: str, in_two: Parallel
) -> None:
    with pytest.raises(UserError, match=line):
        in_two("ddp", *overrides)


def test_a_sharded_model_has_no_latency(in_two: Parallel) -> None:
    with pytest.raises(UserError, match="'fsdp' given, allowed: ddp or none"):
        in_two("fsdp", "objectives=loss_latency")


@pytest.mark.long
def test_a_metric_is_called_once_and_a_sharded_model_generates(
    run: Run, in_two: Parallel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = tmp_path / "calls"
    (tmp_path / "counting.py").write_text(
        "def lengths(examples):\n"
        f"    open({str(calls)!r}, 'a').write('.')\n"
        "    return [float(len(example.generations[0])) for example in examples]\n"
    )
    monkeypatch.chdir(tmp_path)
    records = tmp_path / "records.jsonl"
    line = '{{"prompt": "count {0}", "completion": "{0} and {0}"}}\n'
    records.write_text("".join(line.format(number) for number in range(60)))
    configured = (
        "data=jsonl",
        f"data.train_files=[{records}]",
        "data.block_size=64",
        "+metrics.lengths={function: counting.lengths, on: generations, direction: maximize, "
        "max_new_tokens: 6}",
    )
    one, _ = run(*THREE, *configured)
    of_one = calls.read_text()
    calls.unlink()
    two, _ = in_two("fsdp", *THREE, *configured)
    assert calls.read_text() == of_one
    assert two.metrics["lengths"] == pytest.approx(one.metrics["lengths"])


@pytest.mark.long
def test_the_test_part_is_measured_by_all(
    in_two: Parallel, settings: Callable[..., Config]
) -> None:
    _, folder = in_two("fsdp", *THREE)
    one = measure_test(settings(*QUICK, *THREE), folder, channel())
    parallel = ("training.parallel=fsdp", "training.processes=2")
    two = in_processes(measure_test, settings(*QUICK, *THREE, *parallel), folder, channel())
    assert two.metrics == pytest.approx(one.metrics, abs=CLOSE)


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


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, settings: Callable[..., Config]) -> Path:
    """A random Llama as a folder."""
    folder = tmp_path_factory.mktemp("model")
    shape = settings("model=tiny").model.random_llama
    assert shape is not None
    tokenizer = byte_tokenizer()
    tokenizer.save_pretrained(folder)
    random_llama(shape, tokenizer).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "devices",
    [
        "cpu",
        pytest.param("cuda", marks=[pytest.mark.gpu, pytest.mark.skipif(GPUS < 2, reason="GPUs")]),
    ],
)
def test_a_model_spread_over_devices_trains_the_same(
    devices: str, run: Run, model_folder: Path
) -> None:
    model = ("model=local", f"model.path={model_folder}")
    _, folder = run(*LONGER, *model)
    evict_base_model()
    _, other = run(*LONGER, *model, "model.device_map=balanced")
    check_same(folder, other)
    evict_base_model()


@pytest.mark.gpu
@pytest.mark.skipif(GPUS < 2, reason="needs two GPUs")
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_gpus_train_what_one_trains(parallel: str, run: Run, in_two: Parallel) -> None:
    one, folder = run(*LONGER)
    two, other = in_two(parallel, *LONGER, "training.processes=null")
    check_same(folder, other)
    assert two.values == pytest.approx(one.values, abs=CLOSE)
