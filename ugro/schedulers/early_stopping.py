"""Decide whether a trial continues, first by its stoppers, then by the trial scheduler."""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from ugro.config import StoppersConfig
from ugro.errors import UserError, fault
from ugro.events.events import SchedulerEvent, TrialAsked, TrialReported, TrialResumed
from ugro.events.outcome import Outcome
from ugro.events.trial_report import Report
from ugro.objectives.objectives import Objectives
from ugro.schedulers.base import (
    CONTINUE,
    PAUSE,
    STOP,
    Cube,
    Handle,
    ModelScheduler,
    PausingScheduler,
    TrialScheduler,
)
from ugro.schedulers.rungs import UP_TO_ROUNDING, levels
from ugro.schedulers.stoppers import stoppers

CALLABLE = ("ray.tune.schedulers.*", "ugro.schedulers.*")


class EarlyStopping:
    """Early stopping of a study's trials.

    Ray Tune's trial schedulers decide from a trial's id and results only, so they run here without
    Tune's controller, as UGRO's own schedulers do.

    Args:
        scheduler: one of ``conf/scheduler/``
        stopping: ``stoppers`` of the configuration
        objectives: objectives that the scheduler compares
        cube: the search space
        trials: largest number of trials of the study
        seed: seed of the assignment of trials to brackets, and of proposals
    """

    def __init__(
        self,
        scheduler: DictConfig,
        stopping: StoppersConfig,
        objectives: Objectives,
        cube: Cube,
        trials: int,
        seed: int,
    ) -> None:
        self._config = scheduler
        self._resource = scheduler.time_attr.name
        self._stoppers = stoppers(stopping)
        self._objectives = objectives
        self._cube = cube
        self._trials = trials
        self._seed = seed
        self._brackets = numpy.random.RandomState(seed)
        self._scheduler: TrialScheduler | None = None
        self._pausing: PausingScheduler | None = None  # the same scheduler, if it pauses trials
        self._levels: tuple[float, ...] = ()  # rungs, of the first bracket if there are several
        self._untrained: float | None = None  # objective of the untrained model
        self._parameters: dict[int, Mapping[str, Any]] = {}  # of each unfinished trial
        self._reports: dict[int, list[Report]] = {}
        self._decisions: dict[int, dict[int, Outcome | None]] = {}  # by trial and step
        self._added: set[int] = set()  # trials registered with the scheduler

    def check(self) -> None:
        """Check that the scheduler can be created.

        Raises:
            UserError: ``scheduler._target_`` is not a scheduler or rejects its settings.
        """
        self.pauses()

    def pauses(self) -> bool:
        """Return whether the scheduler pauses trials.

        Raises:
            UserError: ``scheduler._target_`` is not a scheduler or rejects its settings.
        """
        if self._scheduler is not None:
            return self._pausing is not None
        try:
            scheduler = self._create_scheduler(Report(1, 100, 100, 10_000, 1.0, {}, 0.0))
        except InstantiationException as error:
            allowed = f"one of {', '.join(CALLABLE)} ({str(error).splitlines()[0]})"
            raise UserError(fault("scheduler._target_", self._config._target_, allowed)) from error
        self._levels = ()
        return isinstance(scheduler, PausingScheduler)

    def judge(
        self, number: int, report: Report, elapsed_seconds: float, decided: str | None = None
    ) -> Outcome | None:
        """Return the trial's outcome if it must stop or pause at this report, else None.

        A resumed trial repeats the reports after its checkpoint: they get the same decision as
        before, and the scheduler does not see them again. A trial that had to stop and was resumed,
        as its driver died, has to stop again.

        Args:
            number: number of the trial
            report: its latest report
            elapsed_seconds: seconds since the trial started, loading included
            decided: what an earlier or another driver did at this report, for the scheduler
        """
        decisions = self._decisions.setdefault(number, {})
        if report.step not in decisions:
            if self.is_paused(number):
                self.resume(number)  # it could not be paused
            earlier = (outcome for step, outcome in decisions.items() if step < report.step)
            stop = next((outcome for outcome in earlier if outcome is not None), None)
            decisions[report.step] = stop or self._decide(number, report, elapsed_seconds, decided)
        return decisions[report.step]

    def _decide(
        self, number: int, report: Report, elapsed_seconds: float, decided: str | None
    ) -> Outcome | None:
        reports = self._reports.setdefault(number, [])
        reports.append(report)
        outcomes = (stopper.judge(reports, elapsed_seconds) for stopper in self._stoppers)
        stop = next((outcome for outcome in outcomes if outcome is not None), None)
        if stop is Outcome.DIVERGED:
            return stop  # its values would mislead the scheduler
        compared = self._compare(number, report, elapsed_seconds, decided)
        return None if report.last else stop or compared

    def rung(self, report: Report) -> int:
        """Return the number of rungs that a trial has reached with this report."""
        resource = float(getattr(report, self._resource))
        return sum(level * UP_TO_ROUNDING <= resource for level in self._levels)

    def is_paused(self, number: int) -> bool:
        """Return whether a trial was paused at its latest report and not resumed since."""
        decisions = self._decisions.get(number, {})
        return decisions.get(max(decisions, default=0)) is Outcome.PAUSED

    def choose_paused(self, paused: Collection[int], can_start: bool, is_idle: bool) -> int | None:
        """Return the number of the paused trial that resumes in a free slot, or None.

        Args:
            paused: numbers of the trials that can be resumed
            can_start: whether a new trial can start instead
            is_idle: whether no trial is running
        """
        if not paused or self._pausing is None:
            return None
        handles = [self._handle(number) for number in paused]
        chosen = self._pausing.choose_paused(handles, can_start, is_idle)
        return None if chosen is None else int(chosen.trial_id)

    def propose(self) -> Mapping[str, Any] | None:
        """Return the scheduler's proposal for a new trial, if it has one."""
        scheduler = self._scheduler
        return scheduler.propose() if isinstance(scheduler, ModelScheduler) else None

    def resume(self, number: int) -> None:
        """Note that a paused trial resumes; reports that it repeats pause it no more."""
        decisions = self._decisions.get(number, {})
        decisions |= {step: None for step, how in decisions.items() if how is Outcome.PAUSED}
        if self._pausing is not None:
            self._pausing.on_trial_resume(self._handle(number))

    def learn(self, event: SchedulerEvent) -> None:
        """Register a new trial, or take over a decision of an earlier or another driver."""
        match event:
            case TrialAsked(number=number, parameters=parameters):
                self._parameters[number] = parameters
                self._add(number)
            case TrialResumed(number=number):
                self.resume(number)
            case TrialReported():
                self._take_over(event)

    def _take_over(self, event: TrialReported) -> None:
        number, report, stop = event.number, event.report, event.stop
        decided = PAUSE if stop is Outcome.PAUSED else CONTINUE
        judged = self.judge(number, report, report.seconds, decided)
        # A limit or interruption that ended the study then may no longer apply.
        of_study = stop in (Outcome.STUDY_LIMIT, Outcome.INTERRUPTED)
        goes_on = of_study or (stop is Outcome.PAUSED and self._pausing is None)
        self._decisions[number][report.step] = None if goes_on else stop
        if judged is Outcome.PAUSED and not self.is_paused(number):
            self.resume(number)

    def remember(self, history: Iterable[SchedulerEvent], unfinished: Container[int]) -> None:
        """Restore rungs and decisions from the events of an earlier driver.

        Args:
            history: events of all trials, oldest first
            unfinished: numbers of the trials that will be resumed
        """
        for event in history:
            self.learn(event)
        for number in self._decisions.keys() | self._parameters.keys():
            if number not in unfinished:
                self.remove(number)

    def remove(self, number: int) -> None:
        """Remove a finished trial."""
        self._reports.pop(number, None)
        self._decisions.pop(number, None)
        trial = self._handle(number)
        self._parameters.pop(number, None)
        if number in self._added and self._scheduler:
            self._added.remove(number)
            self._scheduler.on_trial_remove(self, trial)

    def get_live_trials(self) -> list[Handle]:
        """Return no waiting trials, which Ray's median rule requests from its controller."""
        return []

    def _handle(self, number: int) -> Handle:
        return Handle(str(number), self._parameters.get(number, {}))

    def _add(self, number: int) -> None:
        """Register a trial with the scheduler, which is created at the first report."""
        if self._scheduler is not None and number not in self._added:
            self._added.add(number)
            with _global_numpy(self._brackets):
                self._scheduler.on_trial_add(self, self._handle(number))

    def _compare(
        self, number: int, report: Report, elapsed_seconds: float, decided: str | None
    ) -> Outcome | None:
        """Let the scheduler compare the trial with the others."""
        resource = float(getattr(report, self._resource))
        progress = self._objectives.progress(report.metrics)
        if progress is None:
            return None
        if not resource:
            self._untrained = progress  # the same for all trials
            return None
        if self._scheduler is None:
            self._scheduler = self._create_scheduler(report)
            if isinstance(self._scheduler, PausingScheduler):
                self._pausing = self._scheduler
            for asked in self._parameters:
                self._add(asked)
        self._add(number)
        result = {
            self._resource: resource,
            "progress": progress,
            "values": self._objectives.minimised(report.metrics),
            "elapsed_seconds": elapsed_seconds,
            "untrained": self._untrained,
            "decided": decided,
        }
        decision = self._scheduler.on_trial_result(self, self._handle(number), result)
        # Ray's schedulers also stop a trial at max_t, but that trial is finished.
        if decision == STOP and resource < self._max_t:
            return Outcome.RUNG
        pauses = self._pausing is not None and decision == PAUSE  # Ray's cannot resume a trial
        return Outcome.PAUSED if pauses else None

    def _create_scheduler(self, first: Report) -> TrialScheduler:
        """Create the scheduler from the trial length that a first report contains."""
        config = self._config
        length = {
            "tokens_seen": first.total_tokens,
            "step": first.total_steps,
            "seconds": first.seconds / first.step * first.total_steps if first.step else 0.0,
        }[self._resource]
        max_t = config.get("max_t")
        self._max_t = float(max_t) if max_t else float("inf")
        settings: Any = OmegaConf.to_container(config, resolve=True)
        settings |= {"time_attr": self._resource, "metric": "progress", "mode": "min"}
        if "grace_period" in config:
            factor = config.get("reduction_factor")
            found = levels(config.grace_period, factor, max_t, float(length))
            assert found is not None
            settings["grace_period"] = found.grace_period
            if "max_t" in config:
                settings["max_t"] = found.max_t
            self._levels = found.at if factor else ()
        scheduler: TrialScheduler = instantiate(settings, _execution_whitelist_=CALLABLE)
        if isinstance(scheduler, ModelScheduler):
            scheduler.on_study(self._cube, self._trials, self._seed)
        return scheduler


@contextmanager
def _global_numpy(generator: numpy.random.RandomState) -> Iterator[None]:
    """Use this generator as NumPy's global one within the block, as Ray draws brackets from it."""
    before: Any = numpy.random.get_state()
    numpy.random.set_state(generator.get_state())
    try:
        yield
    finally:
        generator.set_state(numpy.random.get_state())
        numpy.random.set_state(before)
