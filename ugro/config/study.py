"""Schema of a study: trials, early stopping, objectives, constraints, limits."""

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
    """The study: name, initial trials, limits, confirmation."""

    name: str = MISSING
    """Name of the study; reusing a name resumes the study."""

    dir: str = MISSING
    """Folder of the study."""

    baseline: bool = MISSING
    """Run the unmodified configuration as trial 0, where a named space is searched."""

    enqueue: list[dict[str, Any]] = field(default_factory=list)
    """Configurations to run first, [{lora.r: 16, training.learning_rate: 2e-4}]."""

    warm_start: list[str] = field(default_factory=list)
    """Names or folders of earlier studies whose best trials run first."""

    warm_start_trials: int = MISSING
    """Number of trials taken from each study of warm_start."""

    allow_duplicates: bool = MISSING
    """Allow a configuration to run twice."""

    keep_checkpoints: Keep = MISSING
    """Checkpoints kept of a finished trial; pruned trials keep none."""

    artifacts: str | None = None
    """Destination of copies outside the machine: s3://, gs:// or an absolute path; null: none."""

    max_retries: int = MISSING
    """Retries of a trial whose worker is lost; it resumes from its last checkpoint."""

    heartbeat_seconds: float | None = None
    """Time without training progress after which a worker is killed and counts as lost; null:
    never. [seconds]"""

    fail_fast: int = MISSING
    """End the study if this many initial trials all fail with the same error."""

    allow_change: bool = MISSING
    """Resume a study whose definition changed; trials that do not compare form a new group."""

    max_seconds: float | None = None
    """Limit on the run time of this command; running trials end at their next report. [seconds]"""

    max_tokens: int | None = None
    """Limit on the training tokens of all trials; running trials end at their next report.
    [tokens]"""

    target: float | None = None
    """End the study when the first objective reaches this value. [unit of the objective]"""

    dry_run: bool = MISSING
    """Print the plan and launch nothing."""

    preflight: bool = MISSING
    """Check space, memory, disk and servers, take a single step, and leave nothing behind."""

    measure_test: bool = False
    """Measure a finished trial on the test part; set by the driver, not by users."""

    analysis: bool = MISSING
    """Write importance, pictures and report when a sweep ends."""

    confirm: int = MISSING
    """Number of best trials to retrain at full length with other seeds, and the baseline; 0:
    none."""

    confirm_seeds: int = MISSING
    """Seeds for each retrained trial."""


@dataclass
class SchedulerConfig:
    """A trial scheduler, which decides after each report whether a trial continues."""

    _target_: str = MISSING
    """Class of the scheduler, from ugro.schedulers or ray.tune.schedulers; auto: FreezeThaw, or
    NoScheduler in grids, with several objectives and with conditional keys."""

    time_attr: Resource = MISSING
    """Resource at which trials are compared."""


@dataclass
class StoppingConfig(SchedulerConfig):
    """A trial scheduler that stops trials."""

    grace_period: float = MISSING
    """Resource before which no trial is stopped or paused: the first rung; below 1: a share of
    max_t. [unit of time_attr]"""


@dataclass
class RungsConfig(StoppingConfig):
    """A trial scheduler with rungs."""

    max_t: float | None = None
    """Resource of a full trial; null: the trial's length. [unit of time_attr]"""

    reduction_factor: float = MISSING
    """Ratio of successive rungs; the best 1/reduction_factor of the trials continue or, with
    promotion_asha, resume."""


@dataclass
class AshaConfig(RungsConfig):
    """Asynchronous successive halving, with one bracket or several."""

    brackets: int = MISSING
    """Number of brackets; trials of later brackets skip the first rungs."""

    stop_last_trials: bool = MISSING
    """End a trial that has reached max_t."""


@dataclass
class AdaptiveAshaConfig(RungsConfig):
    """ASHA with an adaptive grace period."""

    min_correlation: float = MISSING
    """Kendall's tau with later rungs below which a rung stops no trial."""

    min_pairs: int = MISSING
    """Trials required to estimate that correlation."""


@dataclass
class FreezeThawConfig(StoppingConfig):
    """A trial scheduler that pauses trials by a model of their learning curves."""

    max_t: float | None = None
    """Resource of a full trial; null: the trial's length. [unit of time_attr]"""


@dataclass
class MedianConfig(StoppingConfig):
    """A trial scheduler that stops trials worse than the median of the others."""

    min_samples_required: int = MISSING
    """Other trials required before a trial is stopped."""

    min_time_slice: float = MISSING
    """Resource after which Ray Tune would pause a trial for waiting trials; .inf: never. [unit of
    time_attr]"""

    hard_stop: bool = MISSING
    """Stop trials instead of pausing them."""


@dataclass
class StoppersConfig:
    """Rules that end a trial independently of the scheduler."""

    max_tokens: int | None = None
    """Training tokens after which a trial ends; null: no limit. [tokens]"""

    max_seconds: float | None = None
    """Run time after which a trial ends, loading included; null: no limit. [seconds]"""

    kill_after_seconds: float = MISSING
    """Time beyond max_seconds without a report after which a trial counts as hung and is killed.
    [seconds]"""

    plateau_patience: int | None = None
    """Reports without a new best after which a trial ends as complete; null: no limit."""

    plateau_min_delta: float = MISSING
    """Smallest improvement that counts as a new best. [nats]"""

    divergence_factor: float | None = None
    """Loss above which a trial counts as diverged; null: only NaN and infinity. [times the
    untrained model's loss]"""


@dataclass
class ObjectiveConfig:
    """A metric to optimise, and its weight."""

    direction: Direction = MISSING
    """Direction of optimisation."""

    weight: float = 1.0
    """Weight of the metric in scalarized and chebyshev."""

    best: float | None = None
    """Reference point of chebyshev: the value hoped for. [unit of the metric]"""

    worst: float | None = None
    """Reference point of chebyshev: the worst acceptable value. [unit of the metric]"""


@dataclass
class ObjectivesConfig:
    """The objectives that rank trials."""

    mode: Mode = MISSING
    """Combination of several objectives: scalarized (weighted sum), chebyshev (largest weighted
    distance between reference points), pareto (a front)."""

    metrics: dict[str, ObjectiveConfig] = field(default_factory=dict)
    """Metrics by name, the first of them the primary objective."""


@dataclass
class ConstraintsConfig:
    """Conditions on configurations and results."""

    expressions: list[str] = field(default_factory=list)
    """Conditions on keys and metrics, ["lora.alpha >= lora.r"]."""


SCHEDULERS = {
    "auto": FreezeThawConfig,
    "none": SchedulerConfig,
    "asha": AshaConfig,
    "adaptive_asha": AdaptiveAshaConfig,
    "promotion_asha": RungsConfig,
    "dominance": RungsConfig,
    "freeze_thaw": FreezeThawConfig,
    "median": MedianConfig,
}
