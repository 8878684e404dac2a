"""What do the outcomes say in figures? The tables of headline.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, median_high, median_low

import numpy

from .headline import MethodOutcome, near
from .methods import METHODS, OPTUNA, PROCESS, SEQUENTIAL, SLOTS, TUNE, UPSTREAM, WHOLE
from .problems import MANY
from .table import RECORDED, SHORT, Table

# What there was before anything was measured, and what UGRO has to offer beside.
CLAIMED = {
    SEQUENTIAL: "100 h, 50",
    "ASHA": "14 h, 40",
    "multivariate TPE": "13 h, 35",
    "ASHA, multivariate TPE": "10 h, 30",
    "adaptive ASHA, multivariate TPE": "",
    "the same, baseline first": "",
    "the same, warm start": "",
    PROCESS: "",
    "GP": "",
}


@dataclass(frozen=True)
class Results:
    """Outcomes by method, problem and seed; per problem the regret that is aimed at."""

    found: Mapping[tuple[str, str], Sequence[MethodOutcome]]  # by method and problem, a seed each
    problems: Sequence[str]

    def target(self, problem: str) -> float:
        """What sequential TPE typically comes to: the median over seeds."""
        return median_high(one.reached for one in self.found[SEQUENTIAL, problem])

    def hours(self, method: str, problem: str) -> float:
        """Until the target, the median over seeds; infinity: more often never."""
        target = self.target(problem)
        return median_low(one.until(target)[0] for one in self.found[method, problem])

    def hours_until_near(self, method: str, problem: str) -> float:
        """Until the loss is within a hundredth of the best of many configurations."""
        found = self.found[method, problem]
        return median_low(one.until(near(problem, one.seed))[0] for one in found)

    def whole_trials(self, method: str, problem: str) -> float:
        """The same in whole trials' worth of tokens."""
        target = self.target(problem)
        return median_low(one.until(target)[1] for one in self.found[method, problem])

    def times(self, method: str, problem: str) -> float:
        """How much faster than all of the sequential trials."""
        whole = median(one.hours for one in self.found[SEQUENTIAL, problem])
        return whole / self.hours(method, problem)

    def than(self, peer: str) -> Callable[[str, str], float]:
        """How much faster than a peer that is given the same seeds."""
        return lambda method, problem: (
            self.hours(peer, problem) / self.hours(method, problem)
            if numpy.isfinite(self.hours(method, problem))
            else 0.0
        )

    def reached(self, method: str, problem: str) -> float:
        """The share of the seeds in which it was reached."""
        target = self.target(problem)
        ends = [one.until(target)[0] for one in self.found[method, problem]]
        return 100 * float(numpy.isfinite(ends).mean())

    def at_the_end(self, of: Callable[[MethodOutcome], float]) -> Callable[[str, str], float]:
        """The median over seeds of a figure of an outcome."""
        return lambda method, problem: median(of(one) for one in self.found[method, problem])


def written(outcomes: Sequence[MethodOutcome], problems: Sequence[str], seeds: int) -> str:
    """All tables."""
    found: dict[tuple[str, str], list[MethodOutcome]] = {}
    for one in outcomes:
        found.setdefault((one.method, one.problem), []).append(one)
    results = Results(found, problems)
    tables: dict[str, tuple[Callable[[str, str], float], str]] = {
        "Hours until as good": (results.hours, "{:.1f}"),
        f"Hours until the loss is within 1% of the best of {MANY + 1} configurations": (
            results.hours_until_near,
            "{:.1f}",
        ),
        f"Times faster than {WHOLE} sequential trials of TPE": (results.times, "{:.1f} x"),
        "Times faster than sequential TPE came upon it": (results.than(SEQUENTIAL), "{:.1f} x"),
        "Times faster than upstream's batches": (results.than(UPSTREAM), "{:.1f} x"),
        "Times faster than Optuna's own halving": (results.than(OPTUNA), "{:.1f} x"),
        "Times faster than Ray Tune": (results.than(TUNE), "{:.1f} x"),
        "Whole trials' worth of tokens until as good": (results.whole_trials, "{:.1f}"),
        "Seeds in which it was reached within the budget": (results.reached, "{:.0f}%"),
        "Normalised regret at the end": (results.at_the_end(lambda one: one.reached), "{:.3f}"),
        "Hours in all": (results.at_the_end(lambda one: one.hours), "{:.1f}"),
        "Executor idle until the last launch": (
            results.at_the_end(lambda one: abs(100 * one.idle)),
            "{:.1f}%",
        ),
    }
    parts = [_table(title, *what, problems) for title, what in tables.items()]
    return "\n\n".join([_head(problems, seeds), _claims(results), *parts]) + "\n"


def _table(
    title: str, cell: Callable[[str, str], float], form: str, problems: Sequence[str]
) -> str:
    """A row a method, a column a problem."""
    lines = [f"## {title}", "", f"| | {' | '.join(problems)} |", f"|{'---|' * (len(problems) + 1)}"]
    for method in METHODS:
        cells = [form.format(cell(method.name, problem)) for problem in problems]
        lines.append(f"| {method.name} | {' | '.join(cells)} |")
    text = "\n".join(lines).replace("| 0.0 x", "| never").replace("| inf x", "| the peer never")
    return text.replace("| inf", "| never")


def _claims(results: Results) -> str:
    """Hours and whole trials until as good: the four rows that were claimed, measured, and ours."""
    problems = results.problems
    lines = [
        "## The claim, measured",
        "",
        "Hours, and whole trials' worth of tokens, until as good.",
        "",
        f"| | claimed | {' | '.join(problems)} |",
        f"|{'---|' * (len(problems) + 2)}",
    ]
    for name, claimed in CLAIMED.items():
        cells = [
            f"{hours:.1f} h, {results.whole_trials(name, problem):.0f}"
            if numpy.isfinite(hours := results.hours(name, problem))
            else "never"
            for problem in problems
        ]
        lines.append(f"| {name} | {claimed} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _head(problems: Sequence[str], seeds: int) -> str:
    budgets = ", ".join(f"{method.name}: {method.trials}" for method in METHODS)
    lines = [
        "# Until a sweep is as good as 50 sequential trials",
        "",
        f"`python -m benchmarks.tabular.headline FOLDER {seeds}`: {seeds} seeds, medians, "
        f"{SLOTS} slots unless sequential. A trial takes two hours or so "
        "of simulated time. As good: the best complete trial, judged without its noise, has the "
        "regret that 50 sequential trials of TPE come to in the median. Never: in less than half "
        "of the seeds.",
        "",
        f"Trials at most: {budgets}.",
    ]
    if "recorded" in problems:
        table = Table()
        lines += [
            "",
            f"`recorded` is a fit of {len(table.whole)} recorded configurations ({RECORDED.name}); "
            "the others are made up, a landscape a seed. The warm start knows "
            f"{MANY} configurations: as they were in short runs ({SHORT.name}) "
            "or in another landscape of the family.",
        ]
    return "\n".join(lines)
