"""Trials on Ray: each a task on a warm worker; what ends badly is told apart."""

import logging
import os
import pickle
import tarfile
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import TaskFunction
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig

from ugro.errors import ClusterLost
from ugro.events.channel import TrialInterruptedError
from ugro.events.trial_report import Report
from ugro.executors.capacity import Capacity, wanted_by
from ugro.executors.executor import (
    Listener,
    RayLostError,
    Task,
    TrialTimeoutError,
    WithTraceback,
    WorkerLostError,
)
from ugro.executors.file_transfer import FolderSource, IncomingFiles, pieces
from ugro.executors.messages import (
    Done,
    Failed,
    FileChunk,
    FileRequest,
    HeartbeatMessage,
    Message,
    Packed,
    TaskStarted,
)
from ugro.executors.ray_connection import MOST_TRIALS, secrets
from ugro.executors.ray_logging import brief, redirect_to_log
from ugro.executors.ray_session import RayGoneError, Session
from ugro.executors.ray_worker import OnWorker, Pickled, WithValues
from ugro.executors.watchdog import Deadline, Heartbeat
from ugro.paths import CHECKPOINTS
from ugro.retries import is_disk_trouble, one_line, retrying

MOST_RESTARTS = 3  # of a local Ray, while no trial gets on
log = logging.getLogger(__name__)


@dataclass
class _Running:
    future: Any
    folder: Path
    deadline: Deadline
    heartbeat: Heartbeat
    arriving: IncomingFiles | None = None  # its files, from a node that does not see the folder
    begun: bool = False
    killed: Exception | None = None  # why

    def seconds_left(self) -> float:
        """Until its worker is to be killed."""
        if self.killed:
            return float("inf")
        return min(self.deadline.seconds_left(), self.heartbeat.seconds_left())

    def fault(self) -> Exception:
        """Why that is."""
        if self.heartbeat.seconds_left() <= 0:
            return WorkerLostError(str(self.heartbeat))
        return TrialTimeoutError(f"{self.deadline}, its worker was killed")


