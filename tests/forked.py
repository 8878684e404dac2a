"""Commands in processes that are forked from one which has imported what they need.

To import torch, transformers and Ray takes most of the time of a quick command. Each command has a
process, a working folder, an environment and signals of its own, as a new interpreter would.
"""

import gc
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

# No module among them starts a thread, which would not survive the fork.
IMPORTED = (
    "tests.forked",
    "hydra_plugins.hydra_ray_launcher.ray_launcher",
    "ray",
    "ugro.analysis.analyze",
    "ugro.cli.main",
    "ugro.plugins.sweeper",
    "ugro.sweep.sweeper",
    "ugro.trial.held_out",
    "ugro.trial.probe",
    "ugro.trial.trial",
    "tests.frozen",  # last
)
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(IMPORTED))


class Forked:
    """A running command, with the methods of ``subprocess.Popen`` that tests use.

    Args:
        command: path of a script, or the name of a module
        arguments: of the command line
        cwd: its working folder
        environment: all its variables; what libraries read when imported is not read again
        stdout: file to append to
        stderr: likewise
    """

    def __init__(
        self,
        command: Path | str,
        arguments: Sequence[str],
        cwd: Path,
        environment: Mapping[str, str],
        stdout: Path,
        stderr: Path,
    ) -> None:
        # Ray sets it where a test has started one. A forked Ray has read its variables before.
        own = {name: value for name, value in environment.items() if name != "RAY_AUTH_MODE"}
        given = (command, list(arguments), cwd, own, stdout, stderr)
        self._process = _context.Process(target=_run, args=given)
        self._process.start()
        self.pid = self._process.pid or 0

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end and return the exit code."""
        self._process.join(seconds)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), seconds or 0)
        return code

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()

    def send_signal(self, which: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, which)


def completed(
    command: Path | str,
    arguments: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    seconds: float,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as ``subprocess.run`` does."""
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder) / "out", Path(folder) / "err"
        running = Forked(command, arguments, cwd, environment, out, err)
        try:
            code = running.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess(arguments, code, out.read_text(), err.read_text())


def _run(
    command: Path | str,
    arguments: list[str],
    cwd: Path,
    environment: dict[str, str],
    stdout: Path,
    stderr: Path,
) -> None:
    """Become the command, in the forked process."""
    os.setsid()
    for descriptor, path in ((1, stdout), (2, stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, descriptor)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    try:
        if isinstance(command, Path):
            sys.argv = [str(command), *arguments]
            sys.path.insert(0, str(command.parent))
            runpy.run_path(str(command), run_name="__main__")
        else:
            sys.argv = [command, *arguments]
            runpy.run_module(command, run_name="__main__", alter_sys=True)
    finally:
        # multiprocessing would end the process here; a database is closed by Python's own end, as
        # far as the garbage collector knows the modules that lead to it.
        gc.unfreeze()
        os._exit = sys.exit  # type: ignore[assignment]
