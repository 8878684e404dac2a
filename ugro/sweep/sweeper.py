"""How does a study run? Ask, submit, wait, tell; a free slot gets the next trial at once."""

import logging
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
from hydra.core.config_loader import ConfigLoader
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig
from optuna.study import StudyDirection

from ugro.errors import StudyFailed, UserError, fault
from ugro.report import TrialResult
from ugro.sweep.preflight import check_space
from ugro.sweep.proposals import Proposals, sampler_of, total_trials
from ugro.sweep.search_space import SearchSpace, parse
from ugro.sweep.slots import Slots, slots_of
from ugro.sweep.study import Ending, Study, create_or_continue

log = logging.getLogger(__name__)


def run_sweep(
    config: DictConfig,
    loader: ConfigLoader,
    launcher: Launcher,
    arguments: list[str],
) -> None:
    """Run the study to its end.

    Args:
        config: the sweep's configuration; its study has its final name
        loader: Hydra's, which composes a trial's configuration
        launcher: where trials run
        arguments: the command line's overrides

    Raises:
        UserError: something that was asked for is impossible; nothing was started.
        StudyFailed: too many trials failed; what was computed is kept.
    """
    settings = config.hydra.sweeper
    space = parse(settings["params"], arguments)
    check_jobs(settings["n_jobs"])
    total = total_trials(space, settings["n_trials"])
    check_space(space, config, loader)
    slots = slots_of(launcher)
    slots.count()  # refuses a trial that fits nowhere
    _announce(space, total, settings["n_trials"], config)

    Path(config.study.dir).mkdir(parents=True, exist_ok=True)
    study = _open(settings, space)
    proposals = Proposals(study, space, settings["n_trials"], config.seed)
    with _terminable():
        Sweep(study, space, slots, settings).run(proposals)


class Sweep:
    """The loop between study and slots."""

    def __init__(
        self, study: Study, space: SearchSpace, slots: Slots, settings: Mapping[str, Any]
    ) -> None:
        self._study = study
        self._space = space
        self._slots = slots
        self._n_jobs = settings["n_jobs"]
        self._max_failure_rate = settings["max_failure_rate"]
        self._running: dict[int, optuna.Trial] = {}

    def run(self, proposals: Proposals) -> None:
        """Keep the slots busy until there is nothing left to propose.

        Raises:
            StudyFailed: more trials failed than allowed.
        """
        try:
            while self._fill(proposals):
                number, outcome = self._slots.wait()
                self._tell(self._running.pop(number), outcome)
                self._check_failures(proposals.total)
        finally:
            for trial in self._running.values():
                self._study.tell(trial, Ending.INTERRUPTED)

    def _fill(self, proposals: Proposals) -> bool:
        """Start trials while there are slots; False when none runs any more."""
        at_once = self._slots.count() if self._n_jobs == "auto" else int(self._n_jobs)
        while len(self._running) < at_once:
            trial = next(proposals, None)
            if trial is None:
                break
            self._start(trial)
        return bool(self._running)

    def _start(self, trial: optuna.Trial) -> None:
        self._running[trial.number] = trial
        folder = f"hydra.sweep.subdir=trials/{trial.number:04d}"
        self._slots.submit(trial.number, [*self._space.overrides(trial.params), folder])
        shown = " ".join(f"{key}={shorten(value)}" for key, value in trial.params.items())
        log.info("trial %d started: %s", trial.number, shown or "the configuration as it is")

    def _tell(self, trial: optuna.Trial, outcome: JobReturn) -> None:
        returned = outcome._return_value
        if outcome.status is JobStatus.COMPLETED:
            result = returned if isinstance(returned, TrialResult) else TrialResult(returned, {})
            self._study.tell(trial, Ending.COMPLETE, result)
            seconds = result.metrics.get("train_seconds", 0)
            log.info("trial %d: %.4f after %.0f s", trial.number, result.objective, seconds)
            return
        how = Ending.DIVERGED if isinstance(returned, FloatingPointError) else Ending.FAILED
        lines = str(returned).strip().splitlines() or [""]
        error = f"{type(returned).__name__}: {lines[0]}"  # all of it is in the trial's log
        self._study.tell(trial, how, error=error)
        log.warning("trial %d %s: %s", trial.number, how.value, error)
        if isinstance(returned, UserError) and self._study.best() is None:
            # A mistake in the configuration: the other trials share it.
            raise UserError(str(returned))

    def _check_failures(self, total: int) -> None:
        failed = self._study.failed()
        if len(failed) > self._max_failure_rate * total:
            first = failed[0]
            raise StudyFailed(
                f"{len(failed)} of {total} trials failed, more than "
                f"hydra.sweeper.max_failure_rate={self._max_failure_rate} allows. "
                f"Trial {first.number}: {first.user_attrs['error']} "
                f"(its log: trials/{first.number:04d}/train.log in the study's folder)"
            )


def check_jobs(n_jobs: object) -> None:
    """Raise UserError unless it is auto or a whole number above 0."""
    if n_jobs != "auto" and not (isinstance(n_jobs, int) and n_jobs >= 1):
        raise UserError(fault("hydra.sweeper.n_jobs", n_jobs, "auto, or 1 or more"))


def shorten(value: object) -> object:
    """A parameter's value as people read it: four significant digits."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _open(settings: Mapping[str, Any], space: SearchSpace) -> Study:
    """The study with its sampler; multivariate TPE calls itself experimental at every start."""
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name, storage = settings["study_name"], settings["storage"]
    study = create_or_continue(name, storage, StudyDirection[settings["direction"].name.upper()])
    before = study.searched()
    if study.trials() and before != dict(space.distributions):
        allowed = f"a new name, as the study of this name searches another space: {before}"
        raise UserError(fault("study.name", name, allowed))
    study.record.sampler = sampler_of(settings["sampler"], space, len(study.record.trials))
    return study


def _announce(space: SearchSpace, total: int, n_trials: int | None, config: DictConfig) -> None:
    if not space.distributions:
        log.info("Nothing to search: one trial of the configuration as it is")
    elif n_trials is not None and total < n_trials:
        log.info("The space holds %d configurations: %d trials, not %d", total, total, n_trials)
    log.info("Study %s: %d trials, in %s", config.study.name, total, config.study.dir)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM unwinds like Ctrl-C, so that what was computed is written down."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
