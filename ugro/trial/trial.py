"""How does one trial run, from configuration to result?"""

import json
import logging
import time
from pathlib import Path

from transformers import logging as transformers_logging
from transformers import set_seed

from ugro.config import Config
from ugro.constraints import names
from ugro.objectives import objectives_of
from ugro.report import Report, TrialResult
from ugro.reporting import Line
from ugro.trial import hardware
from ugro.trial.adapter import adapted
from ugro.trial.blocks import Blocks, train_and_eval_blocks
from ugro.trial.evaluation import eval_loss, perplexity
from ugro.trial.latency import latency_ms
from ugro.trial.models import BaseModel, base_model
from ugro.trial.training import Trained, train

log = logging.getLogger(__name__)


def run_trial(config: Config, folder: Path, line: Line) -> TrialResult:
    """Train one adapter and return its objectives.

    Writes ``metrics.jsonl`` (a line a report), ``checkpoints/`` (the best and the last) and
    ``adapter/`` (the best, as PEFT saves it) into ``folder``.

    Args:
        config: the trial, validated
        folder: the trial's own; it exists
        line: hears each report and says whether the trial goes on

    Raises:
        UserError: model or data are not as configured.
        FloatingPointError: no evaluation gave a finite loss.
    """
    began = time.perf_counter()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    hardware.use_allotted_threads()
    hardware.reset_peak_memory()
    dtype = hardware.precision(config.training.dtype)
    cache_dir = Path(config.cache_dir).expanduser()

    base = base_model(config.model, dtype, cache_dir)
    train_blocks, eval_blocks = train_and_eval_blocks(config.data, base.tokenizer, cache_dir)
    base_loss = base_eval_loss(base, eval_blocks, config.training.eval_batch_size)

    set_seed(config.seed)
    with adapted(base, config.lora) as model, (folder / "metrics.jsonl").open("w") as lines:

        def report(progress: Report) -> bool:
            lines.write(json.dumps(progress.as_dict()) + "\n")
            lines.flush()
            log.info("step %d: eval_loss %.4f", progress.step, progress.metrics["eval_loss"])
            return line(progress)

        checkpoints = folder / "checkpoints"
        trained = train(model, train_blocks, eval_blocks, base_loss, config, checkpoints, report)
        startup_seconds = time.perf_counter() - began - trained.seconds
        model.save_pretrained(folder / "adapter")
        trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
        metrics = _metrics(trained, base_loss, startup_seconds, trainable)
        if "latency_ms" in {*config.objectives.metrics, *names(config.constraints)}:
            metrics["latency_ms"] = latency_ms(model, eval_blocks, config.latency)

    log.info("eval_loss %.4f, base model %.4f", trained.best_loss, base_loss)
    return TrialResult(values=objectives_of(config.objectives).values(metrics), metrics=metrics)


def base_eval_loss(base: BaseModel, blocks: Blocks, batch_size: int) -> float:
    """The base model's own loss on the evaluation blocks, worked out once per process."""
    if blocks.fingerprint not in base.losses:
        base.losses[blocks.fingerprint] = eval_loss(base.model, blocks, batch_size)
    return base.losses[blocks.fingerprint]


def _metrics(
    trained: Trained, base_loss: float, startup_seconds: float, trainable: int
) -> dict[str, float]:
    return {
        "eval_loss": trained.best_loss,
        "eval_perplexity": perplexity(trained.best_loss),
        "base_eval_loss": base_loss,
        "train_loss": trained.train_loss,
        "tokens_seen": trained.tokens_seen,
        "train_tokens_per_second": trained.tokens_seen / (trained.seconds - trained.eval_seconds),
        "trainable_parameters": trainable,
        "peak_memory_mb": hardware.peak_memory_mb(),
        "train_seconds": trained.seconds,
        "startup_seconds": startup_seconds,
        "steps": trained.steps,
        "best_step": trained.best_step,
    }
