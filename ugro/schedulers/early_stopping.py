"""Decide whether a trial goes on: by its stoppers first, then by the study's trial scheduler."""

from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ugro.config import StoppersConfig
from ugro.errors import UserError, fault
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.objectives.objectives import Objectives
from ugro.schedulers.base import STOP, Handle, TrialScheduler
from ugro.schedulers.rungs import UP_TO_ROUNDING, levels
from ugro.schedulers.stoppers import stoppers

CALLABLE = ("ray.tune.schedulers.*", "ugro.schedulers.*")


class EarlyStopping:
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
        self._levels: tuple[float, ...] = ()  # rungs, of the first bracket where there are several
        self._reports: dict[int, list[Report]] = {}
        self._answers: dict[int, dict[int, Outcome | None]] = {}  # by trial and step
        self._added: set[int] = set()  # trials that the scheduler knows

    def check(self) -> None:
        """See before anything is trained that there is such a scheduler.

        Raises:
            UserError: ``scheduler._target_`` is none, or does not take what is configured.
        """
        try:
            self._made(Report(1, 100, 100, 10_000, 1.0, {}, 0.0))
        except InstantiationException as error:
            allowed = f"one of {', '.join(CALLABLE)} ({str(error).splitlines()[0]})"
            raise UserError(fault("scheduler._target_", self._config._target_, allowed)) from error
        self._levels = ()

    def judge(self, number: int, report: Report, elapsed_seconds: float) -> Outcome | None:
        """How the trial is to end at this report; None: it goes on.

        A trial that is continued repeats what came after its checkpoint: it is answered as it was
        the first time, and the scheduler does not hear of it twice. One that was told to stop and
        went on nevertheless, as its driver died, is told so again.

        Args:
            number: the trial's
            report: its latest
            elapsed_seconds: since it was started, loading included
        """
        answers = self._answers.setdefault(number, {})
        if report.step not in answers:
            stops = (answer for step, answer in answers.items() if step < report.step)
            told = next((answer for answer in stops if answer is not None), None)
            answers[report.step] = told or self._decision(number, report, elapsed_seconds)
        return answers[report.step]

    def _decision(self, number: int, report: Report, elapsed_seconds: float) -> Outcome | None:
        reports = self._reports.setdefault(number, [])
        reports.append(report)
        stops = (one.judge(reports, elapsed_seconds) for one in self._stoppers)
        stopped = next((ending for ending in stops if ending is not None), None)
        if stopped is Outcome.DIVERGED:
            return stopped  # its values are of no use to the scheduler
        behind = self._is_behind(number, report, elapsed_seconds)
        if report.last:
            return None
        return stopped or (Outcome.RUNG if behind else None)

    def rung(self, report: Report) -> int:
        """How many rungs a trial has come to with this report."""
        resource = float(getattr(report, self._resource))
        return sum(level * UP_TO_ROUNDING <= resource for level in self._levels)

    def remember(
        self, told: Iterable[tuple[int, Report, Outcome | None]], unfinished: Container[int]
    ) -> None:
        """Take up what an earlier driver has heard and said: rungs and answers are as they were.

        Args:
            told: every report, oldest first, with its trial's number and how it was told to end
            unfinished: trials that will go on
        """
        for number, report, stop in told:
            self.judge(number, report, report.seconds)
            # What ended the study then is not early stopping's, and need not be so by now.
            of_study = stop in (Outcome.STUDY_LIMIT, Outcome.INTERRUPTED)
            self._answers[number][report.step] = None if of_study else stop
        for number in list(self._answers):
            if number not in unfinished:
                self.ended(number)

    def ended(self, number: int) -> None:
        """A trial is over."""
        self._reports.pop(number, None)
        self._answers.pop(number, None)
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
        self._max_t = float(given) if given else float("inf")
        settings: Any = OmegaConf.to_container(config, resolve=True)
        settings |= {"time_attr": self._resource, "metric": "progress", "mode": "min"}
        if "grace_period" in config:
            factor = config.get("reduction_factor")
            found = levels(config.grace_period, factor, given, float(length))
            assert found is not None
            settings["grace_period"] = found.grace_period
            if "max_t" in config:
                settings["max_t"] = found.max_t
            self._levels = found.at if factor else ()
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
