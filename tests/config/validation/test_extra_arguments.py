"""Fields of transformers' TrainingArguments that a configuration may and may not set."""

import ast
import dataclasses
import inspect

import pytest
from transformers import TrainingArguments

from ugro.config.keys import keys_of
from ugro.config.training import TrainingConfig
from ugro.config.validation.extra_arguments import KEYS, extra_faults
from ugro.config.validation.transformers_source import training_arguments
from ugro.trial import training_arguments as of_trial

FIELDS = {one.name: one for one in dataclasses.fields(TrainingArguments)}


def default(name: str) -> object:
    one = FIELDS[name]
    factory = one.default_factory
    return one.default if factory is dataclasses.MISSING else factory()


ALLOWED = [name for name in FIELDS if not any(extra_faults({name: default(name)}))]


def test_the_fields_are_those_of_transformers() -> None:
    assert list(training_arguments()) == list(FIELDS)


def test_what_a_trial_sets_itself_cannot_be_set() -> None:
    (call,) = (
        node
        for node in ast.walk(ast.parse(inspect.getsource(of_trial)))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "partial"
    )
    own = [keyword.arg for keyword in call.keywords]
    assert len(own) > 30
    assert not set(own) & set(ALLOWED)


def test_fields_that_remain_are_allowed_with_their_defaults() -> None:
    assert {"optim_args", "optim_target_modules", "dataloader_num_workers", "tf32"} <= set(ALLOWED)


def test_named_keys_exist() -> None:
    assert set(KEYS) <= set(FIELDS)
    own = {f"training.{key}" for key in keys_of(TrainingConfig)}
    assert {key for key in KEYS.values() if key.startswith("training.")} <= own


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        (
            {"optim_arg": "a=1"},
            "training.extra: 'optim_arg' given, allowed: fields of TrainingArguments: optim_args, ",
        ),
        (
            {"xyz": 1},
            "training.extra: 'xyz' given, allowed: fields of TrainingArguments: optim_args, ",
        ),
        (
            {"weight_decay": 0.1},
            "training.extra: 'weight_decay' given, allowed: its own key, training.weight_decay",
        ),
        (
            {"per_device_train_batch_size": 4},
            "training.extra: 'per_device_train_batch_size' given, allowed: its own key, "
            "training.batch_size",
        ),
        (
            {"use_liger_kernel": True},
            "training.extra: 'use_liger_kernel' given, allowed: its own key, model.liger_kernel",
        ),
        (
            {"torch_compile_mode": "default"},
            "training.extra: 'torch_compile_mode' given, allowed: other fields: a trial decides on "
            "kernels itself",
        ),
        ({"seed": 4}, "training.extra: 'seed' given, allowed: its own key, seed"),
        (
            {"output_dir": "here"},
            "training.extra: 'output_dir' given, allowed: other fields: a trial decides on folders "
            "itself",
        ),
        (
            {"ddp_backend": "gloo"},
            "training.extra: 'ddp_backend' given, allowed: other fields: a trial decides on "
            "devices itself",
        ),
        (
            {"dataloader_num_workers": "two"},
            "training.extra.dataloader_num_workers: 'two' given, allowed: int",
        ),
        (
            {"dataloader_num_workers": True},
            "training.extra.dataloader_num_workers: True given, allowed: int",
        ),
        ({"tf32": 1}, "training.extra.tf32: 1 given, allowed: bool | None"),
        (
            {"optim_target_modules": {"a": 1}},
            "training.extra.optim_target_modules: {'a': 1} given, allowed: None | str | list[str]",
        ),
    ],
)
def test_a_wrong_field_is_one_line(extra: dict[str, object], line: str) -> None:
    (found,) = extra_faults(extra)
    assert found.startswith(line)


def test_each_wrong_field_has_its_line() -> None:
    assert len(list(extra_faults({"seed": 1, "xyz": 2, "tf32": None}))) == 2
