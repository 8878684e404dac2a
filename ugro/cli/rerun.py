"""Run a trial again, from what its folder holds and as far as it was run."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from ugro.analysis.reproduction import Ran
from ugro.analysis.results import OF_STUDY
from ugro.config import Config, typed
from ugro.errors import UserError, fault
from ugro.events.event_log import read
from ugro.events.events import TrialReported
from ugro.events.trial_report import Report
from ugro.paths import CONFIG, EVENTS, METRICS, PROVENANCE
from ugro.provenance import CODE
from ugro.retries import one_line

CONF = CODE / "conf"


def configuration_of(folder: Path) -> Config:
    """A trial's configuration as it was composed, for a run that belongs to no study.

    Args:
        folder: the trial's

    Raises:
        UserError: it is not there, or has keys that this version does not know.
    """
    path = folder / CONFIG
    if not path.exists():
        raise UserError(fault("trial", folder.name, f"one that has its configuration, {path}"))
    with initialize_config_dir(config_dir=str(CONF)):
        # Checkpoints are of no use, as nobody goes on with it.
        always = ["study.name=again", "study.keep_checkpoints=none", "objectives=empty"]
        config = compose("config", always)
    own = OmegaConf.load(path)
    assert isinstance(own, DictConfig)
    try:
        with open_dict(config):  # a key that the schema has not is refused when it is typed
            for key in own:
                if key not in OF_STUDY:
                    OmegaConf.update(config, str(key), own[key], force_add=True)
        return typed(config)
    except (OmegaConfBaseException, UserError) as error:
        commit = provenance_of(folder).get("git_commit", "that it was run with")
        why = str(error).splitlines()[0]
        raise UserError(f"{path}: not of this version, check out git {commit} ({why})") from error


def provenance_of(folder: Path) -> dict[str, str]:
    """What a trial was run with; nothing where it did not come so far."""
    path = folder / PROVENANCE
    return dict(json.loads(path.read_text())) if path.exists() else {}


def reports_of(folder: Path) -> Iterator[dict[str, Any]]:
    """A trial's reports, a torn one left out."""
    path = folder / METRICS
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.endswith("}"):
            yield json.loads(line)


def stop_of(study: Path, number: int, then: Ran) -> int | None:
    """The step at which a trial was told to stop, or which it came to; None: not known of any.

    Args:
        study: its folder
        number: the trial's
        then: what it came to
    """
    reports = (said for said in read(study / EVENTS) if said["event"] == TrialReported.__name__)
    told = [said["step"] for said in reports if said["number"] == number and said["stop"]]
    come_to = [report["step"] for report in then.reports]
    return next(reversed(told or come_to), None)


class AsFar:
    """The channel of a trial that is run as far as it was; shows its reports beside those.

    Args:
        then: what the trial came to
        stop_at: the step at which it is told to stop; None: it goes to its end
        console: where it is shown
    """

    def __init__(self, then: Ran, stop_at: int | None, console: Console) -> None:
        self._then = {report["step"]: report for report in then.reports}
        self._stop_at = stop_at
        self._console = console

    def report(self, report: Report) -> bool:
        """Show it; go on until then."""
        now, then = report.metrics["eval_loss"], self._then.get(report.step, {}).get("eval_loss")
        step = f"step {report.step} of {report.total_steps}"
        self._console.print(f"{step}: eval_loss {now!r}, then {then!r}", highlight=False)
        return report.last or self._stop_at is None or report.step < self._stop_at

    def interrupted(self) -> bool:
        """Ctrl-C ends this process at once."""
        return False


def run_again(config: Config, folder: Path, channel: AsFar) -> Ran:
    """Run it in that folder."""
    from ugro.trial.trial import run_trial  # torch is imported with the threads that are set

    measured: Mapping[str, float] = {}
    error = ""
    try:
        measured = run_trial(config, folder, channel).metrics
    except (FloatingPointError, MemoryError, OSError, RuntimeError) as raised:
        error = one_line(raised)
    return Ran(list(reports_of(folder)), measured, provenance_of(folder), error)
