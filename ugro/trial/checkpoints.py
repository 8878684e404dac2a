"""Tell complete checkpoints by a seal that is written after all that is in them."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ugro.config import Config

SEAL = "seal.json"
PREFIX = "checkpoint-"  # transformers' name, the optimizer step behind it


def training_of(config: Config, data: Mapping[str, str]) -> str:
    """Name all that a trial's weights depend on: its checkpoints fit no other training.

    Args:
        config: of the trial
        data: fingerprints of what is trained on and evaluated on
    """
    settings = asdict(config)
    keys = ("seed", "model", "lora", "data", "training")
    parts = {**{key: settings[key] for key in keys}, "fingerprints": dict(data)}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def seal(checkpoint: Path, training: str) -> None:
    """Declare a checkpoint whole, once its files are on the disk."""
    files = {str(path.relative_to(checkpoint)): _digest(path) for path in _files(checkpoint)}
    for name in files:
        _sync(checkpoint / name)
    draft = checkpoint / f"{SEAL}.draft"
    draft.write_text(json.dumps({"training": training, "files": files}))
    _sync(draft)
    os.replace(draft, checkpoint / SEAL)
    _sync(checkpoint)


def is_whole(checkpoint: Path, training: str) -> bool:
    """Whether its seal belongs to this training, and its files are those that were sealed."""
    try:
        sealed = json.loads((checkpoint / SEAL).read_text())
        found = {str(path.relative_to(checkpoint)): _digest(path) for path in _files(checkpoint)}
        return bool(sealed == {"training": training, "files": found})
    except (OSError, ValueError):
        return False  # no seal, or a torn one


def latest(checkpoints: Path, training: str) -> Path | None:
    """The last whole checkpoint of this training; None where it must begin anew.

    Args:
        checkpoints: a folder of them, if there is one
        training: as :func:`training_of` names it
    """
    for checkpoint in sorted(checkpoints.glob(f"{PREFIX}*"), key=step, reverse=True):
        if is_whole(checkpoint, training):
            return checkpoint
    return None


def step(checkpoint: Path) -> int:
    """The optimizer step after which it was written."""
    return int(checkpoint.name.removeprefix(PREFIX))


def keep_only(checkpoints: Path, steps: set[int]) -> None:
    """Delete all others."""
    for checkpoint in checkpoints.glob(f"{PREFIX}*"):
        if step(checkpoint) not in steps:
            (checkpoint / SEAL).unlink(missing_ok=True)  # half deleted, it is not whole
            shutil.rmtree(checkpoint)


def _files(checkpoint: Path) -> list[Path]:
    every = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    return [path for path in every if not path.name.startswith(SEAL)]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Have the operating system write it to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
