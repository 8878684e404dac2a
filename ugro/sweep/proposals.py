"""Which configuration is tried next? Planned ones, then what the sampler proposes, none twice."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from ugro.space.feasible import FeasibleSpace, identity
from ugro.sweep.initial_trials import Planned
from ugro.sweep.sampling import Sampling, at_random

ASKED_AGAIN = 20  # times, when the sampler proposes what was tried or breaks a constraint
DRAWN = 1000  # at random after that
Refused = Callable[[Mapping[str, Any], Sequence[str]], None]  # hears parameters and reasons


@dataclass(frozen=True)
class Proposal:
    """A configuration to be run; the trial is the sampler's."""

    parameters: Mapping[str, Any]
    source: str
    trial: optuna.Trial


class Proposals:
    """The trials still to be run, one at a time.

    First what is planned. Then a space that the budget covers is run through in order, each
    configuration once; otherwise the sampler proposes. What was tried, or breaks a constraint, is
    refused, the sampler told and asked again; after some refusals a configuration is drawn at
    random.
    """

    def __init__(
        self,
        sampling: Sampling,
        feasible: FeasibleSpace,
        plan: Sequence[Planned],
        tried: Sequence[Mapping[str, Any]],
        total: int,
        refused: Refused,
        seed: int,
        allow_duplicates: bool = False,
    ) -> None:
        self._sampling = sampling
        self._randomly = at_random(feasible, seed)
        self._feasible = feasible
        self._once = feasible.size is not None and not allow_duplicates
        self._exhausts = self._once and total >= (feasible.size or 0)
        self._refused = refused
        self._random = random.Random(seed)
        self._tried = {identity(parameters) for parameters in tried}
        self._left = total - len(tried)
        self._plan = iter([one for one in plan if identity(one.parameters) not in self._tried])
        self._untried = self._combinations()

    def __iter__(self) -> Iterator[Proposal]:
        return self

    def __next__(self) -> Proposal:
        """The next trial, its parameters drawn."""
        if self._left <= 0:
            raise StopIteration
        proposal = self._planned() or self._next()
        self._left -= 1
        self._tried.add(identity(proposal.parameters))
        return proposal

    def others_have(self, begun: Iterable[FrozenTrial], left: int) -> None:
        """What other drivers of the study have begun is not proposed any more.

        Args:
            begun: their new trials
            left: how many trials the study still needs
        """
        self._tried |= {identity(trial.params) for trial in begun}
        self._left = left

    def _planned(self) -> Proposal | None:
        for one in self._plan:
            trial = self._sampling.ask(one.parameters)
            if self._accepts(trial):
                return Proposal(trial.params, one.source, trial)
        return None

    def _next(self) -> Proposal:
        if self._exhausts:
            return self._fixed(next(self._untried), "space")
        for _ in range(ASKED_AGAIN):
            trial = self._sampling.ask()
            if self._accepts(trial):
                return Proposal(trial.params, "sampler", trial)
        return self._fixed(self._drawn(), "random")

    def _accepts(self, trial: optuna.Trial) -> bool:
        """Whether it may be run; else it is refused."""
        reasons = self._reasons(trial.params)
        if not reasons:
            return True
        if reasons == ["duplicate"]:
            self._sampling.forget(trial)
        else:
            self._sampling.refuse(trial)
        self._refused(trial.params, reasons)
        return False

    def _reasons(self, parameters: Mapping[str, Any]) -> list[str]:
        if self._once and identity(parameters) in self._tried:
            return ["duplicate"]
        return self._feasible.broken(parameters)

    def _drawn(self) -> Mapping[str, Any]:
        for _ in range(DRAWN):
            trial = self._randomly.ask()
            self._randomly.forget(trial)
            if not self._reasons(trial.params):
                return trial.params
        untried = list(self._combinations()) if self._once else []
        if not untried:
            raise StopIteration
        return self._random.choice(untried)

    def _fixed(self, parameters: Mapping[str, Any], source: str) -> Proposal:
        trial = self._sampling.ask(parameters)
        return Proposal(trial.params, source, trial)

    def _combinations(self) -> Iterator[dict[str, Any]]:
        every = self._feasible.combinations()
        return (one for one in every if identity(one) not in self._tried)
