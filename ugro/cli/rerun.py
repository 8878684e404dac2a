"""Run a trial again from the files in its folder, up to the step that it reached."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from ugro.analysis.reproduction import TrialRun
from ugro.analysis.results import OF_STUDY
from ugro.config import Config, typed
from ugro.errors import UserError, fault
from ugro.events.channel import Answer
from ugro.events.event_log import read
from ugro.events.events import TrialReported
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.paths import CONFIG, EVENTS, METRICS, PROVENANCE, configuration_folder
from ugro.retries import one_line


def configuration_of(folder: Path) -> Config:
    """Restore a trial's configuration for a run outside its study.

    Args:
        folder: the trial's

    Raises:
        UserError: the configuration is missing, or has keys that this version does not know.
    """
    path = folder / CONFIG
    if not path.exists():
        raise UserError(fault("trial", folder.name, f"one that has its configuration, {path}"))
    with initialize_config_dir(config_dir=str(configuration_folder())):
        # Nothing resumes this run, so it keeps no checkpoints.
        always = ["study.name=again", "study.keep_checkpoints=none", "objectives=empty"]
        config = compose("config", always)
    own = OmegaConf.load(path)
    assert isinstance(own, DictConfig)
    try:
        with open_dict(config):  # typed() refuses keys that the schema lacks
            for key in own:
                if key not in OF_STUDY:
                    OmegaConf.update(config, str(key), own[key], force_add=True)
        return typed(config)
    except (OmegaConfBaseException, UserError) as error:
        commit = provenance_of(folder).get("git_commit", "that it was run with")
        why = str(error).splitlines()[0]
        raise UserError(f"{path}: not of this version, check out git {commit} ({why})") from error


def provenance_of(folder: Path) -> dict[str, str]:
    """Read a trial's provenance; empty if the trial ended before it was written."""
    path = folder / PROVENANCE
    return dict(json.loads(path.read_text())) if path.exists() else {}


def reports_of(folder: Path) -> Iterator[dict[str, Any]]:
    """Read a trial's reports, without a truncated last line."""
    path = folder / METRICS
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.endswith("}"):
            yield json.loads(line)


def stop_of(study: Path, number: int, then: TrialRun) -> int | None:
    """Return the step at which a trial was stopped, else its last one; None if it reported none.

    Args:
        study: the study's folder
        number: the trial's
        then: the trial as it ran
    """
    reports = (event for event in read(study / EVENTS) if event["event"] == TrialReported.__name__)
    goes_on = (None, Outcome.PAUSED.value)
    stopped = [
        event["step"]
        for event in reports
        if event["number"] == number and event["stop"] not in goes_on
    ]
    reported = [report["step"] for report in then.reports]
    return next(reversed(stopped or reported), None)


class ReplayChannel:
    """Channel that stops a trial where it stopped before, and prints old and new values.

    Args:
        then: the trial as it ran
        stop_at: step at which to stop; None: run to the end
        console: to print to
    """

    def __init__(self, then: TrialRun, stop_at: int | None, console: Console) -> None:
        self._then = {report["step"]: report for report in then.reports}
        self._stop_at = stop_at
        self._console = console

    def report(self, report: Report) -> Answer:
        """Print the report and stop the trial where it stopped before."""
        now, then = report.metrics["eval_loss"], self._then.get(report.step, {}).get("eval_loss")
        step = f"step {report.step} of {report.total_steps}"
        self._console.print(f"{step}: eval_loss {now!r}, then {then!r}", highlight=False)
        stops = self._stop_at is not None and report.step >= self._stop_at
        return Answer.STOP if stops and not report.last else Answer.CONTINUE

    def interrupted(self) -> bool:
        """Return False: Ctrl-C ends this process at once."""
        return False


def run_again(config: Config, folder: Path, channel: ReplayChannel) -> TrialRun:
    """Run a trial in a folder and collect its numbers."""
    from ugro.trial.trial import run_trial  # torch reads OMP_NUM_THREADS when imported

    measured: Mapping[str, float] = {}
    error = ""
    try:
        measured = run_trial(config, folder, channel).metrics
    except (FloatingPointError, MemoryError, OSError, RuntimeError) as raised:
        error = one_line(raised)
    return TrialRun(list(reports_of(folder)), measured, provenance_of(folder), error)
