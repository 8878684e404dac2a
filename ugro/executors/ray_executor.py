"""Run each trial as a Ray task, and translate failures of tasks, workers and Ray itself."""

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
from ugro.events.channel import Answer, TrialInterruptedError
from ugro.events.trial_report import Report
from ugro.executors.capacity import Capacity, resources_of
from ugro.executors.executor import (
    Listener,
    RayLostError,
    Task,
    TrialTimeoutError,
    WithTraceback,
    WorkerLostError,
)
from ugro.executors.file_transfer import FolderSource, IncomingFiles, archive_chunks
from ugro.executors.messages import (
    ArchiveComplete,
    FileChunk,
    FileRequest,
    HeartbeatMessage,
    Message,
    TaskDone,
    TaskFailed,
    TaskStarted,
)
from ugro.executors.ray_connection import MAX_TRIALS, secrets
from ugro.executors.ray_logging import first_sentence, redirect_to_log
from ugro.executors.ray_session import RayGoneError, Session
from ugro.executors.ray_worker import ConfigWithValues, Pickled, WorkerTask
from ugro.executors.watchdog import Deadline, Heartbeat
from ugro.paths import CHECKPOINTS
from ugro.retries import is_disk_trouble, one_line, retrying

MAX_RESTARTS = 3  # of a local Ray without progress of any trial
log = logging.getLogger(__name__)


@dataclass
class _Running:
    future: Any
    folder: Path
    deadline: Deadline
    heartbeat: Heartbeat
    incoming: IncomingFiles | None = None  # files from a node that does not share the folder
    started: bool = False
    killed: Exception | None = None  # the reason

    def seconds_left(self) -> float:
        """Return the seconds until the worker is killed."""
        if self.killed:
            return float("inf")
        return min(self.deadline.seconds_left(), self.heartbeat.seconds_left())

    def kill_reason(self) -> Exception:
        """Return the reason for killing the worker."""
        if self.heartbeat.seconds_left() <= 0:
            return WorkerLostError(str(self.heartbeat))
        return TrialTimeoutError(f"{self.deadline}, its worker was killed")


