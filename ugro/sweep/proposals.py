"""Which configuration is tried next? Planned ones, then what the sampler proposes, none twice."""

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.trial import FrozenTrial

from ugro.sampling.sampler import Asked, Sampler, at_random
from ugro.space.feasible import MOST_COUNTED, FeasibleSpace, identity
from ugro.study.study import source
from ugro.sweep.initial_trials import Planned

ASKED_AGAIN = 20  # times, when the sampler proposes what was tried or breaks a constraint
DRAWN = 1000  # at random after that
TIMES_THE_TOTAL = 10  # as many configurations are listed to find one that is left, 3 ms each
log = logging.getLogger(__name__)
Refused = Callable[[Mapping[str, Any], Sequence[str]], None]  # hears parameters and reasons


@dataclass(frozen=True)
class Proposal:
    """A configuration to be run, as the sampler was asked for it."""

    parameters: Mapping[str, Any]
    source: str
    asked: Asked


class Proposals:
    """The trials still to be run, one at a time.

    First what is planned. Then a space that the budget covers is run through in order, each
    configuration once; otherwise the sampler proposes. What was tried, or breaks a constraint, is
    refused, the sampler told and asked again; after some refusals a configuration is drawn at
    random.

    Args:
        sampling: proposes and is told
        feasible: the search space
        plan: what is proposed first, unless it was run before
        before: the study's trials so far
        total: trials of the finished study
        refused: hears what was proposed in vain
        seed: of the draws at random; a continued study gets others from it
        allow_duplicates: a configuration may be run twice
    """

    def __init__(
        self,
        sampling: Sampler,
        feasible: FeasibleSpace,
        plan: Sequence[Planned],
        before: Sequence[FrozenTrial],
        total: int,
        refused: Refused,
        seed: int,
        allow_duplicates: bool = False,
    ) -> None:
        self._sampling = sampling
        self._randomly = at_random(feasible, seed + len(before))
        self._feasible = feasible
        self._once = not allow_duplicates
        self._total = total
        self._exhausts = self._once and feasible.size is not None and total >= feasible.size
        self._refused = refused
        self._random = random.Random(seed + len(before))
        self._tried = {identity(trial.params) for trial in before}
        self._left = total - len(before)
        self._plan = iter(plan)
        self._unclaimed = {trial.number: trial for trial in before}
        self._claimed: set[int] = set()  # trials that were known to be one of the plan
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
        for trial in begun:
            self._tried.add(identity(trial.params))
            if trial.number not in self._claimed:
                self._unclaimed[trial.number] = trial
        self._left = left

    def _planned(self) -> Proposal | None:
        for one in self._plan:
            if self._was_run(one):
                continue
            asked = self._sampling.ask(one.parameters)
            if self._accepts(asked):
                return Proposal(asked.parameters, one.source, asked)
        return None

    def _was_run(self, one: Planned) -> bool:
        """Whether a trial is this one, with what it leaves open filled in; each is only one."""
        wanted = set(identity(one.parameters))
        for number, trial in self._unclaimed.items():
            if source(trial) == one.source and wanted <= set(identity(trial.params)):
                self._claimed.add(number)
                del self._unclaimed[number]
                return True
        return identity(one.parameters) in self._tried

    def _next(self) -> Proposal:
        if self._exhausts:
            return self._fixed(next(self._untried), "space")
        for _ in range(ASKED_AGAIN):
            asked = self._sampling.ask()
            if self._accepts(asked):
                return Proposal(asked.parameters, "sampler", asked)
        return self._fixed(self._drawn(), "random")

    def _accepts(self, asked: Asked) -> bool:
        """Whether it may be run; else it is refused."""
        reasons = self._reasons(asked.parameters)
        if not reasons:
            return True
        if reasons == ["duplicate"]:
            self._sampling.forget(asked)
        else:
            self._sampling.refuse(asked)
        self._refused(asked.parameters, reasons)
        return False

    def _reasons(self, parameters: Mapping[str, Any]) -> list[str]:
        if self._once and identity(parameters) in self._tried:
            return ["duplicate"]
        return self._feasible.broken(parameters)

    def _drawn(self) -> Mapping[str, Any]:
        for _ in range(DRAWN):
            asked = self._randomly.ask()
            self._randomly.forget(asked)
            if not self._reasons(asked.parameters):
                return asked.parameters
        untried = [one for one in self._listed if identity(one) not in self._tried]
        if not untried:
            log.warning("Nothing else was found to try: %d draws at random were in vain", DRAWN)
            raise StopIteration
        return self._random.choice(untried)

    @cached_property
    def _listed(self) -> list[dict[str, Any]]:
        """Every configuration that may be left; of a space too large for that, none."""
        size = self._feasible.size
        most = max(MOST_COUNTED, TIMES_THE_TOTAL * self._total)
        return list(self._combinations()) if self._once and size and size <= most else []

    def _fixed(self, parameters: Mapping[str, Any], source: str) -> Proposal:
        asked = self._sampling.ask(parameters)
        return Proposal(asked.parameters, source, asked)

    def _combinations(self) -> Iterator[dict[str, Any]]:
        every = self._feasible.combinations()
        return (one for one in every if identity(one) not in self._tried)
