"""How do trials run on Ray? Each a task on a warm worker, with a mailbox to the driver."""

import asyncio
import os
import pickle
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import TaskFunction
from hydra_plugins.hydra_ray_launcher.ray_launcher import RayLauncher
from omegaconf import DictConfig, OmegaConf, open_dict

from ugro.errors import UserError, fault
from ugro.report import Report
from ugro.reporting import connected
from ugro.sweep.slots import Listener, Task, TrialTimeoutError

ASK_AGAIN_SECONDS = 0.5  # how often a trial asks whether it is interrupted


class Mailbox:
    """An actor between the workers and the driver, which cannot be called itself."""

    def __init__(self) -> None:
        self._letters: list[tuple[int, Letter]] = []
        self._arrived = asyncio.Event()
        self._answers: dict[int, asyncio.Future[bool]] = {}
        self._interrupted = False

    async def send(self, number: int, letter: "Letter") -> None:
        """A trial tells the driver something."""
        self._letters.append((number, letter))
        self._arrived.set()

    async def report(self, number: int, report: Report) -> bool:
        """A report; returns when the driver has answered it."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self.send(number, report)
        return await answer

    async def take(self) -> list[tuple[int, "Letter"]]:
        """What has arrived, as soon as there is something."""
        await self._arrived.wait()
        self._arrived.clear()
        letters, self._letters = self._letters, []
        return letters

    async def interrupt(self) -> None:
        """Trials are to save themselves and end."""
        self._interrupted = True

    async def is_interrupted(self) -> bool:
        """Whether they are."""
        return self._interrupted

    async def answer(self, number: int, go_on: bool) -> None:
        """The driver's answer to a trial's last report."""
        answer = self._answers.pop(number, None)
        if answer is not None:
            answer.set_result(go_on)


@dataclass(frozen=True)
class Begun:
    """A worker has taken the trial up."""


@dataclass(frozen=True)
class Done:
    """The task has returned.

    The driver does not wait for what Ray returns: it takes 9 ms to read, with all of the trial's
    configuration in it.
    """

    returned: Any


Letter = Begun | Report | Done


@dataclass
class _Running:
    future: Any
    max_seconds: float | None
    started_at: float | None = None
    killed: bool = False

    def seconds_left(self) -> float:
        if self.killed or self.max_seconds is None or self.started_at is None:
            return float("inf")
        return self.started_at + self.max_seconds - time.monotonic()


@dataclass
class RaySlots:
    """Each trial a Ray task, launched as the upstream launcher does it."""

    launcher: RayLauncher
    _running: dict[int, _Running] = field(default_factory=dict)  # by the trial's number
    _done: deque[tuple[int, JobReturn]] = field(default_factory=deque)
    # by id; the configurations are kept so that none gets another's id
    _shared: dict[int, tuple[DictConfig, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        import ray
        from hydra_plugins.hydra_ray_launcher._launcher_util import launch_job_on_ray, start_ray

        launcher = self.launcher
        start_ray(cast(DictConfig, OmegaConf.create(launcher.ray_cfg.init)))
        self._remote = _with_gpu(launcher.ray_cfg.remote)
        self._mailbox = ray.remote(num_cpus=0)(Mailbox).remote()
        self._letters = self._mailbox.take.remote()
        self._task = Pickled(ray.cloudpickle.dumps(launcher.task_function))
        self._launch = partial(
            launch_job_on_ray,
            ray.put(launcher.hydra_context),
            self._remote,
            singleton_state=ray.put(Singleton.get_state()),
        )

    def count(self) -> int:
        """How often a trial's resources fit into the cluster, at least once.

        Raises:
            UserError: this machine is the whole cluster and a trial does not fit into it.
        """
        import ray

        total = ray.cluster_resources()
        wanted = {"CPU": self._remote.num_cpus, "GPU": self._remote.num_gpus}
        wanted |= self._remote.get("resources") or {}
        local = self.launcher.ray_cfg.init.get("address") == "local"
        for name, amount in wanted.items():
            if local and amount and amount > total.get(name, 0):
                key = {"CPU": "num_cpus", "GPU": "num_gpus"}.get(name, f"resources.{name}")
                allowed = f"{total.get(name, 0):g} at most here"
                raise UserError(fault(f"hydra.launcher.ray.remote.{key}", amount, allowed))
        fits = [int(total.get(name, 0) / amount) for name, amount in wanted.items() if amount]
        return max(1, min(fits, default=1))

    def submit(self, task: Task) -> None:
        """Hand the trial to Ray."""
        job = OnWorker(os.getcwd(), task.number, self._mailbox, cast(TaskFunction, self._task))
        values = {
            **task.values,
            "hydra.job.id": str(task.number),
            "hydra.job.num": task.number,
            "hydra.overrides.task": task.overrides,
            "hydra.sweep.subdir": task.subdir,
            "hydra.sweep.dir": os.path.abspath(task.shared.hydra.sweep.dir),
        }
        config = SetAnew(self._pickled(task.shared), values)
        future = self._launch(sweep_config=config, task_function=job)
        self._running[task.number] = _Running(future, task.max_seconds)

    def _pickled(self, shared: DictConfig) -> bytes:
        if id(shared) not in self._shared:
            self._shared[id(shared)] = shared, pickle.dumps(shared)
        return self._shared[id(shared)][1]

    def interrupt(self) -> None:
        """Trials see it within a second or a step."""
        self._mailbox.interrupt.remote()

    def wait(self, listener: Listener, seconds: float) -> tuple[int, JobReturn] | None:
        """Wait for a task to end; a lost worker is a failed trial, not a failed sweep."""
        import ray

        until = time.monotonic() + seconds
        while not self._done and (left := until - time.monotonic()) > 0:
            self._end_overdue()
            left = min([left, *(max(0.0, one.seconds_left()) for one in self._running.values())])
            futures = {one.future: number for number, one in self._running.items()}
            ready, _ = ray.wait([self._letters, *futures], num_returns=1, timeout=left)
            if ready == [self._letters]:
                self._read(listener)
            elif ready:
                self._end(futures[ready[0]])
        return self._done.popleft() if self._done else None

    def _read(self, listener: Listener) -> None:
        import ray

        letters = ray.get(self._letters)
        self._letters = self._mailbox.take.remote()
        for number, letter in letters:
            if number not in self._running:
                continue  # it has ended in another way
            match letter:
                case Begun():
                    self._running[number].started_at = time.monotonic()
                    listener.started(number)
                case Report():
                    self._mailbox.answer.remote(number, listener.reported(number, letter))
                case Done(returned=returned):
                    del self._running[number]
                    job = JobReturn(status=JobStatus.COMPLETED, _return_value=returned)
                    self._done.append((number, job))

    def _end_overdue(self) -> None:
        import ray

        for one in self._running.values():
            if one.seconds_left() <= 0:
                one.killed = True
                ray.cancel(one.future, force=True)

    def _end(self, number: int) -> None:
        """A task has ended, and no letter said so."""
        import ray

        one = self._running.pop(number)
        try:
            job = ray.get(one.future)
        except ray.exceptions.RayError as error:
            late = TrialTimeoutError(f"no end after {one.max_seconds} s, its worker was killed")
            cause = late if one.killed else error
            job = JobReturn(status=JobStatus.FAILED, _return_value=cause)
        self._done.append((number, job))


@dataclass(frozen=True)
class Pickled:
    """An object that arrives as what it holds; cloudpickle takes 10 ms for a configuration."""

    content: bytes

    def __reduce__(self) -> tuple[Any, ...]:
        return pickle.loads, (self.content,)


@dataclass(frozen=True)
class SetAnew:
    """A configuration that arrives with other values in it.

    The driver would take 12 ms to set and to pickle each trial's; a worker has more time.
    """

    shared: bytes
    values: Mapping[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return _set_anew, (self.shared, self.values)


def _set_anew(shared: bytes, values: Mapping[str, Any]) -> DictConfig:
    config: DictConfig = pickle.loads(shared)
    with open_dict(config):
        for key, value in values.items():
            OmegaConf.update(config, key, value)
    return config


@dataclass(frozen=True)
class OnWorker:
    """The task, as a worker runs it: where the driver was started, with a line to the driver."""

    folder: str
    number: int
    mailbox: Any
    task: TaskFunction

    def __call__(self, config: DictConfig) -> Any:
        """Run the task; on a node without the folder, where the node is."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        import ray

        self.mailbox.send.remote(self.number, Begun())
        with connected(Wire(self.number, self.mailbox)):
            returned = self.task(config)
        ray.get(self.mailbox.send.remote(self.number, Done(returned)))
        return returned


