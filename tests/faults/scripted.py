"""A sweep whose trials sleep, report, checkpoint, fail or hang by a script, instead of training.

``FAULTS`` in the environment is the script, as JSON: ``steps`` and ``seconds`` per step; the
``mib`` of a checkpoint; ``gate``, a file that each trial awaits before its last step; ``kill``, the
probability with which a trial's worker is killed once; ``hang``, ``memory``, ``raise``, ``nan``,
``die``, ``freeze`` and ``stop``, each with trial numbers and the step of the fault, the last three
once only; ``linger`` and ``die_pausing``, likewise, between a pause and its checkpoint; and
``data``, the fingerprints that trials report.
"""

import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from ugro.config import Config, register_schema, typed
from ugro.events.channel import Answer, TrialInterruptedError, channel
from ugro.events.trial_report import Report, TrialResult
from ugro.plugins.sweeper import CALLABLE, register_plugins
from ugro.retries import is_disk_trouble, retrying
from ugro.trial.artifact_sync import synced_folder
from ugro.trial.checkpoints import PREFIX, hash_training, keep_only, latest, seal, step

register_schema()
register_plugins()

TOKENS = 100  # per step
MIB = 2**20


@hydra.main(config_path="../../conf", config_name="config", execution_whitelist=CALLABLE)
def main(config: DictConfig) -> TrialResult:
    """Run the script; each attempt is noted in a file in the trial's folder."""
    faults, settings = json.loads(os.environ.get("FAULTS", "{}")), typed(config)
    number, folder = HydraConfig.get().job.num, Path(HydraConfig.get().runtime.output_dir)
    training = hash_training(settings, faults.get("data", {}))
    with synced_folder(folder, settings, training) as changed:
        return train(faults, number, folder, settings, changed)


def train(
    faults: dict[str, Any], number: int, folder: Path, settings: Config, changed: Callable[[], None]
) -> TrialResult:
    """Resume from the last complete checkpoint and run to the end, unless a fault strikes."""
    data = faults.get("data", {})
    checkpoints, training = folder / "checkpoints", hash_training(settings, data)
    checkpoint_found = latest(checkpoints, training)
    first = 0 if checkpoint_found is None else step(checkpoint_found)
    note(folder, "began", first)
    last, rank = faults.get("steps", 10), settings.lora.r
    for done in range(first, last + 1):
        if done > first:
            time.sleep(faults.get("seconds", 0.05))
        if done == last and "gate" in faults:
            wait_for_gate(Path(faults["gate"]))
        misbehave(faults, number, done, folder)
        nan = faults.get("nan", {}).get(str(number)) == done
        loss = math.nan if nan else rank + 3.0 / (1 + done)
        now = time.time()
        tokens = done * TOKENS
        known = data if done == first else {}
        report = Report(done, last, tokens, last * TOKENS, done, {"eval_loss": loss}, now, known)
        answer = channel().report(report)
        if answer is Answer.STOP:
            break
        if answer is Answer.PAUSE:
            misbehave_pausing(faults, number, done, folder)
        if done > first:
            save(checkpoints / f"{PREFIX}{done}", training, faults.get("mib", 0))
            note(folder, "sealed", done)
            keep_only(checkpoints, {done})
            changed()
        if (answer is Answer.PAUSE or channel().interrupted()) and done < last:
            raise TrialInterruptedError(f"after step {done}")
    note(folder, "ended", done)
    return TrialResult((loss,), {"eval_loss": loss, "tokens_seen": float(done * TOKENS)}, data)


def wait_for_gate(gate: Path) -> None:
    """Wait until the test opens the gate; an interrupted trial does not wait."""
    while not (gate.exists() or channel().interrupted()):
        time.sleep(0.05)


def save(checkpoint: Path, training: str, mib: int) -> None:
    """Write a checkpoint of this size, with retries like the Trainer's."""

    def write() -> None:
        shutil.rmtree(checkpoint, ignore_errors=True)
        checkpoint.mkdir(parents=True)
        (checkpoint / "weights").write_bytes(bytes(1 + mib * MIB))
        seal(checkpoint, training)

    retrying(is_disk_trouble, "The checkpoint cannot be written")(write)


def note(folder: Path, what: str, at: int) -> None:
    """Append a note to the trial's file, or to ``NOTES`` if its disk may be full."""
    line = json.dumps({"what": what, "step": at, "process": os.getpid(), "time": time.time()})
    with (Path(os.environ.get("NOTES", folder)) / f"{folder.name}.jsonl").open("a") as file:
        file.write(line + "\n")


def misbehave(faults: dict[str, dict[str, int]], number: int, done: int, folder: Path) -> None:
    """Run the fault of this trial at this step, if any."""

    def due(fault: str) -> bool:
        return faults.get(fault, {}).get(str(number)) == done

    if due("hang"):
        time.sleep(600)
    if due("memory"):
        allocate_past_the_limit()
    if due("raise"):
        raise KeyError("column 'text' is not in the data")
    if due("freeze") and once(folder):
        time.sleep(600)
    if due("stop") and once(folder):
        os.kill(os.getpid(), signal.SIGSTOP)
    if (due("die") or killed_by_chance(faults, number) == done) and once(folder):
        os.kill(os.getpid(), signal.SIGKILL)


def misbehave_pausing(
    faults: dict[str, dict[str, int]], number: int, done: int, folder: Path
) -> None:
    """Run the fault of this trial between a pause at this step and its checkpoint, if any."""
    note(folder, "pausing", done)
    if faults.get("linger", {}).get(str(number)) == done:
        time.sleep(600)
    if faults.get("die_pausing", {}).get(str(number)) == done and once(folder):
        os.kill(os.getpid(), signal.SIGKILL)


def killed_by_chance(faults: dict[str, dict[str, int]], number: int) -> int | None:
    """Return the step at which the worker is killed, the same in every run."""
    chance = random.Random(f"kill {number}")
    share = faults.get("kill", 0.0)
    return chance.randint(1, 9) if chance.random() < float(share) else None  # type: ignore[arg-type]


def once(folder: Path) -> bool:
    """Return whether this is the first call for the trial."""
    marker = folder / "killed"
    known = marker.exists()
    marker.touch()
    return not known


def allocate_past_the_limit() -> None:
    """Request more memory than the limit, set slightly above the current use."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 64 * MIB
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    bytearray(1024 * MIB)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
