"""Messages between trials on Ray workers and the driver, and the actor that queues them."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from ugro.events.channel import Answer
from ugro.events.trial_report import Report

POLL_SECONDS = 0.5  # between a trial's checks for an interruption


@dataclass(frozen=True)
class TaskStarted:
    """A worker has started the trial."""

    worker: str  # host and process


@dataclass(frozen=True)
class TaskDone:
    """The task has returned.

    The driver does not read Ray's own return value: that takes 9 ms, because it holds the trial's
    configuration.
    """

    returned: Any


@dataclass(frozen=True)
class TaskFailed:
    """The task has raised, and its process ends."""

    error: Exception


@dataclass(frozen=True)
class FileRequest:
    """Request for the trial's files, from a node that does not share the study's folder.

    The answer is a list of references to archive chunks, empty without files.
    """


@dataclass(frozen=True)
class FileChunk:
    """A chunk of an archive of the trial's files, from such a node."""

    content: bytes


@dataclass(frozen=True)
class ArchiveComplete:
    """The archive is complete; answered once all files are in the study's folder."""


@dataclass(frozen=True)
class HeartbeatMessage:
    """A heartbeat of a worker."""

    hangs_at: str  # line of code; empty while the training progresses


Message = (
    TaskStarted
    | Report
    | HeartbeatMessage
    | TaskDone
    | TaskFailed
    | FileRequest
    | FileChunk
    | ArchiveComplete
)


class MessageQueue:
    """Actor that queues messages between workers and the driver, which is not callable itself."""

    def __init__(self) -> None:
        self._messages: list[tuple[int, Message]] = []
        self._arrived = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._interrupted = False

    async def send(self, number: int, message: Message) -> None:
        """Queue a message of a trial for the driver."""
        self._messages.append((number, message))
        self._arrived.set()

    async def ask(self, number: int, message: Report | FileRequest | ArchiveComplete) -> Any:
        """Queue a message and return the driver's answer."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self.send(number, message)
        return await answer

    async def take(self) -> list[tuple[int, Message]]:
        """Return all queued messages, waiting for at least one."""
        await self._arrived.wait()
        self._arrived.clear()
        messages, self._messages = self._messages, []
        return messages

    async def answer(self, number: int, value: Any) -> None:
        """Answer a trial's last :meth:`ask`."""
        answer = self._answers.pop(number, None)
        if answer is not None:
            answer.set_result(value)

    async def interrupt(self) -> None:
        """Ask all trials to save their state and end."""
        self._interrupted = True

    async def is_interrupted(self) -> bool:
        """Return whether trials must save their state and end."""
        return self._interrupted


class RayChannel:
    """Channel of a trial on a worker, through the message queue."""

    def __init__(self, number: int, message_queue: Any) -> None:
        self._number = number
        self._queue = message_queue
        self._interrupted = False
        self._asked: Any = None
        self._asked_at = time.monotonic()

    def report(self, report: Report) -> Answer:
        """Send a report and wait for the driver's answer."""
        import ray

        answer: Answer = ray.get(self._queue.ask.remote(self._number, report))
        return answer

    def interrupted(self) -> bool:
        """Return the latest known answer; the queue is asked in the background."""
        import ray

        if self._asked is not None and ray.wait([self._asked], timeout=0)[0]:
            self._interrupted = bool(ray.get(self._asked))
            self._asked = None
        elif self._asked is None and time.monotonic() - self._asked_at > POLL_SECONDS:
            self._asked, self._asked_at = self._queue.is_interrupted.remote(), time.monotonic()
        return self._interrupted
