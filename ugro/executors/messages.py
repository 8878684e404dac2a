"""How do trials on Ray's workers and the driver talk? By letters, through an actor."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from ugro.events.trial_report import Report

ASK_AGAIN_SECONDS = 0.5  # how often a trial asks whether it is interrupted


@dataclass(frozen=True)
class TaskStarted:
    """A worker has taken the trial up."""

    worker: str  # host and process


@dataclass(frozen=True)
class Done:
    """The task has returned.

    The driver does not wait for what Ray returns: it takes 9 ms to read, with all of the trial's
    configuration in it.
    """

    returned: Any


@dataclass(frozen=True)
class Failed:
    """The task has raised, and its process ends with it."""

    error: Exception


@dataclass(frozen=True)
class FileRequest:
    """A node that does not see the study's folder asks for what the trial has there.

    The answer is a list of references to pieces of an archive, none where there is nothing.
    """


@dataclass(frozen=True)
class FileChunk:
    """Of an archive of the trial's files, from such a node."""

    content: bytes


@dataclass(frozen=True)
class Packed:
    """That was the last piece; the answer is given when all files are in the study's folder."""


@dataclass(frozen=True)
class HeartbeatMessage:
    """A worker's sign of life."""

    hangs_at: str  # the line of code; empty where the training moves


Message = TaskStarted | Report | HeartbeatMessage | Done | Failed | FileRequest | FileChunk | Packed


class MessageQueue:
    """An actor between the workers and the driver, which cannot be called itself."""

    def __init__(self) -> None:
        self._letters: list[tuple[int, Message]] = []
        self._arrived = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._interrupted = False

    async def send(self, number: int, letter: Message) -> None:
        """A trial tells the driver something."""
        self._letters.append((number, letter))
        self._arrived.set()

    async def ask(self, number: int, letter: Report | FileRequest | Packed) -> Any:
        """A letter to which there is an answer; returns when the driver has given it."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        await self.send(number, letter)
        return await answer

    async def take(self) -> list[tuple[int, Message]]:
        """What has arrived, as soon as there is something."""
        await self._arrived.wait()
        self._arrived.clear()
        letters, self._letters = self._letters, []
        return letters

    async def answer(self, number: int, said: Any) -> None:
        """The driver's answer to what a trial has asked last."""
        answer = self._answers.pop(number, None)
        if answer is not None:
            answer.set_result(said)

    async def interrupt(self) -> None:
        """Trials are to save themselves and end."""
        self._interrupted = True

    async def is_interrupted(self) -> bool:
        """Whether they are."""
        return self._interrupted


class RayChannel:
    """The channel of a trial on a worker: through the message queue."""

    def __init__(self, number: int, message_queue: Any) -> None:
        self._number = number
        self._mailbox = message_queue
        self._interrupted = False
        self._asked: Any = None
        self._asked_at = time.monotonic()

    def report(self, report: Report) -> bool:
        """Waits for the driver's answer."""
        import ray

        return bool(ray.get(self._mailbox.ask.remote(self._number, report)))

    def interrupted(self) -> bool:
        """Asks now and then, and looks for the answer the next time."""
        import ray

        if self._asked is not None and ray.wait([self._asked], timeout=0)[0]:
            self._interrupted = bool(ray.get(self._asked))
            self._asked = None
        elif self._asked is None and time.monotonic() - self._asked_at > ASK_AGAIN_SECONDS:
            self._asked, self._asked_at = self._mailbox.is_interrupted.remote(), time.monotonic()
        return self._interrupted
