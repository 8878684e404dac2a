"""Does a trial go on? Its stoppers are asked first, then the study's trial scheduler."""

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ugro.config import StoppersConfig
from ugro.ending import Ending
from ugro.objectives import Objectives
from ugro.report import Report
from ugro.schedulers.protocol import STOP, Handle, TrialScheduler
from ugro.schedulers.rungs import Rungs
from ugro.schedulers.stoppers import stoppers

CALLABLE = ("ray.tune.schedulers.*", "ugro.schedulers.*")


class Referee:
    """Judges reports as they come.

    Ray Tune's trial schedulers decide from a trial's id and its results alone; this drives them
    without Tune's controller, and ours alike.

    Args:
        scheduler: ``conf/scheduler/``
        stopping: ``conf``'s ``stoppers``
        objectives: what the scheduler compares
        seed: of the brackets that trials are put into
    """

    def __init__(
        self, scheduler: DictConfig, stopping: StoppersConfig, objectives: Objectives, seed: int
    ) -> None:
        self._config = scheduler
        self._resource = scheduler.time_attr.name
        self._stoppers = stoppers(stopping)
        self._objectives = objectives
        self._brackets = numpy.random.RandomState(seed)
        self._scheduler: TrialScheduler | None = None
        self._levels: list[float] = []  # rungs, of the first bracket where there are several
        self._reports: dict[int, list[Report]] = {}
        self._added: set[int] = set()  # trials that the scheduler knows

    def judge(self, number: int, report: Report, elapsed_seconds: float) -> Ending | None:
        """How the trial is to end at this report; None: it goes on.

        Args:
            number: the trial's
            report: its latest
            elapsed_seconds: since it was started, loading included
        """
        # A trial that is continued repeats what came after its checkpoint.
        before = self._reports.get(number, [])
        reports = [earlier for earlier in before if earlier.step < report.step] + [report]
        self._reports[number] = reports
        stops = (one.judge(reports, elapsed_seconds) for one in self._stoppers)
        stopped = next((ending for ending in stops if ending is not None), None)
        if stopped is Ending.DIVERGED:
            return stopped  # its values are of no use to the scheduler
        behind = self._is_behind(number, report, elapsed_seconds)
        if report.last:
            return None
        return stopped or (Ending.RUNG if behind else None)

    def rung(self, report: Report) -> int:
        """How many rungs a trial has come to with this report."""
        resource = float(getattr(report, self._resource))
        return sum(level <= resource for level in self._levels)

    def remember(self, told: Iterable[tuple[int, Report]], unfinished: Container[int]) -> None:
        """Take up what an earlier driver has heard: rungs are as they were.

        Args:
            told: every report, oldest first, with its trial's number
            unfinished: trials that will go on
        """
        numbers = set()
        for number, report in told:
            self.judge(number, report, report.seconds)
            numbers.add(number)
        for number in numbers:
            if number not in unfinished:
                self.ended(number)

    def ended(self, number: int) -> None:
        """A trial is over."""
        self._reports.pop(number, None)
        if number in self._added and self._scheduler:
            self._added.remove(number)
            self._scheduler.on_trial_remove(self, Handle(str(number)))

    def get_live_trials(self) -> list[Handle]:
        """What Ray's median rule asks its controller: trials that wait for their turn; none."""
        return []

    def _is_behind(self, number: int, report: Report, elapsed_seconds: float) -> bool:
        resource = float(getattr(report, self._resource))
        if not resource:
            return False  # the untrained model is the same for all
        trial = Handle(str(number))
        if self._scheduler is None:
            self._scheduler = self._made(report)
        if number not in self._added:
            self._added.add(number)
            with _global_numpy(self._brackets):
                self._scheduler.on_trial_add(self, trial)
        result = {
            self._resource: resource,
            "progress": self._objectives.progress(report.metrics),
            "values": self._objectives.minimised(report.metrics),
            "elapsed_seconds": elapsed_seconds,
        }
        answer = self._scheduler.on_trial_result(self, trial, result)
        # Ray's also stop what has reached max_t: that one is finished.
        return answer == STOP and not resource >= self._max_t

    def _made(self, first: Report) -> TrialScheduler:
        """The scheduler, once a trial has told how long trials are."""
        config = self._config
        length = {
            "tokens_seen": first.total_tokens,
            "step": first.total_steps,
            "seconds": first.seconds / first.step * first.total_steps if first.step else 0.0,
        }[self._resource]
        given = config.get("max_t")
        longest = float(given or length)
        self._max_t = float(given) if given else float("inf")
        settings: Any = OmegaConf.to_container(config, resolve=True)
        settings |= {"time_attr": self._resource, "metric": "progress", "mode": "min"}
        if "grace_period" in config:
            grace = config.grace_period * (longest if config.grace_period < 1 else 1)
            settings["grace_period"] = min(grace, longest)
        if "max_t" in config:
            settings["max_t"] = longest
        if "reduction_factor" in config:
            rungs: Rungs[None] = Rungs(settings["grace_period"], config.reduction_factor, longest)
            self._levels = [rung.level for rung in rungs.rungs]
        scheduler: TrialScheduler = instantiate(settings, _execution_whitelist_=CALLABLE)
        return scheduler


@contextmanager
def _global_numpy(generator: numpy.random.RandomState) -> Iterator[None]:
    """Within the block, NumPy's global generator is this one: Ray draws brackets from it."""
    before: Any = numpy.random.get_state()
    numpy.random.set_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(numpy.random.get_state())
        numpy.random.set_state(before)