class Wire:
    """The line of a trial on a worker: through the mailbox."""

    def __init__(self, number: int, mailbox: Any) -> None:
        self._number = number
        self._mailbox = mailbox
        self._interrupted = False
        self._asked: Any = None
        self._asked_at = time.monotonic()

    def report(self, report: Report) -> bool:
        """Waits for the driver's answer."""
        import ray

        return bool(ray.get(self._mailbox.report.remote(self._number, report)))

    def interrupted(self) -> bool:
        """Asks now and then, and looks for the answer the next time."""
        import ray

        if self._asked is not None and ray.wait([self._asked], timeout=0)[0]:
            self._interrupted = bool(ray.get(self._asked))
            self._asked = None
        elif self._asked is None and time.monotonic() - self._asked_at > ASK_AGAIN_SECONDS:
            self._asked, self._asked_at = self._mailbox.is_interrupted.remote(), time.monotonic()
        return self._interrupted


def _with_gpu(remote: DictConfig) -> DictConfig:
    """``num_gpus: null`` is one where the cluster has any: no trial is on a CPU unasked."""
    import ray

    if remote.num_gpus is None:
        has_gpu = ray.cluster_resources().get("GPU", 0) > 0
        return cast(DictConfig, OmegaConf.merge(remote, {"num_gpus": 1 if has_gpu else 0}))
    return remote
