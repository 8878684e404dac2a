"""Run a trial's function as one of its processes: python -m ugro.trial.parallel.rank FD FD.

The descriptors are those of the connection to the process that started it, and of its lifeline.
"""

import logging
import os
import pickle
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ugro.events.channel import Answer, TrialInterruptedError
from ugro.events.trial_report import Report
from ugro.executors.watchdog import heartbeats
from ugro.trial.parallel import group
from ugro.trial.parallel.messages import Alive, Assignment, IsInterrupted, Raised, Returned
from ugro.trial.setup import silence_transformers


class Parent:
    """Connection to the process that started this one, for several threads.

    Args:
        connection: of this process
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: object) -> None:
        """Send a message without an answer."""
        with self._lock:
            self._connection.send(message)

    def ask(self, message: object) -> Any:
        """Send a message; return its answer."""
        self.send(message)
        return self._connection.recv()


class GroupChannel:
    """Channel of all processes: the first asks, and all get its answer.

    Args:
        parent: the process that started this one
    """

    def __init__(self, parent: Parent) -> None:
        self._parent = parent

    def report(self, report: Report) -> Answer:
        """Send the first process's report; return what the trial does next."""
        answer: Answer = group.from_first(lambda: self._parent.ask(report))
        return answer

    def interrupted(self) -> bool:
        """Return whether the sweep is being interrupted."""
        found: bool = group.from_first(lambda: self._parent.ask(IsInterrupted()))
        return found


class ForwardingHandler(QueueHandler):
    """Send log records to the process that started this one.

    Args:
        parent: receives the records
    """

    def __init__(self, parent: Parent) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._parent = parent

    def enqueue(self, record: logging.LogRecord) -> None:
        """Send a record."""
        self._parent.send(record)


def main(connection: Connection, lifeline: Connection) -> None:
    """Run the assignment that the connection sends."""
    parent = Parent(connection)
    assignment: Assignment = connection.recv()
    temporary = assignment.rendezvous.parent
    threading.Thread(target=_end_with, args=(lifeline, temporary), daemon=True).start()
    silence_transformers()
    logging.root.setLevel(logging.INFO)
    if assignment.rank == 0:
        logging.root.addHandler(ForwardingHandler(parent))
    else:
        logging.root.addHandler(logging.NullHandler())
    try:
        with heartbeats(assignment.config.study.heartbeat_seconds, _sender(parent)):
            group.join(assignment.rank, assignment.size, assignment.rendezvous)
            channel = GroupChannel(parent)
            result = assignment.run(assignment.config, assignment.folder, channel)
        parent.send(Returned(result))
    except BaseException as error:
        parent.send(Raised(_sendable(error), time.monotonic()))
        os._exit(1)  # an exchange with others may never end
    os._exit(0)


def _sender(parent: Parent) -> Callable[[str], None]:
    """Return a function that tells the parent of progress; silence tells it of a hang."""
    return lambda hangs_at: None if hangs_at else parent.send(Alive())


def _sendable(error: BaseException) -> BaseException:
    """Return the error with its traceback as a note, or one like it if it cannot be pickled."""
    if not isinstance(error, TrialInterruptedError):
        error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with(lifeline: Connection, temporary: Path) -> None:
    """End this process when the one that started it is gone; delete its temporary folder."""
    try:
        lifeline.recv()
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        os._exit(1)


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])), Connection(int(sys.argv[2])))
