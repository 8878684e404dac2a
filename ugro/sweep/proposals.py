"""Proposals: initial trials first, then configurations of the sampler, without duplicates."""

import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.trial import FrozenTrial

from ugro.sampling.optuna_sampler import random_sampler
from ugro.sampling.sampler import Draw, Sampler
from ugro.space.feasible import MAX_COUNTED, FeasibleSpace, identity
from ugro.study.trial_record import source
from ugro.sweep.initial_trials import Planned

SAMPLER_ATTEMPTS = 20  # draws of the sampler before random draws
RANDOM_ATTEMPTS = 1000
TIMES_THE_TOTAL = 10  # spaces up to this multiple of the trials are listed, at 3 ms each
log = logging.getLogger(__name__)
OnRejected = Callable[[Mapping[str, Any], Sequence[str]], None]  # gets parameters and reasons


@dataclass(frozen=True)
class Proposal:
    """Proposed configuration with its draw by the sampler."""

    parameters: Mapping[str, Any]
    source: str
    draw: Draw


class Proposals:
    """Iterator over the remaining trials of a study.

    Initial trials come first. Then a space that the budget covers is enumerated in order; otherwise
    the trial scheduler proposes, if it can, or the sampler. Duplicates and infeasible
    configurations are rejected and the sampler draws again; after ``SAMPLER_ATTEMPTS`` rejections
    the configuration is drawn at random.

    Args:
        sampler: draws configurations
        feasible: the search space
        plan: initial trials
        before: existing trials of the study; initial trials among them are skipped
        total: number of trials of the finished study
        on_rejected: called with each rejected proposal
        seed: seed of random draws; a resumed study draws anew
        of_scheduler: returns the trial scheduler's proposal, if it has one
        allow_duplicates: whether a configuration may run twice
    """

    def __init__(
        self,
        sampler: Sampler,
        feasible: FeasibleSpace,
        plan: Sequence[Planned],
        before: Sequence[FrozenTrial],
        total: int,
        on_rejected: OnRejected,
        seed: int,
        allow_duplicates: bool = False,
        of_scheduler: Callable[[], Mapping[str, Any] | None] = lambda: None,
    ) -> None:
        self._sampler = sampler
        self._random_sampler = random_sampler(feasible, seed + len(before))
        self._feasible = feasible
        self._of_scheduler = of_scheduler
        self._unique = not allow_duplicates
        self._total = total
        self._exhausts = self._unique and feasible.is_covered_by(total)
        self._on_rejected = on_rejected
        self._random = random.Random(seed + len(before))
        self._tried = {identity(trial.params) for trial in before}
        self._remaining = total - len(before)
        self._plan = iter(plan)
        self._unmatched = {trial.number: trial for trial in before}
        self._matched: set[int] = set()  # trials identified as initial trials of the plan
        self._untried = self._untried_combinations()

    def __iter__(self) -> Iterator[Proposal]:
        return self

    def __next__(self) -> Proposal:
        """Return the next proposal."""
        if self._remaining <= 0:
            raise StopIteration
        proposal = self._next_initial() or self._next()
        self._remaining -= 1
        self._tried.add(identity(proposal.parameters))
        return proposal

    def sync(self, started: Iterable[FrozenTrial], remaining: int) -> None:
        """Exclude trials that other drivers have started.

        Args:
            started: new trials of other drivers
            remaining: number of trials that the study still needs
        """
        for trial in started:
            self._tried.add(identity(trial.params))
            if trial.number not in self._matched:
                self._unmatched[trial.number] = trial
        self._remaining = remaining

    def _next_initial(self) -> Proposal | None:
        for planned in self._plan:
            if self._exists(planned):
                continue
            draw = self._sampler.ask(planned.parameters)
            if self._accepts(draw):
                return Proposal(draw.parameters, planned.source, draw)
        return None

    def _exists(self, planned: Planned) -> bool:
        """Whether an existing trial, matched only once, completes this initial trial."""
        parameters = set(identity(planned.parameters))
        for number, trial in self._unmatched.items():
            if source(trial) == planned.source and parameters <= set(identity(trial.params)):
                self._matched.add(number)
                del self._unmatched[number]
                return True
        return identity(planned.parameters) in self._tried

    def _next(self) -> Proposal:
        if self._exhausts:
            return self._proposal(next(self._untried), "space")
        # A trial scheduler does not know which conditional keys a configuration has.
        parameters = None if self._feasible.conditional else self._of_scheduler()
        if parameters is not None and self._accepts(draw := self._sampler.ask(parameters)):
            return Proposal(draw.parameters, "scheduler", draw)
        for _ in range(SAMPLER_ATTEMPTS):
            draw = self._sampler.ask()
            if self._accepts(draw):
                return Proposal(draw.parameters, "sampler", draw)
        return self._proposal(self._draw_at_random(), "random")

    def _accepts(self, draw: Draw) -> bool:
        """Whether the configuration may run; report it as rejected otherwise."""
        reasons = self._rejection_reasons(draw.parameters)
        if not reasons:
            return True
        if reasons == ["duplicate"]:
            self._sampler.discard(draw)
        else:
            self._sampler.reject(draw)
        self._on_rejected(draw.parameters, reasons)
        return False

    def _rejection_reasons(self, parameters: Mapping[str, Any]) -> list[str]:
        if self._unique and identity(parameters) in self._tried:
            return ["duplicate"]
        return self._feasible.broken(parameters)

    def _draw_at_random(self) -> Mapping[str, Any]:
        for _ in range(RANDOM_ATTEMPTS):
            draw = self._random_sampler.ask()
            self._random_sampler.discard(draw)
            if not self._rejection_reasons(draw.parameters):
                return draw.parameters
        untried = [c for c in self._combinations if identity(c) not in self._tried]
        if not untried:
            log.warning("No untried configuration found: %d random draws failed", RANDOM_ATTEMPTS)
            raise StopIteration
        return self._random.choice(untried)

    @cached_property
    def _combinations(self) -> list[dict[str, Any]]:
        """Untried configurations of a small finite space; empty for other spaces."""
        size = self._feasible.size
        limit = max(MAX_COUNTED, TIMES_THE_TOTAL * self._total)
        listable = self._unique and size and size <= limit
        return list(self._untried_combinations()) if listable else []

    def _proposal(self, parameters: Mapping[str, Any], source: str) -> Proposal:
        draw = self._sampler.ask(parameters)
        return Proposal(draw.parameters, source, draw)

    def _untried_combinations(self) -> Iterator[dict[str, Any]]:
        combinations = self._feasible.combinations()
        return (c for c in combinations if identity(c) not in self._tried)
