"""What was something run with? The code's commit, the packages' versions, the machine."""

import os
import platform
import socket
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# What a trial's numbers depend on.
PACKAGES = (
    "ugro",
    "hydra-core",
    "optuna",
    "ray",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "numpy",
)
CODE = Path(__file__).parents[1]
GIT_SECONDS = 10.0  # on a slow network drive


@lru_cache(maxsize=1)
def _of_this_process() -> dict[str, str]:
    return {**_commit(), **_versions(), **_machine()}


def provenance() -> dict[str, str]:
    """Of this process: ``git_commit``, ``git_dirty`` (files that differ), versions, machine."""
    return dict(_of_this_process())


def this_process() -> str:
    """Host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _commit() -> dict[str, str]:
    """Of the checkout that the code is in; nothing where it is installed without one."""
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    if commit is None or changed is None:
        return {}
    return {"git_commit": commit, "git_dirty": str(len(changed.splitlines()))}


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(CODE), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=GIT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _machine() -> dict[str, str]:
    return {
        "host": socket.gethostname(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": str(os.cpu_count()),
    }


def _processor() -> str:
    """The CPU's model, which Python itself does not know on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
