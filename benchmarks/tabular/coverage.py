"""Measure how often freeze-thaw's 90% intervals hold the end of a paused trial.

    python -m benchmarks.tabular.coverage RUNS [--problems ...]

For each trial that is paused after the first, third or sixth of twelve reports, compares the first
prediction made then with the end of its curve, which the simulated sweep may never see.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import fmean

from ugro.schedulers.freeze_thaw.curves import Prediction, State
from ugro.schedulers.freeze_thaw.forecast import Forecast
from ugro.schedulers.freeze_thaw.freeze_thaw import FreezeThaw

from .budget import HORIZON_HOURS, Budget, Seeds
from .chosen_runs import add_runs
from .curves import plain
from .headline import quiet
from .markdown import markdown_table
from .methods import SLOTS
from .reference import landscape_of, problem_of
from .simulate import simulate

REPORTS, OF = (1, 3, 6), 12
DEVIATIONS = 1.645  # of a 90% interval
PROBLEMS = ("agreeing", "noisy_extreme", "crossing_extreme", "slow_extreme", "recorded_answers")
Key = tuple[str, int]  # trial, reports


def main(runs: range, problems: list[str]) -> None:
    """Print the share of ends within their interval, a row per problem."""
    quiet()
    rows = []
    for problem in problems:
        held = defaultdict(list)
        for index in runs:
            for reports, inside in _checked(problem, index):
                held[reports].append(inside)
        rows.append([problem, *(f"{fmean(held[reports]):.0%}" for reports in REPORTS)])
    print(markdown_table(["", *(f"report {reports}" for reports in REPORTS)], rows))


def _checked(name: str, index: int) -> Iterator[tuple[int, bool]]:
    """Yield, for each prediction of a run, after how many reports it was made and if it held."""
    problem, seeds = problem_of(name, landscape_of(name, index)), Seeds.of_run(index)
    with _predictions() as predictions:
        trace = simulate(problem, (), SLOTS, Budget(hours=HORIZON_HOURS), seeds)
    asked = {str(event[1]): event[2] for event in trace.decisions() if event[0] == "asked"}
    for (trial, reports), predicted in predictions.items():
        losses = problem.curve(plain(asked[trial]), seeds.noise).losses
        change = losses[-1] - losses[0]
        if reports in REPORTS and change < losses[0]:  # it does not diverge
            yield reports, abs(change - predicted.mean) < DEVIATIONS * predicted.deviation


@contextmanager
def _predictions() -> Iterator[dict[Key, Prediction]]:
    """Collect the first prediction of each trial that is paused after a number of reports."""
    found: dict[Key, Prediction] = {}
    original = FreezeThaw._forecast

    def forecast(self: FreezeThaw) -> Forecast | None:
        made = original(self)
        for trial, prediction in made.predictions(self._scale) if made else ():
            curve = self._curves[trial]
            if curve.state is State.PAUSED and curve.changes:
                found.setdefault((trial, round(curve.reached * OF)), prediction)
        return made

    FreezeThaw._forecast = forecast  # type: ignore[method-assign]
    try:
        yield found
    finally:
        FreezeThaw._forecast = original  # type: ignore[method-assign]


if __name__ == "__main__":
    given = add_runs(argparse.ArgumentParser(), PROBLEMS).parse_args()
    main(given.runs, given.problems)
