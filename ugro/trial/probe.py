"""Would a trial run here? Its memory is estimated, then one step is taken, if the driver wants."""

import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from ugro.config import Config, Keep
from ugro.events.channel import Channel, StandaloneChannel
from ugro.events.trial_report import Report, TrialResult
from ugro.trial import hardware
from ugro.trial.data.rows import schedule
from ugro.trial.memory_estimate import estimated
from ugro.trial.setup import set_up
from ugro.trial.trial import run_trial


def probe(config: Config, folder: Path, channel: Channel) -> TrialResult:
    """Report what a trial takes; if the answer is to go on, take one real step of it.

    Args:
        config: the trial, validated
        folder: the trial's own; nothing is left in it
        channel: hears a report with the estimate and where it was made

    Returns:
        The estimate and, after a step, what was measured and what became of the data.
    """
    what = asdict(estimate := estimated(config))
    known = {
        **{name: float(value) for name, value in what.items()},
        "memory": float(estimate.memory),
        "states": float(estimate.states),
        "has": float(hardware.memory()),
        "on_gpu": float(hardware.device().type != "cpu"),
        "cpus": float(hardware.cpus()),
    }
    if not channel.report(Report(0, 1, 0, 1, 0.0, known, time.time())):
        return TrialResult((), known)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        result = run_trial(_one_step(config), Path(made), StandaloneChannel())
    measured = {**known, **result.metrics, "tokens": _tokens(config)}
    return TrialResult((), measured, result.provenance)


def _one_step(config: Config) -> Config:
    training = replace(
        config.training, max_steps=1, max_tokens=None, eval_steps=1, early_stopping_patience=None
    )
    study = replace(config.study, artifacts=None, keep_checkpoints=Keep.none)
    return replace(config, training=training, study=study)


def _tokens(config: Config) -> float:
    """Count what a trial trains on if the scheduler lets it; the data are read by now."""
    _, data = set_up(config)
    most = config.stoppers.max_tokens
    tokens = float(schedule(config, data.train).tokens[-1])
    return tokens if most is None else min(tokens, float(most))
