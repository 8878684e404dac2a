"""Compare the default with scheduler=none after as many trials, and with ASHA after as many hours.

    python -m benchmarks.tabular.fixed_trials TRIALS SLOTS RUNS [--problems ...]

RUNS are indices such as 0-9, whose references are kept in benchmarks/results/choosing. Prints
medians: final regret, hours that the study took, and its training tokens in full trials. ASHA,
with multivariate TPE, starts as many trials as it can in the hours of the default.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from operator import attrgetter
from statistics import mean, median

from .budget import Budget, Seeds
from .chosen_runs import add_runs, measured
from .markdown import markdown_table
from .reference import Reference, landscape_of, problem_of
from .simulate import simulate

NONE = ("scheduler=none",)
ASHA = (
    "scheduler=asha",
    "scheduler.grace_period=0.25",
    "scheduler.reduction_factor=2",
    "hydra/sweeper/sampler=tpe_multivariate",
)
PROBLEMS = ("agreeing", "crossing_extreme", "slow_extreme", "recorded_answers", "recorded_german")
NO_TRIAL = 1.5  # regret without a complete trial


@dataclass(frozen=True)
class Result:
    """How a study ended: its regret, hours, and tokens in full trials."""

    regret: float
    hours: float
    full_trials: float


def main(trials: int, slots: int, runs: range, problems: list[str]) -> None:
    """Run all studies and print a table with a row per problem."""
    found = measured(partial(compare, trials, slots), problems, runs)
    rows = [
        [problem, *map(_medians, zip(*studies, strict=True))] for problem, studies in found.items()
    ]
    print(markdown_table(["", "default", "`scheduler=none`", "ASHA, TPE"], rows))
    results = [each for studies in found.values() for each in studies]
    for name, at in (("`scheduler=none`", 1), ("ASHA, TPE", 2)):
        share = mean(each[0].regret <= each[at].regret for each in results)
        print(
            f"The default is at least as good as {name} in {share:.0%} of {len(results)} studies."
        )


def compare(
    trials: int, slots: int, name: str, index: int, reference: Reference
) -> tuple[Result, Result, Result]:
    """Run the default, ``scheduler=none``, and ASHA in the hours of the default."""
    problem, seeds = problem_of(name, landscape_of(name, index)), Seeds.of_run(index)

    def study(overrides: tuple[str, ...], budget: Budget) -> Result:
        trace = simulate(problem, overrides, slots, budget, seeds)
        best = [loss for _, _, loss in trace.best()]
        regret = reference.regret(best[-1]) if best else NO_TRIAL
        return Result(regret, trace.hours, trace.tokens / reference.full_tokens)

    default = study((), Budget(trials))
    in_its_hours = Budget(hours=default.hours)
    return default, study(NONE, Budget(trials)), study(ASHA, in_its_hours)


def _medians(results: Sequence[Result]) -> str:
    regret, hours, full = (median(map(attrgetter(f.name), results)) for f in fields(Result))
    return f"{regret:.3f} in {hours:.1f} h, {full:.0f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("trials", type=int)
    parser.add_argument("slots", type=int)
    given = add_runs(parser, PROBLEMS).parse_args()
    main(given.trials, given.slots, given.runs, given.problems)
