"""The default sampler: an initial design, then a Gaussian process, then TPE."""

import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from ugro.events.outcome import Outcome
from ugro.formatting import duration
from ugro.sampling.optuna_sampler import OptunaSampler
from ugro.sampling.proposal_cost import ProposalCost, seconds_per_trial
from ugro.sampling.sampler import Draw
from ugro.sampling.sobol_design import SobolDesign
from ugro.space.feasible import FeasibleSpace
from ugro.study.trial_record import state_of

MAX_SHARE = 0.01  # of a trial's time for a proposal of the Gaussian process
LEARNABLE = (TrialState.COMPLETE, TrialState.PRUNED)
OnChange = Callable[[str, str], None]  # gets the model that proposes from now on, and the reason


class Model(Enum):
    """A model of the objective, by its name for users."""

    PROCESS = "Gaussian process"
    TPE = "TPE"


def initial_trials(keys: int) -> int:
    """Return the number of trials with a result before a model proposes.

    Parallel slots get points of the design until then, so that their number needs no rule.

    Args:
        keys: number of searched keys
    """
    return max(8, keys + 1)


class AutoSampler:
    """Points of a Sobol sequence, then a Gaussian process while it is cheap, then TPE.

    The process learns more from the same trials (docs/benchmarks.md), but its proposals take
    longer with each trial. Once a proposal takes more than a hundredth of a trial's time, TPE
    proposes for the rest of the study. TPE also models what the process cannot: several objectives
    are proposed by TPE as before, and the process would draw conditional keys at random.

    Args:
        seed: seed of all three
        directions: direction of each value: ``minimize`` or ``maximize``
        feasible: the search space
        past: trials of the study so far
        tried: number of existing trials; the sequence continues after as many points
        clock: seconds since any fixed time
        on_change: called when TPE replaces the process
    """

    def __init__(
        self,
        seed: int,
        directions: Sequence[str],
        feasible: FeasibleSpace,
        past: Sequence[FrozenTrial] = (),
        tried: int = 0,
        clock: Callable[[], float] = time.monotonic,
        on_change: OnChange = lambda model, reason: None,
    ) -> None:
        self._seed = seed + tried
        self._single = len(directions) == 1
        self._feasible = feasible
        self._clock = clock
        self._on_change = on_change
        self._sampler = OptunaSampler(
            optuna.samplers.RandomSampler(self._seed), directions, feasible, past
        )
        distributions = feasible.space.distributions
        self._keys = distributions.keys()
        self._initial_trials = initial_trials(len(distributions))
        self._design = SobolDesign(distributions, seed, tried, feasible.space.prior)
        self._model: Model | None = None  # None during the initial design
        self._cost = ProposalCost()
        self._began: dict[int, float] = {}  # by the draw's number, while its trial runs
        self._reported: set[int] = set()  # running trials with a report
        self._seconds: list[float] = []  # of each ended trial
        self._ended = 0
        for trial in past:
            self._count(trial)

    @property
    def description(self) -> str:
        """The models that propose, and why."""
        design = f"the first {self._initial_trials} trials by a Sobol sequence"
        if reason := self._only_tpe():
            return f"{design}, then TPE, as {reason}"
        share = f"{MAX_SHARE:.0%} of a trial's time"
        return f"{design}, then a Gaussian process while it takes less than {share}, then TPE"

    def ask(self, fixed: Mapping[str, Any] | None = None) -> Draw:
        """Draw a configuration, except for the parameters in ``fixed``."""
        proposes = fixed is None or bool(self._keys - fixed.keys())
        if proposes:
            self._choose()
        began = self._clock()
        if proposes and self._model is None:
            fixed = {**self._design.next(), **(fixed or {})}
        draw = self._sampler.ask(fixed)
        self._began[draw.number] = self._clock()
        if proposes and self._model is Model.PROCESS:
            self._cost.add(self._seen, self._clock() - began)
        return draw

    def report(self, draw: Draw, resource: int, value: float) -> None:
        """Report an intermediate value."""
        self._sampler.report(draw, resource, value)
        if resource > 0 and self._single:
            self._reported.add(draw.number)

    def tell(self, draw: Draw, outcome: Outcome, values: Sequence[float] | None = None) -> None:
        """Record the outcome of a trial, unless the trial will be resumed."""
        self._sampler.tell(draw, outcome, values)
        seconds = self._clock() - self._began[draw.number]
        self._forget(draw)
        if state_of(outcome) in LEARNABLE:
            self._ended += 1
            self._seconds.append(seconds)

    def add(self, trial: FrozenTrial) -> None:
        """Add a finished trial of another driver."""
        self._sampler.add(trial)
        self._count(trial)

    def reject(self, draw: Draw) -> None:
        """Mark a draw as infeasible."""
        self._sampler.reject(draw)
        self._forget(draw)
        self._cost.reject()

    def discard(self, draw: Draw) -> None:
        """Discard a draw that carries no information."""
        self._sampler.discard(draw)
        self._forget(draw)
        self._cost.reject()

    def _count(self, trial: FrozenTrial) -> None:
        """Count a trial of another driver or an earlier one."""
        if trial.state in LEARNABLE:
            self._ended += 1
            if trial.duration is not None:
                self._seconds.append(trial.duration.total_seconds())

    def _forget(self, draw: Draw) -> None:
        self._began.pop(draw.number, None)
        self._reported.discard(draw.number)

    @property
    def _seen(self) -> int:
        """Number of trials that the Gaussian process sees: ended, or running with a report."""
        return self._ended + len(self._reported)

    def _choose(self) -> None:
        """Choose the model; the choice of TPE is final."""
        if self._model is Model.TPE:
            return
        reason = self._only_tpe() or self._too_slow()
        if reason and self._ended >= self._initial_trials:
            self._begin(Model.TPE, reason)
        elif not reason and self._model is None and self._seen >= self._initial_trials:
            self._begin(Model.PROCESS, "")

    def _begin(self, model: Model, reason: str) -> None:
        self._model = model
        if model is Model.PROCESS:
            # The initial design is over, whatever part of it Optuna would count.
            process = optuna.samplers.GPSampler(seed=self._seed, n_startup_trials=1)
            self._sampler.use(process)
            return
        tpe = optuna.samplers.TPESampler(
            seed=self._seed,
            n_startup_trials=1,
            multivariate=True,
            constant_liar=True,
            group=bool(self._feasible.conditional),
        )
        self._sampler.use(tpe)
        self._on_change(model.value, reason)

    def _only_tpe(self) -> str:
        """Return why the Gaussian process is no choice; empty if it is one."""
        if not self._single:
            return "there are several objectives"
        return "keys are conditional" if self._feasible.conditional else ""

    def _too_slow(self) -> str:
        """Return why the Gaussian process is too slow; empty if it is not."""
        if not self._seconds:
            return ""
        now = self._clock()
        trial = seconds_per_trial(self._seconds, [now - began for began in self._began.values()])
        cost = self._cost.seconds(self._seen)
        if cost <= MAX_SHARE * trial:
            return ""
        takes, of = f"{cost:.2g} s", duration(trial)
        return f"a proposal of the Gaussian process takes {takes}, a trial {of}"