@dataclass
class RayExecutor:
    """Executor that launches each trial as a Ray task, with the upstream launcher's functions."""

    launcher: RayLauncher
    _running: dict[int, _Running] = field(default_factory=dict)  # by the trial's number
    _done: deque[tuple[int, JobReturn]] = field(default_factory=deque)
    # By id of the configuration; keeping the configurations alive keeps their ids unique.
    _shared: dict[int, tuple[DictConfig, bytes]] = field(default_factory=dict)
    _interrupted: bool = False
    _restarts: int = 0  # of a local Ray since the last progress of a trial
    _trained: dict[int, int] = field(default_factory=dict)  # most tokens seen, by trial

    def __post_init__(self) -> None:
        import ray

        redirect_to_log()
        launcher = self.launcher
        self._environment = secrets(getattr(launcher, "secrets", ()))
        log.info("Starting Ray")
        self._session = Session(launcher)
        self._capacity = Capacity(resources_of(self._session.remote), self._session.is_local)
        self._with_retries = retrying(is_disk_trouble, "The files of a trial cannot be written")
        self._task = Pickled(ray.cloudpickle.dumps(WithTraceback(launcher.task_function)))

    def count(self) -> int:
        """Return how many trials the cluster holds; at least 1, which may wait for a node.

        Nodes that an autoscaler might add are not counted, because Ray does not announce them.

        Raises:
            UserError: this machine is the entire cluster and too small for a trial.
        """
        while True:
            try:
                return min(self._capacity.count(self._session.nodes()), MAX_TRIALS)
            except RayGoneError as error:
                self._restart(error)

    def submit(self, task: Task) -> None:
        """Submit the trial to Ray; if Ray is gone, the next :meth:`wait` reports it."""
        study_folder = FolderSource.of(task.shared.hydra.sweep.dir)
        function = cast(TaskFunction, self._task)
        job = WorkerTask(
            os.getcwd(),
            study_folder,
            task.number,
            self._session.message_queue,
            function,
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
        config = ConfigWithValues(self._pickled(task.shared), values, study_folder)
        deadline = Deadline(task.limit_seconds, task.silence_seconds)
        heartbeat = Heartbeat(task.heartbeat_seconds)
        folder = Path(study_folder.path, task.subdir)
        try:
            future = self._session.launch(sweep_config=config, task_function=job)
        except RayGoneError as error:
            self._running[task.number] = _Running(None, folder, deadline, heartbeat)
            self._restart(error)
        else:
            self._running[task.number] = _Running(future, folder, deadline, heartbeat)

    def _pickled(self, shared: DictConfig) -> bytes:
        if id(shared) not in self._shared:
            self._shared[id(shared)] = shared, pickle.dumps(shared)
        return self._shared[id(shared)][1]

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Wait for a task to end; a lost worker fails its trial, not the sweep."""
        until = time.monotonic() + seconds
        while not self._done and (left := until - time.monotonic()) > 0:
            try:
                self._wait_once(listener, left)
            except RayGoneError as error:
                self._restart(error)
        return self._done.popleft() if self._done else None

    def _wait_once(self, listener: Listener, seconds: float) -> None:
        if listener.interrupted():
            self._interrupt()
        left = min([seconds, *(max(0.0, trial.seconds_left()) for trial in self._running.values())])
        futures = {trial.future: number for number, trial in self._running.items()}
        messages, ended = self._session.wait(list(futures), left)
        self._handle(messages, listener)
        for future in ended:
            self._collect(futures[future])
        if not messages and not ended:  # all messages are handled, so timestamps are current
            self._kill_overdue()

    def _handle(self, messages: Iterable[tuple[int, Message]], listener: Listener) -> None:
        for number, message in messages:
            if number not in self._running:
                continue  # the trial has already ended
            hangs_at = message.hangs_at if isinstance(message, HeartbeatMessage) else ""
            self._running[number].heartbeat.record(hangs_at)
            match message:
                case TaskStarted(worker=worker):
                    self._running[number].started = True
                    self._running[number].deadline.start()
                    listener.started(number, worker)
                case Report():
                    self._record_progress(number, message.tokens_seen)
                    answer = listener.reported(number, message)
                    self._session.message_queue.answer.remote(number, answer)
                    is_ending = message.last or answer is not Answer.CONTINUE
                    self._running[number].deadline.extend(is_ending)
                case FileRequest() | FileChunk() | ArchiveComplete():
                    self._move_files(number, message)
                case TaskDone(returned=returned):
                    self._finish(number, JobStatus.COMPLETED, returned)
                case TaskFailed(error=error):
                    self._finish(number, JobStatus.FAILED, error)

    def _move_files(self, number: int, message: FileRequest | FileChunk | ArchiveComplete) -> None:
        """Transfer files of a trial on a node that does not share the study's folder."""
        import ray

        trial = self._running[number]
        match message:
            case FileRequest():
                has_checkpoints = (trial.folder / CHECKPOINTS).is_dir()
                chunks = archive_chunks(trial.folder, checkpoints=True)
                references = [ray.put(chunk) for chunk in chunks] if has_checkpoints else []
                self._session.message_queue.answer.remote(number, references)
            case FileChunk(content=content):
                trial.incoming = trial.incoming or IncomingFiles(trial.folder)
                self._with_retries(trial.incoming.add, content)
            case ArchiveComplete():
                try:
                    if trial.incoming is not None:
                        self._with_retries(trial.incoming.unpack)
                except tarfile.TarError as error:
                    why = f"files from its worker were rejected: {one_line(error)}"
                    _kill(trial, RuntimeError(why))
                else:
                    self._session.message_queue.answer.remote(number, True)

    def _kill_overdue(self) -> None:
        for trial in self._running.values():
            if trial.seconds_left() <= 0:
                _kill(trial, trial.kill_reason())

    def _interrupt(self) -> None:
        """Interrupt running trials, which notice within a step, and kill waiting ones."""
        if not self._interrupted:
            self._interrupted = True
            self._session.message_queue.interrupt.remote()
            for trial in self._running.values():
                if not trial.started:
                    _kill(trial, TrialInterruptedError("interrupted before it started"))

    def _collect(self, number: int) -> None:
        """Collect the result of a task that ended without a message."""
        import ray

        trial = self._running[number]
        try:
            job = ray.get(trial.future)
            self._finish(number, job.status, job._return_value)
        except ray.exceptions.RayError as error:
            self._session.check()
            self._finish(number, JobStatus.FAILED, trial.killed or _translate(error))

    def _record_progress(self, number: int, tokens: int) -> None:
        if tokens > self._trained.get(number, 0):
            self._trained[number] = tokens
            self._restarts = 0

    def _restart(self, lost: RayGoneError) -> None:
        """Restart a local Ray; its trials resume from their checkpoints.

        Raises:
            ClusterLost: Ray is not local, or it has died too often without progress.
        """
        # A trial that exhausts the memory uses up its own retries.
        error_type = WorkerLostError if lost.out_of_memory else RayLostError
        is_final = not self._session.is_local or self._restarts == MAX_RESTARTS
        if not is_final:
            log.warning("Restarting Ray: %s", lost)
        self._session.close()
        if not self._session.is_local:
            raise ClusterLost(f"the Ray cluster at {self._session.address} is lost: {lost}")
        if is_final:
            times = self._restarts + 1
            raise ClusterLost(f"Ray has died {times} times without progress of any trial: {lost}")
        self._restarts += not lost.out_of_memory
        for number, trial in list(self._running.items()):
            self._finish(number, JobStatus.FAILED, trial.killed or error_type(str(lost)))
        self._interrupted = False  # the new message queue is not interrupted
        try:
            self._session = Session(self.launcher)
        except Exception as error:  # any error of an overloaded machine or a full disk
            raise ClusterLost(f"Ray has died and does not restart: {one_line(error)}") from error

    def _finish(self, number: int, status: JobStatus, returned: Any) -> None:
        del self._running[number]
        self._done.append((number, JobReturn(status=status, _return_value=returned)))


def _kill(trial: _Running, why: Exception) -> None:
    import ray

    if trial.killed is None:
        trial.killed = why
        ray.cancel(trial.future, force=True)


def _translate(error: Exception) -> Exception:
    """Translate Ray's error into the trial's."""
    import ray

    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return MemoryError(first_sentence(error))
    if isinstance(error, ray.exceptions.RayTaskError):  # raised before or after the task
        return cast(Exception, error.cause)
    if isinstance(error, ray.exceptions.RaySystemError) and error.traceback_str:
        return RuntimeError(f"the trial's result cannot be unpickled: {error.client_exc}")
    return WorkerLostError(first_sentence(error))
