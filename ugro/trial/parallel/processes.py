"""Start the processes of a trial, forward their reports, and end all when one is lost."""

import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NoReturn

import torch

from ugro.config import Config
from ugro.config.parallel import batch_share
from ugro.errors import UserError, fault
from ugro.events.channel import Channel, TrialInterruptedError
from ugro.events.trial_report import Report, TrialResult
from ugro.executors.executor import WorkerLostError
from ugro.executors.watchdog import SHUTDOWN_SECONDS
from ugro.metrics.source import search_path
from ugro.trial import hardware
from ugro.trial.parallel.messages import Alive, Assignment, IsInterrupted, Raised, Returned, Run

SETTLE_SECONDS = 5.0  # within which the others notice that a process has failed
OF_ALL = (TrialInterruptedError, FloatingPointError)  # what all processes raise, each by itself
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Variables of a launcher such as torchrun, by which accelerate would join processes by itself.
OF_LAUNCHERS = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def in_processes(run: Run, config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Run a trial's function in several processes, each with its own GPU.

    All must be on this machine. The first process has the trial's folder and reports to the
    channel; the others have temporary folders.

    Args:
        run: function to run
        config: validated configuration of the trial
        folder: existing folder of the trial
        channel: receives each report and returns what the trial does next

    Raises:
        UserError: the number of processes is unknown or does not divide the rows of a step.
        WorkerLostError: a process was lost.
        Exception: what a process raised.
    """
    size = _size(config)
    with (
        tempfile.TemporaryDirectory(prefix="ugro-") as temporary,
        _started(run, config, size, folder, Path(temporary)) as processes,
    ):
        return _result(processes, channel)


def _size(config: Config) -> int:
    """Return the number of processes.

    Raises:
        UserError: it is neither given nor follows from the GPUs, or it does not divide the rows.
    """
    training, gpus, kind = config.training, torch.cuda.device_count(), hardware.device().type
    if kind not in ("cpu", "cuda"):
        raise UserError(fault("training.parallel", training.parallel.name, f"none on {kind}"))
    size = training.processes or gpus
    if not size or 0 < gpus < size:
        allowed = f"{gpus} at most, the GPUs of this trial (hydra.launcher.ray.remote.num_gpus)"
        if not gpus:
            allowed = "a number where a trial has no GPUs (hydra.launcher.ray.remote.num_gpus)"
        raise UserError(fault("training.processes", training.processes, allowed))
    batch_share(config.training, size)
    return size


@dataclass(frozen=True)
class _Process:
    """A process of the trial; it ends when the lifeline is closed."""

    rank: int
    popen: subprocess.Popen[bytes]
    connection: Connection
    lifeline: Connection

    def kill(self) -> None:
        """End the process."""
        self.popen.kill()
        self.popen.wait()
        self.connection.close()
        self.lifeline.close()


@contextmanager
def _started(
    run: Run, config: Config, size: int, folder: Path, temporary: Path
) -> Iterator[Sequence[_Process]]:
    """Yield the started processes; end them on exit."""
    processes: list[_Process] = []
    threads = max(1, hardware.allotted_threads() // size)
    try:
        for rank in range(size):
            processes.append(_start(rank, threads))
            own, settings = folder, config
            if rank:
                own = temporary / str(rank)
                own.mkdir()
                settings = replace(config, study=replace(config.study, artifacts=None))
            rendezvous = temporary / "rendezvous"
            assignment = Assignment(rank, size, rendezvous, run, settings, own)
            processes[rank].connection.send(assignment)
        yield processes
    finally:
        for process in processes:
            process.kill()


def _start(rank: int, threads: int) -> _Process:
    connection, others = Pipe()
    lifeline, other_end = Pipe()
    inherited = others.fileno(), other_end.fileno()
    popen = subprocess.Popen(
        [sys.executable, "-m", "ugro.trial.parallel.rank", *map(str, inherited)],
        pass_fds=inherited,
        stdin=subprocess.DEVNULL,
        env={
            **{name: os.environ[name] for name in os.environ if name not in OF_LAUNCHERS},
            **_gpu(rank),
            "OMP_NUM_THREADS": str(threads),
            "PYTHONPATH": os.pathsep.join(search_path()),
        },
        start_new_session=True,  # Ctrl-C is for the driver, which lets the trial save its state
    )
    others.close()
    other_end.close()
    return _Process(rank, popen, connection, lifeline)


def _gpu(rank: int) -> dict[str, str]:
    """Return the variable that shows a process its GPU alone."""
    if not torch.cuda.device_count():
        return {}
    visible = os.environ.get(VISIBLE)
    return {VISIBLE: visible.split(",")[rank].strip() if visible else str(rank)}


def _result(processes: Sequence[_Process], channel: Channel) -> TrialResult:
    """Answer the processes until all have returned; return the result of the first."""
    results: dict[int, TrialResult] = {}
    while running := [one for one in processes if one.rank not in results]:
        for process in _ready(running, None):
            try:
                message = process.connection.recv()
            except (EOFError, OSError):
                _fail(processes, lost=process)
            match message:
                case Report():
                    process.connection.send(channel.report(message))
                case IsInterrupted():
                    process.connection.send(channel.interrupted())
                case logging.LogRecord():
                    _log(message)
                case Returned(result=result):
                    results[process.rank] = result
                case Raised():
                    _fail(processes, raised=message)
                case Alive():
                    pass  # receiving it shows that this process progresses, too
    return results[0]


def _ready(processes: Sequence[_Process], seconds: float | None) -> list[_Process]:
    """Return the processes that have sent something or ended."""
    ready = wait([process.connection for process in processes], seconds)
    return [process for process in processes if process.connection in ready]


def _fail(
    processes: Sequence[_Process], raised: Raised | None = None, lost: _Process | None = None
) -> NoReturn:
    """Raise the cause of a failure: a process that was killed, else the first error.

    The others fail as a consequence, since their exchanges are broken. Where all fail by
    themselves, the first may still copy its files to ``study.artifacts``.
    """
    errors = [raised] if raised else []
    by_itself = raised is not None and isinstance(raised.error, OF_ALL)
    until = time.monotonic() + (SHUTDOWN_SECONDS if by_itself else SETTLE_SECONDS)
    waiting = [process for process in processes if process is not lost]
    while not lost and waiting and (left := until - time.monotonic()) > 0:
        for process in _ready(waiting, left):
            try:
                message = process.connection.recv()
            except (EOFError, OSError):
                waiting.remove(process)
                if process.popen.wait() == -signal.SIGKILL:
                    lost = process
                continue
            if isinstance(message, Raised):
                errors.append(message)
            elif isinstance(message, logging.LogRecord):
                _log(message)
    if not lost:
        raise min(errors, key=lambda one: one.at).error
    code, which = lost.popen.wait(), f"process {lost.rank} of the trial"
    if code < 0:
        raise WorkerLostError(f"{which} was ended by {signal.Signals(-code).name}")
    raise RuntimeError(f"{which} ended with exit code {code}; it wrote the reason to stderr")


def _log(record: logging.LogRecord) -> None:
    """Log a record of the first process here, where the trial's log is."""
    logger = logging.getLogger(record.name)
    if logger.isEnabledFor(record.levelno):
        logger.handle(record)
