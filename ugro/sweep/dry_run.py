"""What would a sweep do? ``study.dry_run=true`` prints it and launches nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ugro.config.training_length import max_steps, max_tokens, tokens_per_step
from ugro.sampling.feasibility import SAMPLES, FeasibilityEstimate, survey
from ugro.schedulers.rungs import levels
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import count, described
from ugro.sweep.plan import Plan

LENGTHS = 100  # samples of which a trial's tokens are worked out, 3 ms each
UNITS = {"tokens_seen": "tokens", "step": "steps", "seconds": "seconds"}


@dataclass(frozen=True)
class Stops:
    """Where a trial scheduler decides, and the share of trials that goes on there.

    Attributes:
        at: in the scheduler's resource
        shares: the same as shares of a trial; of either None where only a trial can tell it
        go_on: at each of them
    """

    at: tuple[float, ...] | None = ()
    shares: tuple[float, ...] | None = ()
    go_on: float = 1.0

    def expected(self, end: float = 1.0) -> float | None:
        """The share of its tokens that a trial takes, if each stop keeps its share of trials.

        Args:
            end: the share of its length at which a stopper ends it, whatever it has
        """
        if self.shares is None:
            return None
        steps = pairwise(min(share, end) for share in (0.0, *self.shares, 1.0))
        taken = (self.go_on**passed * (to - since) for passed, (since, to) in enumerate(steps))
        return sum(taken) / end


def stops_of(scheduler: DictConfig, length: float | None) -> Stops:
    """The stops of a scheduler's configuration; the median rule has one, where half goes on.

    Args:
        scheduler: one of ``conf/scheduler/``
        length: of a trial, in the scheduler's resource; None where nobody knows yet
    """
    if "grace_period" not in scheduler:
        return Stops()
    grace, factor = scheduler.grace_period, scheduler.get("reduction_factor")
    max_t = scheduler.get("max_t")
    go_on = 1 / (factor or 2.0)
    found = levels(grace, factor, max_t, length)
    if found is not None:
        shares = None if length is None else tuple(at / length for at in found.at if at < length)
        return Stops(found.at, shares, go_on)
    shared = levels(grace, factor, None, 1.0) if grace < 1 else None
    return Stops(None, shared.at if shared else None, go_on)


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
    of, feasible = plan.config, plan.feasible
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
    best, seeds = plan.config.study.confirm, plan.config.study.confirm_seeds
    baseline = any(one.source == "baseline" for one in plan.first)
    trials = (best + baseline) * seeds
    whom = f"the best {best}{' and the baseline' if baseline else ''}"
    return f"To be confirmed: {whom}, {seeds} seeds each: {trials} trials more at most"


def _tokens(plan: Plan, samples: FeasibilityEstimate) -> Iterator[str]:
    scheduler, total, limit = plan.trial.scheduler, plan.total, plan.config.study.max_tokens
    unit = scheduler.time_attr.name
    some = _lengths(plan.feasible, samples)
    stops = stops_of(scheduler, max((one[unit] for one in some if unit in one), default=None))
    yield f"Rungs: {_rungs(stops, UNITS[unit])}"
    lengths = [one["at most"] for one in some if "at most" in one]
    share = _expected(stops, some)
    if not lengths:
        yield "Tokens: training.epochs counts the data, which are not read here"
        told = "unknown" if share is None else f"{share:.0%} of the tokens of {total} whole trials"
        yield f"Expected: {told}"
        return
    longest = max(lengths)
    yield f"Tokens at most: {min(total * longest, limit or total * longest):,}"
    if share is None:
        yield "Tokens expected: unknown"
        return
    expected = total * share * sum(lengths) / len(lengths)
    yield f"Tokens expected: about {min(expected, limit or expected):,.0f}"


def expected_share(plan: Plan, samples: FeasibilityEstimate) -> float | None:
    """The share of their tokens that trials are expected to take; None where nobody knows yet."""
    some, unit = _lengths(plan.feasible, samples), plan.trial.scheduler.time_attr.name
    length = max((one[unit] for one in some if unit in one), default=None)
    return _expected(stops_of(plan.trial.scheduler, length), some)


def _expected(stops: Stops, some: list[dict[str, int]]) -> float | None:
    lengths = [one["at most"] for one in some if "at most" in one]
    whole = [one["tokens_seen"] for one in some if "tokens_seen" in one]
    return stops.expected(sum(lengths) / sum(whole) if whole else 1.0)


def _rungs(stops: Stops, unit: str) -> str:
    if stops.at:
        return f"{', '.join(f'{at:,.1f}'.removesuffix('.0') for at in stops.at)} {unit}"
    if stops.shares:
        return f"{', '.join(f'{share:.2%}' for share in stops.shares)} of a trial's {unit}"
    if stops.shares is None:
        return f"unknown until a trial has told its length in {unit}"
    return "none, every trial runs to its end"


def _lengths(feasible: FeasibleSpace, samples: FeasibilityEstimate) -> list[dict[str, int]]:
    """How long some of the samples are, as far as it is known: in steps and tokens, if nothing
    stops them, and the tokens at most, stoppers included.
    """
    return [_length(feasible.composer.compose(one)) for one in samples.kept[:LENGTHS]]


def _length(trial: DictConfig) -> dict[str, int]:
    steps, most = max_steps(trial), max_tokens(trial)
    known = {} if most is None else {"at most": most}
    if steps is not None:
        known |= {"step": steps, "tokens_seen": steps * tokens_per_step(trial)}
    return known
