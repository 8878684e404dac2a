"""Run one trial, from configuration to result."""

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path

from transformers import set_seed

from ugro.config import Config, Keep, adapter_of
from ugro.config.task import OF_OTHERS
from ugro.events.channel import Answer, Channel
from ugro.events.trial_report import Report, TrialResult
from ugro.formatting import data_lines
from ugro.objectives.objectives import objectives_of
from ugro.paths import ADAPTER, CHECKPOINTS, METRICS, PROVENANCE, write_atomically
from ugro.provenance import provenance
from ugro.retries import is_disk_trouble, retrying
from ugro.trial import hardware, torch_errors
from ugro.trial.artifact_sync import synced_folder
from ugro.trial.checkpoints import hash_training, keep_only
from ugro.trial.data.preparation import Data
from ugro.trial.data.rows import Rows, schedule
from ugro.trial.evaluator import Evaluator
from ugro.trial.latency import latency_ms, measures_latency
from ugro.trial.model.adapter import adapted, save_adapter
from ugro.trial.model.attention_check import check_example_isolation
from ugro.trial.model.base_models import BaseModel
from ugro.trial.model.quantization import described
from ugro.trial.optimizer import check_optimizer
from ugro.trial.parallel import group
from ugro.trial.setup import set_up
from ugro.trial.tasks.task import task_of
from ugro.trial.training import TrainingResult, train

log = logging.getLogger(__name__)


@torch_errors.translated()
def run_trial(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Train one adapter and return its objective values.

    Writes ``metrics.jsonl`` (one line per report), ``provenance.json`` (code, versions, data),
    ``checkpoints/`` (the best and the last) and ``adapter/`` (the best, in PEFT's format) into
    ``folder``. Resumes from a checkpoint of the same training if ``folder`` holds one.

    Args:
        config: validated configuration of the trial
        folder: existing folder of the trial
        channel: receives each report and returns what the trial does next

    Raises:
        UserError: model or data do not match the configuration, or the optimizer or its schedule
            cannot work here.
        FloatingPointError: no evaluation gave a finite loss.
        MemoryError: GPU or host memory is exhausted.
        OSError: a file could not be written.
        TrialInterruptedError: the channel interrupted or paused the trial.
    """
    began = time.perf_counter()
    hardware.reset_peak_memory()
    check_optimizer(config)
    timed = measures_latency(config)
    base, data = set_up(config)
    for line in data_lines(data.summary()):
        log.info("%s", line)
    check_example_isolation(base.model, data.train.layout, config.data, config.task.name)
    task = task_of(config, base)
    evaluator = Evaluator(config, base, task, data, folder)
    plan = schedule(config, data.train)
    rows = Rows(data.train, plan.order, task.targets(data.train, plan.order))
    origin = _provenance(config, base, data)
    retrying(is_disk_trouble, "The provenance cannot be written")(
        write_atomically, folder / PROVENANCE, json.dumps(origin, indent=1)
    )

    set_seed(config.seed)
    training_hash = hash_training(config, data.fingerprints())
    with (
        synced_folder(folder, config, training_hash) as changed,
        adapted(base, adapter_of(config), rows) as model,
    ):
        recording = RecordingChannel(folder / METRICS, channel)
        checkpoints = folder / CHECKPOINTS
        result = train(
            model,
            data,
            plan,
            rows,
            evaluator,
            config,
            training_hash,
            checkpoints,
            recording,
            changed,
        )
        seconds = result.seconds - result.seconds_before
        startup_seconds = time.perf_counter() - began - seconds
        retrying(is_disk_trouble, "The adapter cannot be written")(
            save_adapter, model, folder / ADAPTER
        )
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        metrics = _metrics(result, evaluator.base_metrics, startup_seconds, trainable)
        if config.metrics:
            metrics["metrics_seconds"] = result.metrics_seconds
        metrics["test_tokens"] = data.test.summary.trained if data.test else 0
        if timed:
            metrics["latency_ms"] = latency_ms(model, data.evaluation, config.latency)
        if config.study.keep_checkpoints is Keep.none:
            keep_only(checkpoints, set())

    log.info("eval_loss %.4f, base model %.4f", result.best["eval_loss"], evaluator.base.loss)
    return TrialResult(objectives_of(config.objectives).values(metrics), metrics, origin)


class RecordingChannel:
    """Append each report to ``metrics.jsonl`` before forwarding it to a channel.

    Reports that a resumed trial repeats replace the earlier lines.
    """

    def __init__(self, path: Path, channel: Channel) -> None:
        self._path = path
        self._channel = channel
        self._started = False

    def report(self, report: Report) -> Answer:
        """Append the report to the file, then forward it."""
        if not self._started:
            self._drop_from(report.step)
            self._started = True
        retrying(is_disk_trouble, "The metrics cannot be written")(self._append, report)
        of_task = {name: report.metrics[name] for name in OF_OTHERS if name in report.metrics}
        values = {"eval_loss": report.metrics["eval_loss"], **of_task, **report.configured}
        shown = ", ".join(f"{name} {value:.4f}" for name, value in values.items())
        log.info("step %d: %s", report.step, shown)
        return self._channel.report(report)

    def _append(self, report: Report) -> None:
        size = self._path.stat().st_size if self._path.exists() else 0
        try:
            with self._path.open("a") as lines:
                lines.write(json.dumps(report.as_dict()) + "\n")
        except OSError:
            os.truncate(self._path, size)  # remove the torn line; the retry appends it again
            raise

    def _drop_from(self, step: int) -> None:
        """Keep lines before ``step``; drop a torn last line, which is repeated."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        complete = [line for line in lines if line.endswith("}")]
        kept = [line for line in complete if json.loads(line)["step"] < step]
        retrying(is_disk_trouble, "The metrics cannot be written")(
            write_atomically, self._path, "".join(f"{line}\n" for line in kept)
        )

    def interrupted(self) -> bool:
        """Return whether the channel asks for an interruption."""
        return self._channel.interrupted()


def _provenance(config: Config, base: BaseModel, data: Data) -> dict[str, str]:
    """Collect code, versions, machine, model, data and numerics of this trial."""
    model, weights = config.model, base.model
    named = [model.package, model.gguf_file] if model.package else [model.path or "random_llama"]
    known = {
        "base_model": "/".join(part for part in named if part),
        "base_model_commit": getattr(weights.config, "_commit_hash", None) or model.revision,
        "quantization": described(config.quantization, weights),
        **data.fingerprints(),
        "seed": str(config.seed),
        "device": hardware.device_name(),
        "instructions": hardware.vector_instructions(),
        "data": json.dumps(data.summary()),
        "dtype": str(weights.dtype).removeprefix("torch."),
        "threads": str(hardware.threads()),
        "processes": str(group.size()) if group.size() > 1 else None,
    }
    return {**provenance(), **{name: value for name, value in known.items() if value}}


def _metrics(
    result: TrainingResult, base: Mapping[str, float], startup_seconds: float, trainable: int
) -> dict[str, float]:
    return {
        **result.best,
        **{f"base_{name}": value for name, value in base.items() if name != "eval_perplexity"},
        "train_loss": result.train_loss,
        "tokens_seen": result.tokens_seen,
        "trained_token_share": result.trained_token_share,
        "padding_share": result.padding_share,
        "train_tokens_per_second": result.tokens_seen / (result.seconds - result.eval_seconds),
        "trainable_parameters": trainable,
        "peak_memory_mb": result.peak_memory_mb,
        "train_seconds": result.seconds,
        "startup_seconds": startup_seconds,
        "steps": result.steps,
        "best_step": result.best_step,
    }
