"""Dry run of a sweep (``study.dry_run=true``): prints the plan and launches nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ugro.config.training_length import max_steps, max_tokens, tokens_per_step
from ugro.sampling.feasible_share import SAMPLES, FeasibilityEstimate, estimate_feasibility
from ugro.schedulers.auto_scheduler import FREEZE_THAW
from ugro.schedulers.rungs import levels
from ugro.space.feasible import FeasibleSpace
from ugro.space.search_space import count, described
from ugro.sweep.plan import Plan

LENGTHS = 100  # samples to estimate the tokens of trials, 3 ms each
GO_ON_FREEZE_THAW = 0.75  # share of the rest of all trials that it trains; measured with 20 to 50
UNITS = {"tokens_seen": "tokens", "step": "steps", "seconds": "seconds"}


@dataclass(frozen=True)
class Stops:
    """Levels at which a trial scheduler stops trials.

    Attributes:
        at: levels in the scheduler's resource; None if unknown before a trial
        shares: levels as shares of a trial; None if unknown before a trial
        go_on: share of trials that continue at each level
    """

    at: tuple[float, ...] | None = ()
    shares: tuple[float, ...] | None = ()
    go_on: float = 1.0

    def expected(self, end: float = 1.0) -> float | None:
        """Return the expected share of its tokens that a trial uses; None if unknown.

        Args:
            end: share of its length at which a stopper ends every trial
        """
        if self.shares is None:
            return None
        steps = pairwise(min(share, end) for share in (0.0, *self.shares, 1.0))
        used = (self.go_on**passed * (to - since) for passed, (since, to) in enumerate(steps))
        return sum(used) / end


def stops_of(scheduler: DictConfig, length: float | None) -> Stops:
    """Return the stops of a scheduler; the median rule has one, where half the trials continue.

    Args:
        scheduler: one of ``conf/scheduler/``
        length: a trial's length in the scheduler's resource; None if unknown
    """
    if "grace_period" not in scheduler:
        return Stops()
    grace, factor = scheduler.grace_period, scheduler.get("reduction_factor")
    max_t = scheduler.get("max_t")
    go_on = GO_ON_FREEZE_THAW if _freezes(scheduler) else 1 / (factor or 2.0)
    found = levels(grace, factor, max_t, length)
    if found is not None:
        shares = None if length is None else tuple(at / length for at in found.at if at < length)
        return Stops(found.at, shares, go_on)
    relative = levels(grace, factor, None, 1.0) if grace < 1 else None
    return Stops(None, relative.at if relative else None, go_on)


def _freezes(scheduler: DictConfig) -> bool:
    return bool(scheduler.get("_target_") == FREEZE_THAW)


def show(plan: Plan, console: Console | None = None) -> None:
    """Print the plan of a sweep.

    Args:
        plan: plan of the sweep
        console: where the plan is printed, by default the terminal
    """
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
    config, feasible = plan.config, plan.feasible
    size = feasible.size
    yield f"Configurations: {'infinite' if size is None else size}"
    enough = SAMPLES if feasible.constrained else LENGTHS
    samples = estimate_feasibility(feasible, config.seed, enough)
    if feasible.constrained:
        yield from (f"Constraint {line}" for line in samples.shares())
        yield f"Constraints leave {len(samples.kept) / samples.samples:.1%} of the samples"
    for constraint in feasible.constraints.on_results:
        yield f"Constraint on results: {constraint.text}"
    for trial in plan.first:
        shown = " ".join(f"{key}={value}" for key, value in trial.parameters.items())
        yield f"First, {trial.source}: {shown}"
    objectives = ", ".join(
        f"{name} ({objective.direction.name}, weight {objective.weight:g})"
        for name, objective in config.objectives.metrics.items()
    )
    yield f"Objectives: {objectives}"
    yield f"Trials: {plan.total}"
    if prior := feasible.space.prior:
        yield f"Prior: of {', '.join(prior)}"
    sampler = "none, as every configuration runs" if plan.is_exhaustive else plan.sampler
    yield f"Sampler: {sampler}"
    yield f"Scheduler: {plan.scheduler.description}"
    if config.study.confirm:
        yield _confirmation(plan)
    yield from _tokens(plan, samples)
    remote = plan.trial.hydra.launcher.get("ray", {}).get("remote", {})
    if remote:
        gpus = "1 if available" if remote.num_gpus is None else f"{remote.num_gpus:g}"
        yield f"Per trial: {remote.num_cpus:g} CPUs, GPUs: {gpus}"
    yield f"Concurrent trials: {plan.trial.hydra.sweeper.n_jobs}"
    yield "A dry run: nothing was launched"


def _confirmation(plan: Plan) -> str:
    best, seeds = plan.config.study.confirm, plan.config.study.confirm_seeds
    baseline = any(trial.source == "baseline" for trial in plan.first)
    trials = (best + baseline) * seeds
    which = f"the best {best}{' and the baseline' if baseline else ''}"
    return f"Confirmation: {which}, {seeds} seeds each: at most {trials} more trials"


def _tokens(plan: Plan, samples: FeasibilityEstimate) -> Iterator[str]:
    scheduler, total, limit = plan.scheduler.config, plan.total, plan.config.study.max_tokens
    lengths = _lengths(plan.feasible, samples)
    stops = stops_of(scheduler, _longest(lengths, scheduler.time_attr.name))
    shown = _levels(stops, UNITS[scheduler.time_attr.name])
    yield f"Pauses: {shown} or later" if _freezes(scheduler) else f"Rungs: {shown}"
    tokens = [length["at most"] for length in lengths if "at most" in length]
    share = _expected(stops, lengths)
    if not tokens:
        yield "Tokens: training.epochs counts the data, which are not read here"
        full = f"of the tokens of {total} full trials"
        expected = "unknown" if share is None else f"{share:.0%} {full}"
        yield f"Expected: {expected}"
        return
    most = total * max(tokens)
    yield f"Tokens at most: {min(most, limit or most):,}"
    if share is None:
        yield "Tokens expected: unknown"
        return
    mean = total * share * sum(tokens) / len(tokens)
    yield f"Tokens expected: about {min(mean, limit or mean):,.0f}"


def expected_share(plan: Plan, samples: FeasibilityEstimate) -> float | None:
    """Return the share of their tokens that trials are expected to use; None if unknown."""
    lengths, scheduler = _lengths(plan.feasible, samples), plan.scheduler.config
    return _expected(stops_of(scheduler, _longest(lengths, scheduler.time_attr.name)), lengths)


def _longest(lengths: list[dict[str, int]], unit: str) -> int | None:
    return max((length[unit] for length in lengths if unit in length), default=None)


def _expected(stops: Stops, lengths: list[dict[str, int]]) -> float | None:
    limited = [length["at most"] for length in lengths if "at most" in length]
    full = [length["tokens_seen"] for length in lengths if "tokens_seen" in length]
    return stops.expected(sum(limited) / sum(full) if full else 1.0)


def _levels(stops: Stops, unit: str) -> str:
    if stops.at:
        return f"{', '.join(f'{at:,.1f}'.removesuffix('.0') for at in stops.at)} {unit}"
    if stops.shares:
        return f"{', '.join(f'{share:.2%}' for share in stops.shares)} of a trial's {unit}"
    if stops.shares is None:
        return f"unknown until a trial has reported its length in {unit}"
    return "none, every trial runs to its end"


def _lengths(feasible: FeasibleSpace, samples: FeasibilityEstimate) -> list[dict[str, int]]:
    """Return the lengths of some samples, as far as they are known.

    Each has the steps and tokens of a full trial, and the tokens at most with stoppers applied.
    """
    return [_length(feasible.composer.compose(sample)) for sample in samples.kept[:LENGTHS]]


def _length(trial: DictConfig) -> dict[str, int]:
    steps, tokens = max_steps(trial), max_tokens(trial)
    length = {} if tokens is None else {"at most": tokens}
    if steps is not None:
        length |= {"step": steps, "tokens_seen": steps * tokens_per_step(trial)}
    return length
