"""Measure the time of a sampler's proposal by the number of known trials.

The full LoRA space (eight keys), a single thread. Trials come from a synthetic problem: a tenth is
complete, the others stopped at a quarter of their tokens. No study is written: this is the
sampler's share of the time in benchmarks/control_plane.py.

    python -m benchmarks.proposal_time [SAMPLER ...]
"""

import sys
import time
from statistics import median

from optuna.trial import FrozenTrial, TrialState, create_trial

from ugro.events.outcome import Outcome
from ugro.sampling.configured_sampler import sampler_of
from ugro.study.trial_record import REASON

from .tabular.curves import plain
from .tabular.plans import compose_plan, space
from .tabular.problems import problem
from .tabular.record import quasi_random

KNOWN = {"tpe_multivariate": (25, 100, 400, 1000), "gp": (25, 50, 100, 200, 400)}
ASKED = 8  # proposals per median
MADE_UP = problem("agreeing:0")


def main(samplers: list[str]) -> None:
    """Print a line per sampler and number of trials."""
    for name in samplers or KNOWN:
        for known in KNOWN.get(name, (25, 100, 400)):
            print(f"{name}: {1000 * seconds(name, known):.0f} ms after {known} trials", flush=True)


def seconds(name: str, known: int) -> float:
    """Return the median seconds of a proposal."""
    plan = compose_plan("tracking=none", "search_space=lora", f"hydra/sweeper/sampler={name}")
    sampler = plan.trial.hydra.sweeper.sampler
    sampling = sampler_of(sampler, ["minimize"], plan.feasible, 0, past(known))
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        asked = sampling.ask()
        took.append(time.perf_counter() - began)
        curve = MADE_UP.curve(plain(asked.parameters), 0)
        sampling.report(asked, curve.tokens, curve.losses[-1])
        sampling.tell(asked, Outcome.COMPLETE, [curve.losses[-1]])
    return median(took)


def past(count: int) -> list[FrozenTrial]:
    """Return trials of a study with early stopping."""
    found = []
    for number, parameters in enumerate(quasi_random(space(), count)[:count]):
        reports = MADE_UP.curve(plain(parameters), 0).reports()
        whole = number % 10 == 0
        losses = {report.tokens_seen: report.metrics["eval_loss"] for report in reports}
        kept = list(losses.items()) if whole else list(losses.items())[: len(losses) // 4 + 1]
        found.append(
            create_trial(
                state=TrialState.COMPLETE if whole else TrialState.PRUNED,
                value=kept[-1][1] if whole else None,
                params=parameters,
                distributions=space(),
                intermediate_values=dict(kept),
                user_attrs={REASON: (Outcome.COMPLETE if whole else Outcome.RUNG).value},
            )
        )
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
