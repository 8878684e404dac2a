"""Read task files of lm-evaluation-harness without importing it.

The driver needs the names of a task's values and a digest of what affects them; ``lm_eval`` imports
torch.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

SUFFIXES = (".yaml", ".yml", ".json")
NO_FILTER = "none"  # lm_eval's name for it


@dataclass(frozen=True)
class TaskFile:
    """A task file.

    Attributes:
        value: name of its first value; None if the file lists no metrics
        sources: files that affect the values: the task file, those it includes, the modules of its
            functions, and its local data
    """

    value: str | None
    sources: tuple[Path, ...]


def is_file(task: str) -> bool:
    """Return whether a task is given as a file, not by its name."""
    return task.endswith(SUFFIXES)


def value_name(task: str, metric: str, answers: str = NO_FILTER) -> str:
    """Return the name of a task's value: TASK_METRIC, or TASK_METRIC_FILTER.

    Args:
        task: name of the task or group
        metric: name of the metric
        answers: name of the filter that the answers passed
    """
    parts = (task, metric) if answers == NO_FILTER else (task, metric, answers)
    return re.sub(r"\W+", "_", "_".join(parts), flags=re.ASCII).strip("_")


def read(path: Path) -> TaskFile:
    """Read a task file.

    Args:
        path: YAML or JSON, relative to the working folder

    Raises:
        ValueError: it cannot be read, or is no task.
    """
    sources: dict[Path, None] = {}
    config = _merged(path, sources)
    if "group" in config:  # lm_eval 0.4.13 fails on it: unhashable type: 'list'
        raise ValueError(f"{path.name} is a group: list its tasks")
    name = config.get("task")
    if not isinstance(name, str):
        raise ValueError(f"{path.name} has no key task")
    sources |= dict.fromkeys(_local_data(config))
    return TaskFile(_first_value(name, config), tuple(sources))


def digest(tasks: Sequence[str]) -> str:
    """Return a digest of what affects the values of tasks: their files, or lm_eval's version.

    Raises:
        ValueError: a file cannot be read.
    """
    found = hashlib.blake2b(digest_size=8)
    for task in tasks:
        sources = read(Path(task)).sources if is_file(task) else ()
        for source in sources:
            with source.open("rb") as file:
                found.update(hashlib.file_digest(file, "blake2b").digest())
        if not sources:
            found.update(f"{task} {version('lm_eval')}".encode())
    return found.hexdigest()


def _merged(path: Path, sources: dict[Path, None]) -> dict[str, Any]:
    """Return a file's keys, those of the files that it includes among them.

    Args:
        path: file to read
        sources: gets the file, the included ones, and the modules of functions
    """
    path = path.expanduser().resolve()
    if path in sources:
        raise ValueError(f"{path.name} is included twice")  # an error of lm_eval, too
    sources[path] = None
    try:
        with path.open("rb") as file:
            loader = _Loader(file)
            config = loader.get_single_data()
    except OSError as error:
        raise ValueError(f"{path.name}: {os.strerror(error.errno or 0)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date, say
        raise ValueError(f"{path.name}: {_line(error)}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{path.name} is no mapping")
    for function in loader.functions:
        module = path.parent / f"{function.rpartition('.')[0].replace('.', '/')}.py"
        if module.is_file():
            sources[module] = None
    included = config.pop("include", [])
    merged: dict[str, Any] = {}
    for name in included if isinstance(included, list) else [included]:
        merged |= _merged(path.parent / str(name), sources)
    return merged | config


class _Loader(yaml.SafeLoader):
    """Reads ``!function module.name`` as a string, and collects these strings."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.functions: list[str] = []

    def function(self, node: yaml.ScalarNode) -> str:
        self.functions.append(str(self.construct_scalar(node)))
        return self.functions[-1]


_Loader.add_constructor("!function", _Loader.function)


def _line(error: Exception) -> str:
    """Return the line and the problem of a malformed file."""
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    return f"line {mark.line + 1}: {problem}" if mark else str(error).partition("\n")[0]


def _first_value(name: str, config: Mapping[str, Any]) -> str | None:
    match config:
        case {"metric_list": [{"metric": str(metric)}, *_]}:
            metric = metric.rpartition(".")[2]  # of a function, its name
        case _:
            return None
    match config:
        case {"filter_list": [{"name": str(answers)}, *_]}:
            return value_name(name, metric, answers)
    return value_name(name, metric)


def _local_data(config: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the local files of a task's data, sorted."""
    path = str(config.get("dataset_path"))
    patterns = [config.get("dataset_kwargs"), path if os.sep in path else None]
    for pattern in _strings(patterns):
        for place in sorted(glob(pattern, recursive=True)):
            inside = sorted(Path(place).rglob("*")) if Path(place).is_dir() else [Path(place)]
            yield from filter(Path.is_file, inside)


def _strings(value: Any) -> Iterator[str]:
    """Yield the strings inside lists and mappings."""
    match value:
        case str():
            yield value
        case list():
            for one in value:
                yield from _strings(one)
        case dict():
            yield from _strings([*value.values()])
