"""A trial that replays a problem's learning curve in real time: it sleeps and reports.

    REPLAY=recorded_pydocs python benchmarks/tabular/replay_trial.py -m search_space=lora ...

REPLAY names the problem (``recorded_pydocs``, or a family and its seed such as ``agreeing:3``),
REPLAY_SECONDS_AN_HOUR sets the speed (1), and REPLAY_BEAT sets a common interval of reports in
hours, instead of the curve's own.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

sys.path.insert(0, str(Path(__file__).parents[2]))

from ugro.config import register_schema
from ugro.events.channel import Answer, Channel, TrialInterruptedError, channel
from ugro.events.trial_report import TrialResult
from ugro.paths import write_atomically
from ugro.plugins.sweeper import CALLABLE, register_plugins

if TYPE_CHECKING:
    from benchmarks.tabular.curves import Curve

register_schema()
register_plugins()
# Ray's workers also import from there.
os.environ["PYTHONPATH"] = os.pathsep.join([sys.path[0], os.environ.get("PYTHONPATH", "")])


ALLOWED = (*CALLABLE, "optuna.*", "ray.tune.schedulers.*")  # upstream's sweeper creates samplers


@hydra.main(config_path="../../conf", config_name="config", execution_whitelist=ALLOWED)
def main(config: DictConfig) -> TrialResult:
    """Replay the curve of the configuration."""
    from benchmarks.tabular.curves import plain
    from benchmarks.tabular.problems import problem
    from benchmarks.tabular.table import KEYS
    from ugro.space.composition import lookup

    parameters = plain({key: lookup(config, key) for key in KEYS})
    curve = problem(os.environ["REPLAY"]).curve(parameters, config.seed)
    scale, began = float(os.environ.get("REPLAY_SECONDS_AN_HOUR", "1")), time.time()
    if "REPLAY_BEAT" in os.environ:
        of_hydra, beat = HydraConfig.get(), float(os.environ["REPLAY_BEAT"])
        number = int(of_hydra.job.num)
        curve = curve.paced(beat, number)
        began = on_the_beat(Path(of_hydra.runtime.output_dir).parent, number, beat * scale)
    note = Path(HydraConfig.get().runtime.output_dir) / "replayed.json"
    return replay(curve, began, scale, channel(), note)


def replay(
    curve: "Curve", began: float, seconds_an_hour: float, to: Channel, note: Path
) -> TrialResult:
    """Sleep until each report is due; stop or pause if the channel says so.

    The note is written before each report, as a peer may kill the process there. A paused trial
    goes on after its last report, at once, as simulated ones do.

    Raises:
        TrialInterruptedError: the channel paused the trial.
    """
    from benchmarks.tabular.curves import result

    before = json.loads(note.read_text()) if note.exists() else {}
    periods, reports = [*before.get("periods", ()), (began, began)], curve.reports()
    sent = before.get("sent", 0)
    resumed_at = curve.startup_hours + reports[sent - 1].seconds if sent else 0.0
    for number, report in enumerate(reports[sent:], sent + 1):
        hours = curve.startup_hours + report.seconds - resumed_at
        time.sleep(max(0.0, began + seconds_an_hour * hours - time.time()))
        periods[-1] = (began, time.time())
        written = {
            "sent": number,
            "periods": periods,
            "tokens": report.tokens_seen,
            "true_loss": curve.true_loss,
            "value": result(reports).values[0] if number == len(reports) else None,
        }
        write_atomically(note, json.dumps(written))
        answer = to.report(report)
        if answer is Answer.PAUSE and number < len(reports):
            raise TrialInterruptedError
        if answer is Answer.STOP:
            return result(reports[:number])
    return result(reports)


def on_the_beat(folder: Path, number: int, beat: float) -> float:
    """Return the start time without submission delay, on a grid of half beats.

    Args:
        folder: folder of all trials; the first trial writes its start time there
        number: number of the trial
        beat: interval in seconds
    """
    origin = folder / "origin"
    if number == 0:
        write_atomically(origin, repr(time.time()))
    while not origin.exists():
        time.sleep(0.01)
    began = float(origin.read_text())
    passed = 0 if number <= 1 else int((time.time() - began) / (beat / 2))
    return began + passed * beat / 2


if __name__ == "__main__":
    main()
