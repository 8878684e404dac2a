"""Events of a study with four trials: complete, stopped at a rung, failed, and resumed."""

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

SECRET = "xyzzy-canary"  # value of PASSWORD in the environment
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
    """Report after ``step`` of 8 steps, 100 tokens each."""
    metrics = {"eval_loss": loss, **({"train_loss": loss + 0.5} if step else {})}
    return Report(step, 8, 100 * step, 800, seconds, metrics, time=time)


def trial_events(number: int, at: float, *reports: tuple[int, float]) -> list[Event]:
    """Return a trial's events up to its last report; reports come every second."""
    source = "sampler" if number else "baseline"
    asked = TrialAsked(number, {"lora.r": 4 * (number + 1)}, source, time=at)
    events: list[Event] = [asked, TrialStarted(number, "here:7", time=at + 1)]
    for after, (step, loss) in enumerate(reports):
        time = at + 2 + after
        events.append(
            TrialReported(number, report(step, loss, time, 2.5 * step), None, step // 4, time=time)
        )
    return events


def measured(loss: float, tokens: int) -> dict[str, float]:
    return {"eval_loss": loss, "tokens_seen": float(tokens), "peak_memory_mb": 600.0}


def finished(number: int, outcome: Outcome, at: float, loss: float, tokens: int) -> TrialFinished:
    values = (loss,) if outcome.has_value else ()
    return TrialFinished(number, outcome, values, measured(loss, tokens), "", PROVENANCE, time=at)


def start(folder: Path, ended: int, at: float) -> list[Event]:
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
    """Trials 0 to 2 end; trial 3 is interrupted."""
    return [
        *start(folder, 0, 100.0),
        *trial_events(0, 101.0, (0, 4.0), (4, 3.5), (8, 3.25)),
        finished(0, Outcome.COMPLETE, 106.0, 3.25, 800),
        *trial_events(1, 107.0, (0, 4.0), (4, 3.75)),
        finished(1, Outcome.RUNG, 111.0, 3.75, 400),
        TrialAsked(2, {"lora.r": 12}, "sampler", time=112.0),
        TrialFinished(2, Outcome.FAILED, (), {}, "ValueError: as scripted", time=113.0),
        *trial_events(3, 114.0, (0, 4.0), (4, 3.0)),
        TrialFinished(3, Outcome.INTERRUPTED, (), {}, time=118.0),
        StudyFinished("interrupted", time=119.0),
    ]


def second_session(folder: Path) -> list[Event]:
    """Trial 3 resumes from step 4 and repeats that report."""
    return [
        *start(folder, 3, 200.0),
        TrialRetried(3, "it was interrupted", 0, time=201.0),
        TrialStarted(3, "here:8", time=202.0),
        TrialReported(3, report(4, 3.0, 203.0, 0.0), None, 1, time=203.0),
        TrialReported(3, report(8, 2.75, 204.0, 10.0), None, 2, time=204.0),
        finished(3, Outcome.COMPLETE, 205.0, 2.75, 800),
        StudyFinished("all trials are done", time=206.0),
    ]


def write(folder: Path, events: Sequence[Event]) -> None:
    """Write events to the study's audit log."""
    folder.mkdir(parents=True, exist_ok=True)
    log = AuditLog(folder / "events.jsonl")
    for event in events:
        log.observe(event)
