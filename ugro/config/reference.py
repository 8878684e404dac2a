"""Reference of every key: type, unit, default and use, read from the schema and ``conf/``."""

import ast
import dataclasses
import inspect
import re
import textwrap
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import MISSING, OmegaConf

from ugro.config import SCHEDULERS, Config, LmEvalConfig, MetricConfig

UNIT = re.compile(r"\s*\[([^\]]+)\]$")  # at the end of a key's docstring
ADAPTER = "adapter"  # the group whose options set the keys of other sections
MANY, LONG = 3, 60  # a default lists so many values of a group's options, so long at most
UNTYPED: dict[str, list[type]] = {
    "scheduler": [*SCHEDULERS.values()],
    "metrics": [MetricConfig, LmEvalConfig],
}  # sections by key
CONFIGURATION = ("config", "settings")  # what code calls a section whose class it imports


@dataclass(frozen=True)
class Key:
    """A key of the schema.

    Attributes:
        name: dotted, as on the command line
        type: its type, or the allowed values
        unit: its unit, or an empty string
        description: the docstring of its field
        owner: name of the dataclass that has the field
        fallback: default of the field, as Markdown, for options that do not set the key
    """

    name: str
    type: str
    unit: str
    description: str
    owner: str
    fallback: str


def keys(schema: type = Config, prefix: str = "") -> Iterator[Key]:
    """Yield the keys of a schema in the order of their fields, those of its sections included.

    Args:
        schema: a dataclass whose fields have docstrings
        prefix: of the keys, with a trailing dot
    """
    described, kinds = descriptions(schema), typing.get_type_hints(schema)
    for field in dataclasses.fields(schema):
        kind, name = kinds[field.name], f"{prefix}{field.name}"
        sections = list(_sections(kind)) or UNTYPED.get(name, [])
        if not sections or typing.get_origin(kind) is dict:
            text = described.get(field.name, "")
            unit = UNIT.search(text)
            yield Key(
                name,
                _type(kind),
                unit[1] if unit else "",
                UNIT.sub("", text),
                schema.__name__,
                _fallback(field),
            )
        below = f"{name}.NAME." if typing.get_origin(kind) is dict else f"{name}."
        found = {(key.name, key.description): key for one in sections for key in keys(one, below)}
        yield from found.values()


@cache
def descriptions(schema: type) -> Mapping[str, str]:
    """Read the docstrings of a dataclass's fields, inherited fields included."""
    found: dict[str, str] = {}
    for one in reversed([one for one in schema.__mro__ if dataclasses.is_dataclass(one)]):
        [node] = ast.parse(textwrap.dedent(inspect.getsource(one))).body
        assert isinstance(node, ast.ClassDef)
        for statement, behind in zip(node.body, node.body[1:], strict=False):
            match statement, behind:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    found[name] = " ".join(text.split())
    return found


def default(key: Key, conf: Path) -> str:
    """Write a key's default as Markdown, with the options of its group where they differ.

    Args:
        key: of the schema
        conf: the folder of the configuration
    """
    group, _, rest = key.name.partition(".")
    top: Any = OmegaConf.to_container(OmegaConf.load(conf / "config.yaml"), resolve=False)
    chosen = next((str(one[group]) for one in top["defaults"] if group in one), group)
    if not rest:
        return _code(top.get(group, chosen if group == ADAPTER else {}))
    if (conf / group).is_dir():
        found = _options(conf / group)
    elif group in (of_adapters := _options(conf / ADAPTER)):  # keys of an adapter, in its option
        found = {group: of_adapters[group][group]}
    else:  # a section without options
        return key.fallback
    options = sorted(found.items(), key=lambda one: (one[0] != chosen, one[0]))
    values: dict[str, list[str]] = {}
    for option, node in options:
        for part in rest.split("."):
            node = node.get(part, MISSING) if isinstance(node, dict) else MISSING
        if node != MISSING:
            values.setdefault(_code(node), []).append(option)
    if set(values) <= {key.fallback}:
        return key.fallback or "required"
    if len(values) > MANY or any(len(value) > LONG for value in values):
        return "set by the option"
    if len(values) == 1 and chosen in next(iter(values.values())):
        return next(iter(values))
    shown = ", ".join(f"{value} ({', '.join(names)})" for value, names in values.items())
    is_complete = sum(map(len, values.values())) == len(options)
    return shown if is_complete or not key.fallback else f"{shown}, else {key.fallback}"


def uses(key: Key, package: Path) -> list[str]:
    """Find the modules that read a key, by accesses to its name on its section.

    A key that is read together with its section, or by a name put together, is attributed to the
    modules that import its dataclass, else to those that read the section.

    Args:
        key: of the schema
        package: the folder of the package
    """
    section, _, name = key.name.rpartition(".")
    parent, _, of = section.rpartition(".")
    modules = _modules(package)
    named = [
        path
        for path, (accesses, imported) in modules.items()
        if (of, name) in accesses
        or (key.owner in imported and any((one, name) in accesses for one in CONFIGURATION))
    ]
    importing = [path for path, (_, imported) in modules.items() if key.owner in imported]
    above = (parent.rpartition(".")[2], *CONFIGURATION)
    reading = [path for path, (one, _) in modules.items() if {(name, of) for name in above} & one]
    return named or importing or reading


@cache
def _modules(package: Path) -> dict[str, tuple[set[tuple[str, str]], set[str]]]:
    """Collect attribute accesses, as pairs of names, and imported names of modules.

    Only modules that handle configurations count; the schema and its validation do not.
    """
    found = {}
    for path in sorted({*package.rglob("*.py")} - {*(package / "config").rglob("*.py")}):
        accesses: set[tuple[str, str]] = set()
        imported: set[str] = set()
        sources: set[str | None] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id=of) | ast.Attribute(attr=of), attr=name):
                    accesses.add((of.lstrip("_"), name))
                case ast.ImportFrom(module=source, names=names):
                    sources.add(source)
                    imported |= {one.name for one in names}
        if sources & {"ugro.config", "omegaconf"}:
            found[str(path.relative_to(package.parent))] = (accesses, imported)
    return found


def _options(folder: Path) -> dict[str, Any]:
    return {
        path.stem: OmegaConf.to_container(OmegaConf.load(path), resolve=False)
        for path in sorted(folder.glob("*.yaml"))
    }


def _fallback(field: "dataclasses.Field[Any]") -> str:
    if field.default_factory is not dataclasses.MISSING:
        return _code(field.default_factory())
    missing = field.default in (dataclasses.MISSING, MISSING)
    return "" if missing else _code(field.default)


def _sections(kind: Any) -> Iterator[type]:
    """Yield the dataclasses of a type: itself, a member of a union, the values of a mapping."""
    for one in (kind, *typing.get_args(kind)):
        if isinstance(one, type) and dataclasses.is_dataclass(one):
            yield one


def _type(kind: Any) -> str:
    members = typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{one.name}`" for one in kind)
    if kind is type(None):
        return "null"
    if kind is Any:
        return "any"
    if typing.get_origin(kind) is list:
        return f"list of {_type(members[0])}"
    if typing.get_origin(kind) is dict:
        return "mapping"
    if members:
        return " or ".join(map(_type, members))
    return str(kind.__name__)


def _code(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"`{str(value).lower()}`"
        case Enum():
            return f"`{value.name}`"
        case list():
            return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"
