"""What transformers accepts, read from its source, as importing it takes seconds."""

import ast
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

OF_GET_SCHEDULER = ("optimizer", "num_warmup_steps", "num_training_steps", "last_epoch")


@cache
def optimizers() -> tuple[str, ...]:
    """Return the values of ``OptimizerNames``."""
    return tuple(_values("training_args", "OptimizerNames").values())


@cache
def training_arguments() -> dict[str, str]:
    """Return the fields of ``TrainingArguments`` with their types as they are written."""
    body = _class(_tree("training_args"), "TrainingArguments").body
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


@cache
def schedule_arguments(schedule: str) -> dict[str, bool]:
    """Return the arguments of a learning rate schedule, each with whether it is required.

    Args:
        schedule: a value of ``SchedulerType``
    """
    kinds = {value: name for name, value in _values("trainer_utils", "SchedulerType").items()}
    tree = _tree("optimization")
    table = _assigned(tree, "TYPE_TO_SCHEDULER_FUNCTION")
    assert isinstance(table, ast.Dict)
    (function,) = (
        ast.unparse(value)
        for key, value in zip(table.keys, table.values, strict=True)
        if isinstance(key, ast.Attribute) and key.attr == kinds[schedule]
    )
    (found,) = (
        node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function
    )
    names = [argument.arg for argument in found.args.args]
    required = names[: len(names) - len(found.args.defaults)]
    return {name: name in required for name in names if name not in OF_GET_SCHEDULER}


def _values(module: str, enum: str) -> dict[str, str]:
    """Return the names and values of an enum of texts."""
    return {
        name: ast.literal_eval(value)
        for name, value in _assignments(_class(_tree(module), enum).body)
        if isinstance(value, ast.Constant)
    }


def _class(tree: ast.Module, name: str) -> ast.ClassDef:
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return found


def _assigned(tree: ast.Module, name: str) -> ast.expr:
    return dict(_assignments(tree.body))[name]


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


@cache
def _tree(module: str) -> ast.Module:
    spec = importlib.util.find_spec("transformers")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0])
    return ast.parse((folder / f"{module}.py").read_text(encoding="utf-8"))