@dataclass
class RayExecutor:
    """Each trial a Ray task, launched as the upstream launcher does it."""

    launcher: RayLauncher
    _running: dict[int, _Running] = field(default_factory=dict)  # by the trial's number
    _done: deque[tuple[int, JobReturn]] = field(default_factory=deque)
    # by id; the configurations are kept so that none gets another's id
    _shared: dict[int, tuple[DictConfig, bytes]] = field(default_factory=dict)
    _interrupted: bool = False
    _restarts: int = 0  # of a local Ray, since a trial got on
    _trained: dict[int, int] = field(default_factory=dict)  # most tokens seen, by trial

    def __post_init__(self) -> None:
        import ray

        redirect_to_log()
        launcher = self.launcher
        self._environment = secrets(getattr(launcher, "secrets", ()))
        log.info("Ray starts")
        self._session = Session(launcher)
        self._capacity = Capacity(wanted_by(self._session.remote), self._session.is_local)
        self._patience = retrying(is_disk_trouble, "The files of a trial cannot be kept")
        self._task = Pickled(ray.cloudpickle.dumps(WithTraceback(launcher.task_function)))

    def count(self) -> int:
        """How many trials the cluster holds now; at least one, which then waits for a node.

        A node that an autoscaler might add is not counted: what it may add, Ray does not tell.

        Raises:
            UserError: this machine is the whole cluster and a trial does not fit into it.
        """
        while True:
            try:
                return min(self._capacity.count(self._session.nodes()), MOST_TRIALS)
            except RayGoneError as error:
                self._start_again(error)

    def submit(self, task: Task) -> None:
        """Hand the trial to Ray; where that is gone, the next :meth:`wait` says so."""
        home = FolderSource.of(task.shared.hydra.sweep.dir)
        run = cast(TaskFunction, self._task)
        job = OnWorker(
            os.getcwd(),
            home,
            task.number,
            self._session.message_queue,
            run,
            self._environment,
            task.heartbeat_seconds,
        )
        values = {
            **task.values,
            "hydra.job.id": str(task.number),
            "hydra.job.num": task.number,
            "hydra.overrides.task": task.overrides,
            "hydra.sweep.subdir": task.subdir,
        }
        config = WithValues(self._pickled(task.shared), values, home)
        deadline = Deadline(task.limit_seconds, task.silence_seconds)
        heartbeat = Heartbeat(task.heartbeat_seconds)
        folder = Path(home.path, task.subdir)
        try:
            future = self._session.launch(sweep_config=config, task_function=job)
        except RayGoneError as error:
            self._running[task.number] = _Running(None, folder, deadline, heartbeat)
            self._start_again(error)
        else:
            self._running[task.number] = _Running(future, folder, deadline, heartbeat)

    def _pickled(self, shared: DictConfig) -> bytes:
        if id(shared) not in self._shared:
            self._shared[id(shared)] = shared, pickle.dumps(shared)
        return self._shared[id(shared)][1]

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Wait for a task to end; a lost worker ends its trial, not the sweep."""
        until = time.monotonic() + seconds
        while not self._done and (left := until - time.monotonic()) > 0:
            try:
                self._wait_once(listener, left)
            except RayGoneError as error:
                self._start_again(error)
        return self._done.popleft() if self._done else None

    def _wait_once(self, listener: Listener, seconds: float) -> None:
        if listener.interrupted():
            self._interrupt()
        left = min([seconds, *(max(0.0, one.seconds_left()) for one in self._running.values())])
        futures = {one.future: number for number, one in self._running.items()}
        letters, ended = self._session.wait(list(futures), left)
        self._read(letters, listener)
        for future in ended:
            self._end(futures[future])
        if not letters and not ended:  # nothing that a trial has said waits to be read
            self._end_overdue()

    def _read(self, letters: Iterable[tuple[int, Message]], listener: Listener) -> None:
        for number, letter in letters:
            if number not in self._running:
                continue  # it has ended in another way
            hangs_at = letter.hangs_at if isinstance(letter, HeartbeatMessage) else ""
            self._running[number].heartbeat.heard(hangs_at)
            match letter:
                case TaskStarted(worker=worker):
                    self._running[number].begun = True
                    self._running[number].deadline.begin()
                    listener.started(number, worker)
                case Report():
                    self._gets_on(number, letter.tokens_seen)
                    goes_on = listener.reported(number, letter)
                    self._session.message_queue.answer.remote(number, goes_on)
                    self._running[number].deadline.heard(ends=letter.last or not goes_on)
                case FileRequest() | FileChunk() | Packed():
                    self._move_files(number, letter)
                case Done(returned=returned):
                    self._ended(number, JobStatus.COMPLETED, returned)
                case Failed(error=error):
                    self._ended(number, JobStatus.FAILED, error)

    def _move_files(self, number: int, letter: FileRequest | FileChunk | Packed) -> None:
        """Of a trial on a node that does not see the study's folder."""
        import ray

        one = self._running[number]
        match letter:
            case FileRequest():
                there = (one.folder / CHECKPOINTS).is_dir()
                found = pieces(one.folder, checkpoints=True) if there else iter(())
                self._session.message_queue.answer.remote(
                    number, [ray.put(piece) for piece in found]
                )
            case FileChunk(content=content):
                one.arriving = one.arriving or IncomingFiles(one.folder)
                self._patience(one.arriving.add, content)
            case Packed():
                try:
                    if one.arriving is not None:
                        self._patience(one.arriving.unpack)
                except tarfile.TarError as error:
                    _kill(one, RuntimeError(f"its worker's files were refused: {one_line(error)}"))
                else:
                    self._session.message_queue.answer.remote(number, True)

    def _end_overdue(self) -> None:
        for one in self._running.values():
            if one.seconds_left() <= 0:
                _kill(one, one.fault())

    def _interrupt(self) -> None:
        """Running trials see it within a second or a step; the others need not begin."""
        if not self._interrupted:
            self._interrupted = True
            self._session.message_queue.interrupt.remote()
            for one in self._running.values():
                if not one.begun:
                    _kill(one, TrialInterruptedError("interrupted before it began"))

    def _end(self, number: int) -> None:
        """A task has ended, and no letter said so."""
        import ray

        one = self._running[number]
        try:
            job = ray.get(one.future)
            self._ended(number, job.status, job._return_value)
        except ray.exceptions.RayError as error:
            self._session.check()
            self._ended(number, JobStatus.FAILED, one.killed or _plain(error))

    def _gets_on(self, number: int, tokens: int) -> None:
        if tokens > self._trained.get(number, 0):
            self._trained[number] = tokens
            self._restarts = 0

    def _start_again(self, gone: RayGoneError) -> None:
        """Start a local Ray again; its trials go on from their checkpoints.

        Raises:
            ClusterLost: it is another's Ray, or it ends again and again.
        """
        # Trials that need too much memory are to blame themselves, as often as they may.
        kind = WorkerLostError if gone.out_of_memory else RayLostError
        is_over = not self._session.is_local or self._restarts == MOST_RESTARTS
        if not is_over:
            log.warning("Ray is started again: %s", gone)
        self._session.close()
        if not self._session.is_local:
            raise ClusterLost(f"the Ray cluster at {self._session.address} is gone: {gone}")
        if is_over:
            times = self._restarts + 1
            raise ClusterLost(f"Ray has ended {times} times while no trial got on: {gone}")
        self._restarts += not gone.out_of_memory
        for number, one in list(self._running.items()):
            self._ended(number, JobStatus.FAILED, one.killed or kind(str(gone)))
        self._interrupted = False  # the new queue has not heard of it
        try:
            self._session = Session(self.launcher)
        except Exception as error:  # whatever Ray raises of a machine that is overloaded or full
            raise ClusterLost(f"Ray has ended and does not start: {one_line(error)}") from error

    def _ended(self, number: int, status: JobStatus, returned: Any) -> None:
        del self._running[number]
        self._done.append((number, JobReturn(status=status, _return_value=returned)))


def _kill(one: _Running, why: Exception) -> None:
    import ray

    if one.killed is None:
        one.killed = why
        ray.cancel(one.future, force=True)


def _plain(error: Exception) -> Exception:
    """What Ray's error says of the trial."""
    import ray

    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return MemoryError(brief(error))
    if isinstance(error, ray.exceptions.RayTaskError):  # before or after the task itself
        return cast(Exception, error.cause)
    if isinstance(error, ray.exceptions.RaySystemError) and error.traceback_str:
        return RuntimeError(f"what the trial returned cannot be read here: {error.client_exc}")
    return WorkerLostError(brief(error))
