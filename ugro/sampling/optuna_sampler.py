"""Optuna's samplers on an in-memory copy of the study."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

from ugro.events.outcome import Outcome
from ugro.sampling.extrapolation import ExtrapolatedStudy
from ugro.sampling.ordinal_encoding import OrdinalEncoding
from ugro.sampling.sampler import Draw
from ugro.space.feasible import FeasibleSpace
from ugro.study.study import silence_optuna
from ugro.study.trial_record import REASON, state_of


class OptunaSampler:
    """Optuna sampler with its own in-memory study.

    The study's storage would need a transaction per parameter, and each rejected proposal would
    leave a trial there.

    Args:
        sampler: Optuna's sampler
        directions: direction of each value: ``minimize`` or ``maximize``
        feasible: the search space
        past: trials of the study so far
    """

    def __init__(
        self,
        sampler: optuna.samplers.BaseSampler,
        directions: Sequence[str],
        feasible: FeasibleSpace,
        past: Sequence[FrozenTrial],
    ) -> None:
        silence_optuna()
        self._directions = [StudyDirection[direction.upper()] for direction in directions]
        self._feasible = feasible
        self._duplicates: list[int] = []  # discarded draws that seem to be running
        self._begin(sampler, [trial for trial in past if trial.state.is_finished()])

    def _begin(self, sampler: optuna.samplers.BaseSampler, trials: Sequence[FrozenTrial]) -> None:
        """Begin an in-memory study in the encoding that suits the sampler."""
        is_gp = isinstance(sampler, optuna.samplers.GPSampler)
        self._stays_pending = is_gp
        # More threads than free cores slow a Gaussian process down while trials run.
        self._thread_limit = partial(threadpool_limits, 1) if is_gp else nullcontext
        extrapolates = is_gp and len(self._directions) == 1
        self._storage = ExtrapolatedStudy() if extrapolates else InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage, directions=self._directions, sampler=sampler
        )
        # Ordinal encoding does not improve TPE: docs/benchmarks.md.
        self._encoding = OrdinalEncoding(self._feasible.space.distributions if is_gp else {})
        self._study.add_trials([self._encoding.encode_trial(trial) for trial in trials])

    def use(self, sampler: optuna.samplers.BaseSampler) -> None:
        """Continue with another sampler, which learns from all trials; draws remain valid."""
        for number in self._duplicates:
            self._study.tell(number, state=TrialState.FAIL)
        self._duplicates = []
        # The base class's method, as trials must not be extrapolated; their numbers remain.
        trials = InMemoryStorage.get_all_trials(self._storage, self._study_id, deepcopy=False)
        self._begin(sampler, [self._encoding.decode_trial(trial) for trial in trials])

    @property
    def description(self) -> str:
        """The name of Optuna's sampler."""
        return type(self._study.sampler).__name__.strip("_")

    def ask(self, fixed: Mapping[str, Any] | None = None) -> Draw:
        """Draw a configuration, except for the parameters in ``fixed``."""
        if fixed is not None:
            self._study.enqueue_trial(self._encoding.encode(fixed))
        with self._thread_limit():
            trial = self._study.ask(self._encoding.distributions(self._feasible.unconditional))
        for key, over in self._feasible.conditional.items():
            if self._feasible.is_active(key, self._encoding.decode(trial.params)):
                _suggest(trial, key, self._encoding.distribution(key, over))
        parameters, searched = (
            self._encoding.decode(trial.params),
            self._feasible.space.distributions,
        )
        return Draw(trial.number, parameters, {key: searched[key] for key in parameters})

    def report(self, draw: Draw, resource: int, value: float) -> None:
        """Report an intermediate value; with several objectives no sampler uses it."""
        if len(self._directions) == 1:
            self._storage.set_trial_intermediate_value(self._id_of(draw), resource, value)

    def tell(self, draw: Draw, outcome: Outcome, values: Sequence[float] | None = None) -> None:
        """Record the outcome of a trial, unless the trial will be resumed."""
        state = state_of(outcome)
        if not state.is_finished():
            return
        self._storage.set_trial_user_attr(self._id_of(draw), REASON, outcome.value)
        self._study.tell(draw.number, values if state is TrialState.COMPLETE else None, state=state)

    def add(self, trial: FrozenTrial) -> None:
        """Add a finished trial of another driver."""
        self._study.add_trial(self._encoding.encode_trial(trial))

    def reject(self, draw: Draw) -> None:
        """Mark a draw as infeasible, which ranks it behind all trials that ran."""
        self._study.tell(draw.number, state=TrialState.PRUNED)

    def discard(self, draw: Draw) -> None:
        """Discard a draw that carries no information, such as a duplicate.

        A Gaussian process would draw it again, unless it seems to be running.
        """
        if self._stays_pending:
            self._duplicates.append(draw.number)
        else:
            self._study.tell(draw.number, state=TrialState.FAIL)

    @property
    def _study_id(self) -> int:
        return self._storage.get_study_id_from_name(self._study.study_name)

    def _id_of(self, draw: Draw) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, draw.number)


def random_sampler(feasible: FeasibleSpace, seed: int) -> OptunaSampler:
    """Create a sampler that draws each key at random from its distribution."""
    return OptunaSampler(optuna.samplers.RandomSampler(seed), ["minimize"], feasible, [])


def _suggest(trial: optuna.Trial, key: str, over: BaseDistribution) -> None:
    match over:
        case CategoricalDistribution():
            trial.suggest_categorical(key, over.choices)
        case IntDistribution():
            trial.suggest_int(key, over.low, over.high, step=over.step, log=over.log)
        case FloatDistribution():
            trial.suggest_float(key, over.low, over.high, step=over.step, log=over.log)
