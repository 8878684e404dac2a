"""Probe a trial: estimate its memory and, on request, take a single training step."""

import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from ugro.config import Config, Keep
from ugro.events.channel import Answer, Channel, StandaloneChannel
from ugro.events.trial_report import Report, TrialResult
from ugro.trial import hardware
from ugro.trial.data.preparation import Data
from ugro.trial.data.rows import schedule
from ugro.trial.example import first_example
from ugro.trial.memory_estimate import GB, estimate_memory
from ugro.trial.setup import set_up
from ugro.trial.trial import run_trial


def probe(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Report the memory estimate of a trial; take one real step if the channel says to continue.

    Args:
        config: validated configuration of the trial
        folder: folder of the trial; left empty
        channel: receives a report with the estimate and the machine's resources

    Returns:
        The estimate and, after a step, measured metrics, the data summary and, as ``example``, the
        first training example with its trained text marked.
    """
    what, card = asdict(estimate := estimate_memory(config)), config.estimate.gpu_memory_gb
    here = hardware.total_memory(spread=config.model.device_map is not None)
    known = {
        **{name: float(value) for name, value in what.items()},
        "memory": float(estimate.memory),
        "states": float(estimate.states),
        "total_memory": float(here if card is None else card * GB),
        "on_gpu": float(card is not None or hardware.device().type != "cpu"),
        "cpus": float(hardware.cpus()),
    }
    if channel.report(Report(0, 1, 0, 1, 0.0, known, time.time())) is Answer.STOP:
        return TrialResult((), known)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        result = run_trial(_one_step(config), Path(made), StandaloneChannel())
    base, data = set_up(config)  # cached
    example = first_example(data, base.tokenizer, config.data.block_size).marked()
    measured = {**known, **result.metrics, "tokens": _tokens(config, data)}
    return TrialResult((), measured, {**result.provenance, "example": example})


def _one_step(config: Config) -> Config:
    # max_tokens stays, as a stream is read to it; max_steps goes first.
    training = replace(config.training, max_steps=1, eval_steps=1, early_stopping_patience=None)
    study = replace(config.study, artifacts=None, keep_checkpoints=Keep.none)
    return replace(config, training=training, study=study)


def _tokens(config: Config, data: Data) -> float:
    """Return the number of tokens a trial trains on unless stopped early."""
    most = config.stoppers.max_tokens
    tokens = float(schedule(config, data.train).tokens[-1])
    return tokens if most is None else min(tokens, float(most))
