"""What may be configured of a study: its trials, which go on, which is best, when it ends."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from omegaconf import MISSING

Direction = Enum("Direction", ["minimize", "maximize"])
Mode = Enum("Mode", ["scalarized", "chebyshev", "pareto"])
Resource = Enum("Resource", ["tokens_seen", "step", "seconds"])
Keep = Enum("Keep", ["best_and_last", "best", "all", "none"])


@dataclass
class StudyConfig:
    """Which study a trial belongs to, what it begins with and when it ends."""

    name: str = MISSING
    dir: str = MISSING
    baseline: bool = (
        MISSING  # trial 0 is the configuration as it is, where a named space is searched
    )
    enqueue: list[dict[str, Any]] = field(default_factory=list)  # run first: key to value
    warm_start: list[str] = field(default_factory=list)  # names or folders of earlier studies
    warm_start_trials: int = MISSING  # the best of each
    allow_duplicates: bool = MISSING  # a configuration may be run twice
    keep_checkpoints: Keep = MISSING  # of a finished trial; a pruned one keeps none
    artifacts: str | None = None  # a copy of what must outlive the machine: URI or absolute path
    max_retries: int = MISSING  # of a trial whose worker is lost
    heartbeat_seconds: float | None = None  # without a sign of life: the worker is lost
    fail_fast: int = MISSING  # as many at the beginning with the same error end the study
    allow_change: bool = MISSING  # go on after a change; what does not compare is a new group
    # Limits; what is in flight then ends at its next report.
    max_trials: int | None = None
    max_seconds: float | None = None
    max_tokens: int | None = None
    target: float | None = None  # of the first objective
    dry_run: bool = MISSING  # print the plan, launch nothing
    preflight: bool = MISSING  # check that all of it would work, leave nothing behind
    measure_test: bool = False  # set by the driver for a task: measure a trial, train nothing
    analysis: bool = MISSING  # pictures and report when a sweep ends
    confirm: int = MISSING  # the best so many are trained again, at full length
    confirm_seeds: int = MISSING  # with so many seeds each


@dataclass
class SchedulerConfig:
    """A trial scheduler: it tells which trials go on."""

    _target_: str = MISSING
    time_attr: Resource = MISSING  # what rungs are measured in


@dataclass
class StoppingConfig(SchedulerConfig):
    """A trial scheduler that stops trials."""

    grace_period: float = MISSING  # none is stopped before; below 1: a share of a trial's length


@dataclass
class RungsConfig(StoppingConfig):
    """A trial scheduler with rungs."""

    max_t: float | None = None  # null: a trial's length
    reduction_factor: float = MISSING


@dataclass
class AshaConfig(RungsConfig):
    """Asynchronous successive halving, with one bracket or several."""

    brackets: int = MISSING
    stop_last_trials: bool = MISSING


@dataclass
class AdaptiveAshaConfig(RungsConfig):
    """ASHA with a grace period that adapts."""

    min_correlation: float = MISSING
    min_pairs: int = MISSING


@dataclass
class MedianConfig(StoppingConfig):
    """Stops what is worse than the median of the others."""

    min_samples_required: int = MISSING
    min_time_slice: float = MISSING
    hard_stop: bool = MISSING


@dataclass
class StoppersConfig:
    """What ends a trial whatever the scheduler says."""

    max_tokens: int | None = None
    max_seconds: float | None = None  # since it was started, loading included
    kill_after_seconds: float = MISSING  # beyond max_seconds without a report: it hangs
    plateau_patience: int | None = None  # reports without an improvement
    plateau_min_delta: float = MISSING  # nats
    divergence_factor: float | None = None  # times the untrained model's loss


@dataclass
class ObjectiveConfig:
    """One measured number and how it counts."""

    direction: Direction = MISSING
    weight: float = 1.0
    # Reference points of chebyshev, in the metric's unit.
    best: float | None = None
    worst: float | None = None


@dataclass
class ObjectivesConfig:
    """What makes one trial better than another."""

    mode: Mode = MISSING
    metrics: dict[str, ObjectiveConfig] = field(default_factory=dict)


@dataclass
class ConstraintsConfig:
    """What a configuration or its results must satisfy."""

    expressions: list[str] = field(default_factory=list)


SCHEDULERS = {
    "none": SchedulerConfig,
    "asha": AshaConfig,
    "adaptive_asha": AdaptiveAshaConfig,
    "dominance": RungsConfig,
    "median": MedianConfig,
}
