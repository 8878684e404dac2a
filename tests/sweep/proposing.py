"""A study whose proposals all run."""

from collections.abc import Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.events.outcome import Outcome
from ugro.sampling.optuna_sampler import OptunaSampler
from ugro.space.feasible import FeasibleSpace
from ugro.study.trial_record import state_of
from ugro.sweep.initial_trials import Planned
from ugro.sweep.plan import total_trials
from ugro.sweep.proposals import Proposal, Proposals

SIX = ("lora.r=4,8,16", "lora.bias=none,all")
IN_ORDER = [(4, "none"), (4, "all"), (8, "none"), (8, "all"), (16, "none"), (16, "all")]
CONTINUOUS = ("lora.r=4,8", "training.learning_rate=tag(log,interval(1e-5,1e-3))")


class Sweep:
    """Study that runs every proposal, with objectives derived from the trial number."""

    def __init__(self, feasible: FeasibleSpace, seed: int = 0) -> None:
        self.feasible = feasible
        self.seed = seed
        self.past: list[FrozenTrial] = []
        self.refused: list[tuple[dict[str, Any], list[str]]] = []

    def proposals(
        self,
        n_trials: int | None,
        sampler: optuna.samplers.BaseSampler | None = None,
        plan: Sequence[Planned] = (),
        **options: Any,
    ) -> Proposals:
        done = [trial for trial in self.past if trial.user_attrs["how"] != "interrupted"]
        chosen = sampler or optuna.samplers.RandomSampler(self.seed + len(self.past))
        self.sampling = OptunaSampler(chosen, ["minimize"], self.feasible, done)
        return Proposals(
            self.sampling,
            self.feasible,
            plan,
            done,
            total_trials(self.feasible.size, n_trials),
            lambda parameters, reasons: self.refused.append((dict(parameters), list(reasons))),
            self.seed,
            **options,
        )

    def run(
        self, n_trials: int | None, ends: Outcome = Outcome.COMPLETE, **options: Any
    ) -> list[tuple[Any, ...]]:
        tried = []
        for proposal in self.proposals(n_trials, **options):
            value = (len(self.past) * 7 % 5) / 5
            self.sampling.tell(proposal.draw, ends, (value,))
            tried.append(tuple(proposal.parameters.values()))
            self.past.append(remembered(proposal, ends, value, len(self.past)))
        return tried


def remembered(proposal: Proposal, how: Outcome, value: float, number: int) -> FrozenTrial:
    state = state_of(how)
    trial = create_trial(
        state=state,
        value=value if state is TrialState.COMPLETE else None,
        params=dict(proposal.parameters),
        distributions=dict(proposal.draw.distributions),
        user_attrs={"how": how.value, "source": proposal.source},
    )
    trial.number = number
    return trial
