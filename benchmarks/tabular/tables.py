"""The tables of headline.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, median_high, median_low

import numpy

from .methods import METHODS, OPTUNA, PROCESS, SEQUENTIAL, SLOTS, TUNE, UPSTREAM, WHOLE
from .outcomes import MethodOutcome, near_optimal_regret
from .problems import REFERENCE_COUNT
from .table import RECORDED, SHORT, Table

# Methods of the claim table, with the figures claimed before any measurement.
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
    """Outcomes by method, problem and seed, and the figures derived from them."""

    found: Mapping[tuple[str, str], Sequence[MethodOutcome]]  # by method and problem, a seed each
    problems: Sequence[str]

    def target(self, problem: str) -> float:
        """Return the median final regret of sequential TPE."""
        return median_high(outcome.reached for outcome in self.found[SEQUENTIAL, problem])

    def hours(self, method: str, problem: str) -> float:
        """Return the median hours until the target; infinity if most seeds never reach it."""
        target = self.target(problem)
        return median_low(outcome.until(target)[0] for outcome in self.found[method, problem])

    def hours_until_near_optimum(self, method: str, problem: str) -> float:
        """Return the median hours until the loss is within 1% of the best configuration."""
        found = self.found[method, problem]
        return median_low(
            outcome.until(near_optimal_regret(problem, outcome.seed))[0] for outcome in found
        )

    def whole_trials(self, method: str, problem: str) -> float:
        """Return the median tokens until the target, in full trials."""
        target = self.target(problem)
        return median_low(outcome.until(target)[1] for outcome in self.found[method, problem])

    def speedup(self, method: str, problem: str) -> float:
        """Return the speed-up over running all sequential trials."""
        whole = median(outcome.hours for outcome in self.found[SEQUENTIAL, problem])
        return whole / self.hours(method, problem)

    def speedup_over(self, peer: str) -> Callable[[str, str], float]:
        """Return a function for the speed-up over a peer."""
        return lambda method, problem: (
            self.hours(peer, problem) / self.hours(method, problem)
            if numpy.isfinite(self.hours(method, problem))
            else 0.0
        )

    def reached(self, method: str, problem: str) -> float:
        """Return the percentage of seeds that reach the target."""
        target = self.target(problem)
        ends = [outcome.until(target)[0] for outcome in self.found[method, problem]]
        return 100 * float(numpy.isfinite(ends).mean())

    def final(self, of: Callable[[MethodOutcome], float]) -> Callable[[str, str], float]:
        """Return a function for the median over seeds of an outcome's figure."""
        return lambda method, problem: median(
            of(outcome) for outcome in self.found[method, problem]
        )


def to_markdown(outcomes: Sequence[MethodOutcome], problems: Sequence[str], seeds: int) -> str:
    """Return the text of headline.md."""
    found: dict[tuple[str, str], list[MethodOutcome]] = {}
    for outcome in outcomes:
        found.setdefault((outcome.method, outcome.problem), []).append(outcome)
    results = Results(found, problems)
    tables: dict[str, tuple[Callable[[str, str], float], str]] = {
        "Hours until as good": (results.hours, "{:.1f}"),
        f"Hours until the loss is within 1% of the best of {REFERENCE_COUNT + 1} configurations": (
            results.hours_until_near_optimum,
            "{:.1f}",
        ),
        f"Times faster than {WHOLE} sequential trials of TPE": (results.speedup, "{:.1f} x"),
        "Times faster than sequential TPE came upon it": (
            results.speedup_over(SEQUENTIAL),
            "{:.1f} x",
        ),
        "Times faster than upstream's batches": (results.speedup_over(UPSTREAM), "{:.1f} x"),
        "Times faster than Optuna's own halving": (results.speedup_over(OPTUNA), "{:.1f} x"),
        "Times faster than Ray Tune": (results.speedup_over(TUNE), "{:.1f} x"),
        "Whole trials' worth of tokens until as good": (results.whole_trials, "{:.1f}"),
        "Seeds in which it was reached within the budget": (results.reached, "{:.0f}%"),
        "Normalised regret at the end": (results.final(lambda outcome: outcome.reached), "{:.3f}"),
        "Hours in all": (results.final(lambda outcome: outcome.hours), "{:.1f}"),
        "Executor idle until the last launch": (
            results.final(lambda outcome: abs(100 * outcome.idle)),
            "{:.1f}%",
        ),
    }
    parts = [_table(title, *what, problems) for title, what in tables.items()]
    return "\n\n".join([_head(problems, seeds), _claims(results), *parts]) + "\n"


def _table(
    title: str, cell: Callable[[str, str], float], form: str, problems: Sequence[str]
) -> str:
    """Return a table with a row per method and a column per problem."""
    lines = [f"## {title}", "", f"| | {' | '.join(problems)} |", f"|{'---|' * (len(problems) + 1)}"]
    for method in METHODS:
        cells = [form.format(cell(method.name, problem)) for problem in problems]
        lines.append(f"| {method.name} | {' | '.join(cells)} |")
    text = "\n".join(lines).replace("| 0.0 x", "| never").replace("| inf x", "| the peer never")
    return text.replace("| inf", "| never")


def _claims(results: Results) -> str:
    """Return the table of claimed and measured hours and full trials until the target."""
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
            f"{REFERENCE_COUNT} configurations: as they were in short runs ({SHORT.name}) "
            "or in another landscape of the family.",
        ]
    return "\n".join(lines)
