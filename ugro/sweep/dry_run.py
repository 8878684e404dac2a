"""What would a sweep do? ``study.dry_run=true`` prints it and launches nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ugro.budget import max_tokens
from ugro.schedulers.rungs import Rungs
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import count, described
from ugro.sweep.plan import Plan
from ugro.sweep.survey import SAMPLES, Survey, survey

LENGTHS = 100  # samples of which a trial's tokens are worked out, 3 ms each


@dataclass(frozen=True)
class Stops:
    """Where a trial scheduler decides, as shares of a trial, and the share that goes on there."""

    at: tuple[float, ...] = ()
    go_on: float = 1.0

    @property
    def expected(self) -> float:
        """The share of its tokens that a trial takes, if each stop keeps its share of trials."""
        levels = pairwise((0.0, *self.at, 1.0))
        return sum(self.go_on**passed * (to - since) for passed, (since, to) in enumerate(levels))


def stops_of(scheduler: DictConfig, length: float | None) -> Stops:
    """The stops of a scheduler's configuration; the median rule has one, where half goes on.

    Args:
        scheduler: one of ``conf/scheduler/``
        length: of a trial, in the scheduler's resource; None where nobody knows yet
    """
    if "grace_period" not in scheduler:
        return Stops()
    longest = scheduler.get("max_t") or length
    grace = scheduler.grace_period
    if grace >= 1:
        grace = grace / longest if longest else 1.0
    if "reduction_factor" not in scheduler:
        return Stops((grace,) if grace < 1 else (), 0.5)
    rungs: Rungs[float] = Rungs(grace, scheduler.reduction_factor, 1.0)
    return Stops(tuple(rung.level for rung in rungs.rungs), 1 / scheduler.reduction_factor)


def show(plan: Plan, console: Console | None = None) -> None:
    """Print the plan of a sweep to the console, the terminal's unless another is given."""
    console = console or Console()
    console.print(_space(plan.feasible))
    for line in _lines(plan):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _space(feasible: FeasibleSpace) -> Table:
    table = Table(title="Search space", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("key", "values", "how many", "only if"):
        table.add_column(column, overflow="fold")
    for key, over in feasible.space.distributions.items():
        condition = feasible.space.conditions.get(key)
        size = count(over)
        table.add_row(
            key,
            escape(described(over)),
            "any" if size is None else str(size),
            condition.text if condition else "",
        )
    return table


def _lines(plan: Plan) -> Iterator[str]:
    of, feasible = plan.of, plan.feasible
    size = feasible.size
    yield f"Configurations: {'no end to them' if size is None else size}"
    samples = survey(feasible, of.seed, enough=SAMPLES if feasible.constrained else LENGTHS)
    if feasible.constrained:
        yield from (f"Constraint {line}" for line in samples.shares())
        yield f"Constraints leave {len(samples.kept) / samples.samples:.1%} of the samples"
    for text in (one.text for one in feasible.constraints.on_results):
        yield f"Constraint on results: {text}"
    for one in plan.first:
        shown = " ".join(f"{key}={value}" for key, value in one.parameters.items())
        yield f"First, {one.source}: {shown}"
    objectives = ", ".join(
        f"{name} ({one.direction.name}, weight {one.weight:g})"
        for name, one in of.objectives.metrics.items()
    )
    yield f"Objectives: {objectives}"
    yield f"Trials: {plan.total}"
    if of.study.confirm:
        yield _confirmed(plan)
    yield from _tokens(plan, samples)
    remote = plan.trial.hydra.launcher.get("ray", {}).get("remote", {})
    if remote:
        gpus = "1 where there are any" if remote.num_gpus is None else f"{remote.num_gpus:g}"
        yield f"Of each trial: {remote.num_cpus:g} CPUs, GPUs: {gpus}"
    yield f"At once: {plan.trial.hydra.sweeper.n_jobs}"
    yield "A dry run: nothing was launched"


def _confirmed(plan: Plan) -> str:
    best, seeds = plan.of.study.confirm, plan.of.study.confirm_seeds
    baseline = any(one.source == "baseline" for one in plan.first)
    trials = (best + baseline) * seeds
    whom = f"the best {best}{' and the baseline' if baseline else ''}"
    return f"To be confirmed: {whom}, {seeds} seeds each: {trials} trials more at most"


def _tokens(plan: Plan, samples: Survey) -> Iterator[str]:
    scheduler, total, limit = plan.trial.scheduler, plan.total, plan.of.study.max_tokens
    lengths = _lengths(plan.feasible, samples)
    longest = max(lengths, default=None)
    unit = scheduler.time_attr.name
    stops = stops_of(scheduler, longest if unit == "tokens_seen" else None)
    if stops.at and longest and unit == "tokens_seen":
        yield f"Rungs: {', '.join(f'{longest * at:,.0f}' for at in stops.at)} tokens"
    elif stops.at:
        yield f"Rungs: {', '.join(f'{at:.2%}' for at in stops.at)} of a trial's {unit}"
    else:
        yield "Rungs: none, every trial runs to its end"
    if longest is None:
        yield "Tokens: training.epochs counts the data, which are not read here"
        yield f"Expected: {stops.expected:.0%} of the tokens of {total} whole trials"
        return
    expected = total * stops.expected * sum(lengths) / len(lengths)
    yield f"Tokens at most: {min(total * longest, limit or total * longest):,}"
    yield f"Tokens expected: about {min(expected, limit or expected):,.0f}"


def _lengths(feasible: FeasibleSpace, samples: Survey) -> list[int]:
    """Tokens at most of some of the samples, those whose length is known."""
    compose = feasible.composer.compose
    lengths = [max_tokens(compose(parameters)) for parameters in samples.kept[:LENGTHS]]
    return [tokens for tokens in lengths if tokens is not None]
