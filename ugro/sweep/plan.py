"""What would a sweep do? ``study.dry_run=true`` prints it and launches nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ugro.config import Config
from ugro.sweep.composition import lookup
from ugro.sweep.feasible import FeasibleSpace
from ugro.sweep.planned import Planned, described
from ugro.sweep.search_space import count
from ugro.sweep.survey import survey

LENGTHS = 100  # samples of which a trial's tokens are worked out, 10 ms each


@dataclass(frozen=True)
class Rungs:
    """Where a trial scheduler decides, as shares of a trial, and the share that goes on there."""

    at: tuple[float, ...] = ()
    go_on: float = 1.0

    @property
    def expected(self) -> float:
        """The share of its tokens that a trial takes, if each rung keeps its share of trials."""
        taken, running, position = 0.0, 1.0, 0.0
        for rung in self.at:
            taken += running * (rung - position)
            running, position = running * self.go_on, rung
        return taken + running * (1 - position)


def rungs_of(scheduler: DictConfig, length: float | None) -> Rungs:
    """The rungs of a scheduler's configuration; the median rule has one, where half goes on.

    Args:
        scheduler: one of ``conf/scheduler/``
        length: of a trial, in the scheduler's resource; None where nobody knows yet
    """
    longest = scheduler.get("max_t") or length
    grace = scheduler.grace_period
    if grace >= 1:
        grace = grace / longest if longest else 1.0
    if "reduction_factor" not in scheduler:
        return Rungs((grace,) if grace < 1 else (), 0.5)
    at = []
    while grace < 1:
        at.append(grace)
        grace *= scheduler.reduction_factor
    return Rungs(tuple(at), 1 / scheduler.reduction_factor)


def show_plan(
    trial: DictConfig,
    of: Config,
    feasible: FeasibleSpace,
    first: Sequence[Planned],
    total: int,
    console: Console | None = None,
) -> None:
    """Print the plan of a sweep.

    Args:
        trial: a composed trial, ``hydra`` included
        of: the same, typed
        feasible: the search space
        first: what is run before the sampler is asked
        total: trials of the finished study
        console: where to print
    """
    console = console or Console()
    console.print(_space(feasible))
    for line in _lines(trial, of, feasible, first, total):
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


def _lines(
    trial: DictConfig, of: Config, feasible: FeasibleSpace, first: Sequence[Planned], total: int
) -> Iterator[str]:
    size = feasible.size
    yield f"Configurations: {'no end to them' if size is None else size}"
    found = survey(feasible, of.seed) if feasible.constrained else None
    for line in found.shares() if found else ():
        yield f"Constraint {line}"
    if found:
        yield f"Constraints leave {len(found.kept) / found.samples:.1%} of the samples"
    for text in (one.text for one in feasible.constraints.on_results):
        yield f"Constraint on results: {text}"
    for one in first:
        shown = " ".join(f"{key}={value}" for key, value in one.parameters.items())
        yield f"First, {one.source}: {shown}"
    objectives = ", ".join(
        f"{name} ({one.direction.name}, weight {one.weight:g})"
        for name, one in of.objectives.metrics.items()
    )
    yield f"Objectives: {objectives}"
    yield f"Trials: {total}"
    yield from _tokens(trial, of, feasible, total)
    remote = trial.hydra.launcher.get("ray", {}).get("remote", {})
    if remote:
        gpus = "1 where there are any" if remote.num_gpus is None else f"{remote.num_gpus:g}"
        yield f"Of each trial: {remote.num_cpus:g} CPUs, GPUs: {gpus}"
    yield f"At once: {trial.hydra.sweeper.n_jobs}"
    yield "A dry run: nothing was launched"


def _tokens(trial: DictConfig, of: Config, feasible: FeasibleSpace, total: int) -> Iterator[str]:
    found = survey(feasible, of.seed, enough=LENGTHS)
    configs = [feasible.composer.compose(parameters) for parameters in found.kept]
    lengths = [tokens for tokens in map(tokens_of, configs) if tokens is not None]
    scheduler = trial.scheduler
    longest = max(lengths, default=None)
    rungs = rungs_of(scheduler, longest if scheduler.time_attr.name == "tokens_seen" else None)
    unit = scheduler.time_attr.name
    if rungs.at and longest and unit == "tokens_seen":
        yield f"Rungs: {', '.join(f'{longest * at:,.0f}' for at in rungs.at)} tokens"
    elif rungs.at:
        yield f"Rungs: {', '.join(f'{at:.2%}' for at in rungs.at)} of a trial's {unit}"
    else:
        yield "Rungs: none, every trial runs to its end"
    limit = of.study.max_tokens
    if not lengths or longest is None:
        yield "Tokens: training.epochs counts the data, which are not read here"
        yield f"Expected: {rungs.expected:.0%} of the tokens of {total} whole trials"
        return
    expected = total * rungs.expected * sum(lengths) / len(lengths)
    yield f"Tokens at most: {min(total * longest, limit or total * longest):,}"
    yield f"Tokens expected: about {min(expected, limit or expected):,.0f}"


def tokens_of(config: DictConfig) -> int | None:
    """Tokens that a trial trains on at most; None where ``training.epochs`` decides.

    Args:
        config: composed
    """
    steps = lookup(config, "training.max_steps")
    tokens = lookup(config, "training.max_tokens")
    stopper = lookup(config, "stoppers.max_tokens")
    if steps is not None:
        tokens = (
            config.training.max_steps
            * config.training.batch_size
            * config.training.gradient_accumulation_steps
            * config.data.block_size
        )
    known = [int(one) for one in (tokens, stopper) if isinstance(one, int)]
    return min(known, default=None)
