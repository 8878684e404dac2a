"""The default trial scheduler suits the study."""

from collections.abc import Callable

import pytest
from omegaconf import DictConfig

from ugro.schedulers.auto_scheduler import FREEZE_THAW, NO_SCHEDULER, chosen_scheduler


@pytest.mark.parametrize(
    ("objectives", "conditional", "covered", "target", "description"),
    [
        (1, False, False, FREEZE_THAW, "freeze-thaw"),
        (2, False, False, NO_SCHEDULER, "none, as there are several objectives"),
        (1, True, False, NO_SCHEDULER, "none, as keys are conditional"),
        (1, False, True, NO_SCHEDULER, "none, as every configuration runs"),
    ],
)
def test_auto_is_freeze_thaw_where_it_was_measured_to_win(
    composed: Callable[..., DictConfig],
    objectives: int,
    conditional: bool,
    covered: bool,
    target: str,
    description: str,
) -> None:
    config = composed("study.name=s", "scheduler.time_attr=step").scheduler
    chosen = chosen_scheduler(config, objectives, conditional, covered)
    assert (chosen.config._target_, chosen.description) == (target, description)
    assert chosen.config.time_attr.name == "step"
    assert config._target_ == "auto"


def test_a_configured_scheduler_is_kept_whatever_the_study(
    composed: Callable[..., DictConfig],
) -> None:
    config = composed("study.name=s", "scheduler=asha").scheduler
    chosen = chosen_scheduler(config, 2, conditional=True, covered=True)
    assert chosen.config is config
    assert chosen.description == "ASHAScheduler"
