"""Tables of the headline in Markdown."""

from collections.abc import Callable, Mapping, Sequence

import numpy

from .budget import HORIZON_HOURS
from .markdown import markdown_table
from .methods import DEFAULT, SLOTS
from .problems import REFERENCE_COUNT
from .reference import REPETITIONS, TRIALS
from .summaries import Numbers, Summary, mean_ratio, quartiles

Cell = Callable[[Summary], str]
NEVER = f"> {HORIZON_HOURS:g}"


def to_markdown(
    found: Mapping[tuple[str, str], Summary],
    methods: Sequence[str],
    problems: Sequence[str],
    command: str,
) -> str:
    """Return the text of headline.md.

    Args:
        found: summaries by method and problem
        methods: methods in the order of the rows
        problems: problems in the order of the columns
        command: command that reproduces it
    """
    cells: Mapping[str, Cell] = {
        f"Runs that reached the target within {HORIZON_HOURS:g} hours": (
            lambda summary: f"{summary.share_reached:.0%}"
        ),
        "Hours until the target: median (quartiles)": lambda summary: _hours(summary.hours),
        f"Speed-up over {TRIALS} sequential trials of TPE: median": _speedup,
        "Full trials' tokens until the target, of all trials: median (quartiles)": (
            lambda summary: _quartiles(summary.full_trials, "{:.0f}", "never")
        ),
        f"Hours until within 1% of the best of {REFERENCE_COUNT + 1} configurations: median "
        "(quartiles)": lambda summary: _hours(summary.near_optimum_hours),
        "Regret at the horizon: median (quartiles)": _regrets,
        "Started trials: median": lambda summary: (
            f"{numpy.median([outcome.trials for outcome in summary.outcomes]):.0f}"
        ),
        "Slots idle: mean": lambda summary: (
            f"{numpy.mean([outcome.idle for outcome in summary.outcomes]):.1%}"
        ),
        "Processor seconds of a simulated search: mean": lambda summary: (
            f"{numpy.mean([outcome.cpu_seconds for outcome in summary.outcomes]):.1f}"
        ),
    }
    tables = [
        _table(title, problems, {m: [cell(found[m, p]) for p in problems] for m in methods})
        for title, cell in cells.items()
    ]
    if DEFAULT in methods:
        tables.insert(3, _ratios(found, methods, problems))
    return "\n\n".join([_head(found, methods, problems, command), *tables]) + "\n"


def _ratios(
    found: Mapping[tuple[str, str], Summary], methods: Sequence[str], problems: Sequence[str]
) -> str:
    """Return the table of mean hours relative to the default."""

    def cell(method: str, problem: str) -> str:
        ratio = mean_ratio(found[method, problem].hours, found[DEFAULT, problem].hours)
        return f"{ratio.value:.2f} ({ratio.low:.2f} to {ratio.high:.2f})"

    rows = {m: [cell(m, p) for p in problems] for m in methods if m != DEFAULT}
    title = f"Mean hours, at most {HORIZON_HOURS:g}, relative to the default: paired, 95% interval"
    return _table(title, problems, rows)


def _table(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    lines = ([name, *cells] for name, cells in rows.items())
    return f"## {title}\n\n{markdown_table(['', *columns], lines)}"


def _hours(hours: Numbers) -> str:
    return _quartiles(hours, "{:.1f}", NEVER)


def _quartiles(numbers: Numbers, form: str, never: str) -> str:
    """Return median and quartiles, with a word for infinity."""
    low, middle, high = (
        form.format(number) if numpy.isfinite(number) else never for number in quartiles(numbers)
    )
    return middle if low == high else f"{middle} ({low} to {high})"


def _speedup(summary: Summary) -> str:
    middle = -quartiles(-summary.speedups)[1]  # with an even number, the lower of two
    return f"{middle:.1f} x" if middle else "never"


def _regrets(summary: Summary) -> str:
    low, middle, high = numpy.quantile(summary.final_regrets, (0.25, 0.5, 0.75))
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def _head(
    found: Mapping[tuple[str, str], Summary],
    methods: Sequence[str],
    problems: Sequence[str],
    command: str,
) -> str:
    runs = len(found[methods[0], problems[0]].outcomes)
    return (
        f"# Hours until a search is as good as {TRIALS} sequential trials\n\n"
        f"`{command}`: {runs} runs per problem, {SLOTS} slots, {HORIZON_HOURS:g} hours; a trial "
        "takes about two hours of simulated time. The target of a landscape is the median final "
        f"regret of at least {REPETITIONS} sequential searches of {TRIALS} trials with TPE. The "
        "best complete trial is chosen by its noisy value and judged by its noise-free loss. "
        "Landscape, noise and method have separate seeds; all methods search the same landscapes "
        f"with the same noise. Runs that have not reached the target by then count as {NEVER} "
        f"hours in quartiles and as {HORIZON_HOURS:g} in means. Tokens are those of all trials, "
        "stopped and running ones included."
    )
