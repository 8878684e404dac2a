"""Collect what a process runs with: the code's commit, package versions, the machine."""

import hashlib
import os
import platform
import socket
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ugro.paths import CODE, is_checkout

# Packages that a trial's numbers depend on.
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
    "gguf",
    "numpy",
)
GIT_SECONDS = 10.0  # on a slow network drive


@lru_cache(maxsize=1)
def _of_this_process() -> dict[str, str]:
    return {**_commit(), **_versions(), **_machine()}


def provenance() -> dict[str, str]:
    """Return commit, versions and machine of this process.

    ``git_dirty`` counts the files that differ from ``git_commit``; ``git_diff`` is a hash of the
    differences, if there are any.
    """
    return dict(_of_this_process())


def this_process() -> str:
    """Return host and process id: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _commit() -> dict[str, str]:
    """Return the commit of the checkout; empty for an installed wheel."""
    if not is_checkout():
        return {}  # site-packages may lie in some other project's checkout
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    if commit is None or changed is None:
        return {}
    found = {"git_commit": commit, "git_dirty": str(len(changed.splitlines()))}
    if changed and (difference := _git("diff", "HEAD")) is not None:
        found["git_diff"] = hashlib.blake2b(difference.encode(), digest_size=8).hexdigest()
    return found


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(CODE), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",  # a diff shows files as they are
            timeout=GIT_SECONDS,
            check=True,
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
        "memory_mb": _memory_mb(),
    }


def _memory_mb() -> str:
    """Return the machine's memory in MiB, as macOS and Linux report it."""
    try:
        return str(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20)
    except (ValueError, OSError, AttributeError):
        return "unknown"


def _processor() -> str:
    """Return the CPU's model, which Python does not report on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
