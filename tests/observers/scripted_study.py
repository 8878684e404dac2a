"""A study of four trials, as its audit log: complete, stopped at a rung, failed, and resumed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ugro.events.events import (
    Event,
    SlotsCounted,
    StudyFinished,
    StudyStarted,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialRetried,
    TrialStarted,
)
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.observers.audit_log import AuditLog

SECRET = "xyzzy-canary"  # what PASSWORD is in the environment
CONFIGURATION: dict[str, Any] = {
    "study": {"name": "s", "dir": "multirun/s"},
    "seed": 42,
    "lora": {"r": 16, "alpha": "${multiply:${lora.r},2}", "modules_to_save": None},
    "data": {"source": "jsonl", "train_files": ["${oc.env:PASSWORD}/a.jsonl"]},
    "training": {"learning_rate": 0.0002, "gradient_checkpointing": False},
    "tracking": {
        "mlflow": {"uri": "${oc.env:PASSWORD}", "artifacts": None, "experiment": "ugro"},
        "wandb": None,
    },
}
OVERRIDES = (
    "experiment=quickstart",
    "hydra.sweeper.storage=postgresql://u:${oc.env:PASSWORD}@h/s",
    f"+hydra.launcher.ray.runtime_env.env_vars.TOKEN={SECRET}",
)
PROVENANCE = {"git_commit": "abc123", "torch": "2.13.0", "host": "here"}


def report(step: int, loss: float, time: float, seconds: float) -> Report:
    """After ``step`` steps of 100 tokens, of 8."""
    metrics = {"eval_loss": loss, **({"train_loss": loss + 0.5} if step else {})}
    return Report(step, 8, 100 * step, 800, seconds, metrics, time=time)


def told(number: int, at: float, *reports: tuple[int, float]) -> list[Event]:
    """The trial's events up to its last report, one a second; a step takes 2.5 s."""
    source = "sampler" if number else "baseline"
    asked = TrialAsked(number, {"lora.r": 4 * (number + 1)}, source, time=at)
    made: list[Event] = [asked, TrialStarted(number, "here:7", time=at + 1)]
    for after, (step, loss) in enumerate(reports):
        time = at + 2 + after
        made.append(
            TrialReported(number, report(step, loss, time, 2.5 * step), None, step // 4, time=time)
        )
    return made


def measured(loss: float, tokens: int) -> dict[str, float]:
    return {"eval_loss": loss, "tokens_seen": float(tokens), "peak_memory_mb": 600.0}


def finished(number: int, how: Outcome, at: float, loss: float, tokens: int) -> TrialFinished:
    values = (loss,) if how.has_value else ()
    return TrialFinished(number, how, values, measured(loss, tokens), "", PROVENANCE, time=at)


def begin(folder: Path, ended: int, at: float) -> list[Event]:
    started = StudyStarted(
        "s",
        str(folder),
        4,
        ended,
        ("eval_loss",),
        ("minimize",),
        OVERRIDES,
        CONFIGURATION,
        PROVENANCE,
        time=at,
    )
    return [started, SlotsCounted(2, time=at)]


def first_session(folder: Path) -> list[Event]:
    """Trials 0 to 2 end, 3 is interrupted."""
    return [
        *begin(folder, 0, 100.0),
        *told(0, 101.0, (0, 4.0), (4, 3.5), (8, 3.25)),
        finished(0, Outcome.COMPLETE, 106.0, 3.25, 800),
        *told(1, 107.0, (0, 4.0), (4, 3.75)),
        finished(1, Outcome.RUNG, 111.0, 3.75, 400),
        TrialAsked(2, {"lora.r": 12}, "sampler", time=112.0),
        TrialFinished(2, Outcome.FAILED, (), {}, "ValueError: as told", time=113.0),
        *told(3, 114.0, (0, 4.0), (4, 3.0)),
        TrialFinished(3, Outcome.INTERRUPTED, (), {}, time=118.0),
        StudyFinished("interrupted", time=119.0),
    ]


def second_session(folder: Path) -> list[Event]:
    """Trial 3 goes on from step 4, whose report it repeats."""
    return [
        *begin(folder, 3, 200.0),
        TrialRetried(3, "it was interrupted", 0, time=201.0),
        TrialStarted(3, "here:8", time=202.0),
        TrialReported(3, report(4, 3.0, 203.0, 0.0), None, 1, time=203.0),
        TrialReported(3, report(8, 2.75, 204.0, 10.0), None, 2, time=204.0),
        finished(3, Outcome.COMPLETE, 205.0, 2.75, 800),
        StudyFinished("all trials are done", time=206.0),
    ]


def write(folder: Path, events: Sequence[Event]) -> None:
    """Into the study's audit log."""
    folder.mkdir(parents=True, exist_ok=True)
    log = AuditLog(folder / "events.jsonl")
    for event in events:
        log.observe(event)
