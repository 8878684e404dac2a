"""The default trial scheduler: freeze-thaw where it was measured to win, else none."""

from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from ugro.config import SchedulerConfig

AUTO = "auto"  # scheduler._target_
FREEZE_THAW = "ugro.schedulers.freeze_thaw.freeze_thaw.FreezeThaw"
NO_SCHEDULER = "ugro.schedulers.no_scheduler.NoScheduler"


@dataclass(frozen=True)
class ChosenScheduler:
    """The trial scheduler of a study.

    Attributes:
        config: its configuration, of an existing class
        description: it in words
    """

    config: DictConfig
    description: str


def chosen_scheduler(
    config: DictConfig, objectives: int, conditional: bool, covered: bool
) -> ChosenScheduler:
    """Return the configured scheduler; for ``auto`` the one that suits the study.

    Args:
        config: one of ``conf/scheduler/``
        objectives: number of values that a trial is judged by
        conditional: whether some keys are searched only under a condition
        covered: whether every configuration of the space runs
    """
    if config._target_ != AUTO:
        return ChosenScheduler(config, config._target_.rpartition(".")[2])
    reasons = {
        "every configuration runs": covered,
        "there are several objectives": objectives > 1,
        "keys are conditional": conditional,
    }
    reason = next((text for text, holds in reasons.items() if holds), None)
    if reason is not None:
        return ChosenScheduler(no_scheduler(config), f"none, as {reason}")
    chosen = config.copy()
    chosen._target_ = FREEZE_THAW
    return ChosenScheduler(chosen, "freeze-thaw")


def no_scheduler(config: DictConfig) -> DictConfig:
    """Return a configuration without early stopping that compares by the same resource."""
    none: DictConfig = OmegaConf.structured(SchedulerConfig(NO_SCHEDULER, config.time_attr))
    return none
