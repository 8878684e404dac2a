"""What is read from transformers' source is what transformers says once it is imported."""

import inspect

import pytest
from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION
from transformers.trainer_utils import SchedulerType
from transformers.training_args import OptimizerNames

from ugro.config import LRScheduler
from ugro.config.validation.transformers_source import (
    OF_GET_SCHEDULER,
    optimizers,
    schedule_arguments,
)

FOLLOW_EVALUATIONS = {"reduce_lr_on_plateau", "greedy"}


def test_the_optimizers_are_those_of_transformers() -> None:
    assert optimizers() == tuple(one.value for one in OptimizerNames)


def test_the_schedules_are_those_of_transformers_that_follow_no_evaluation() -> None:
    assert {one.name for one in LRScheduler} == {
        one.value for one in SchedulerType
    } - FOLLOW_EVALUATIONS


@pytest.mark.parametrize("schedule", [one.name for one in LRScheduler])
def test_arguments_of_a_schedule_are_those_of_its_function(schedule: str) -> None:
    function = TYPE_TO_SCHEDULER_FUNCTION[SchedulerType(schedule)]
    expected = {
        name: argument.default is inspect.Parameter.empty
        for name, argument in inspect.signature(function).parameters.items()
        if name not in OF_GET_SCHEDULER
    }
    assert schedule_arguments(schedule) == expected
