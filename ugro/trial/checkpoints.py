"""Mark complete checkpoints with a seal, written after all other files."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ugro.config import Config

SEAL = "seal.json"
PREFIX = "checkpoint-"  # transformers' prefix, followed by the optimizer step
# Keys that earlier versions lack: with their default, checkpoints of those are resumed.
NEW = {
    "model": ("attn_implementation", "liger_kernel"),
    "lora": (
        "eva_rho",
        "rank_pattern",
        "alpha_pattern",
        "layers_to_transform",
        "target_parameters",
        "loraplus_lr_ratio",
    ),
    "training": (
        "optim",
        "adam_beta1",
        "adam_beta2",
        "adam_epsilon",
        "lr_scheduler_kwargs",
        "label_smoothing",
        "neftune_noise_alpha",
        "extra",
    ),
}
# A trial continues on other GPUs with the same values, up to rounding.
WHERE = (("training", "parallel"), ("training", "processes"), ("model", "device_map"))


def hash_training(config: Config, data: Mapping[str, str]) -> str:
    """Return a hash of all settings that determine a trial's weights.

    Checkpoints are resumed only by a training with the same hash.

    Args:
        config: configuration of the trial
        data: fingerprints of training and evaluation data
    """
    settings, defaults = asdict(config), asdict(Config())
    for group, name in WHERE:
        del settings[group][name]
    for group, names in NEW.items():
        for name in names:
            if settings[group][name] == defaults[group][name]:
                del settings[group][name]
    keys = ("seed", "model", config.adapter.name, "data", "training", "task")
    parts = {**{key: settings[key] for key in keys}, "fingerprints": dict(data)}
    if not config.quantization.is_none:  # which was no key of earlier trials
        parts["quantization"] = settings["quantization"]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def seal(checkpoint: Path, training_hash: str) -> None:
    """Mark a checkpoint as complete after its files are flushed to disk."""
    files = {str(path.relative_to(checkpoint)): _digest(path) for path in _files(checkpoint)}
    for name in files:
        _sync(checkpoint / name)
    draft = checkpoint / f"{SEAL}.draft"
    draft.write_text(json.dumps({"training": training_hash, "files": files}))
    _sync(draft)
    os.replace(draft, checkpoint / SEAL)
    _sync(checkpoint)


def is_complete(checkpoint: Path, training_hash: str) -> bool:
    """Return whether the seal belongs to this training and matches the files."""
    try:
        sealed = json.loads((checkpoint / SEAL).read_text())
        found = {str(path.relative_to(checkpoint)): _digest(path) for path in _files(checkpoint)}
        return bool(sealed == {"training": training_hash, "files": found})
    except (OSError, ValueError):
        return False  # missing or torn seal


def latest(checkpoints: Path, training_hash: str) -> Path | None:
    """Return the last complete checkpoint of this training, or None.

    Args:
        checkpoints: folder of the checkpoints, which may not exist
        training_hash: hash of the training, from :func:`hash_training`
    """
    for checkpoint in sorted(checkpoints.glob(f"{PREFIX}*"), key=step, reverse=True):
        if is_complete(checkpoint, training_hash):
            return checkpoint
    return None


def step(checkpoint: Path) -> int:
    """Return the optimizer step after which the checkpoint was written."""
    return int(checkpoint.name.removeprefix(PREFIX))


def keep_only(checkpoints: Path, steps: set[int]) -> None:
    """Delete all checkpoints except those of ``steps``."""
    for checkpoint in checkpoints.glob(f"{PREFIX}*"):
        if step(checkpoint) not in steps:
            (checkpoint / SEAL).unlink(missing_ok=True)  # first: a partial deletion is incomplete
            shutil.rmtree(checkpoint)


def _files(checkpoint: Path) -> list[Path]:
    every = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    return [path for path in every if not path.name.startswith(SEAL)]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Flush a file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
