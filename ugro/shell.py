"""Commands and overrides to paste into a shell, from the folder where they are printed."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from functools import lru_cache

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException


def override(key: str, value: object) -> str:
    """Write one override as the command line takes it.

    Args:
        key: to be set
        value: a text is one of Hydra's grammar, ``[q_proj,v_proj]``; what is none is quoted
    """
    if isinstance(value, str):
        return f"{key}={value if _is_value(value) else _quoted(value)}"
    return f"{key}={literal(value)}"


def literal(value: object) -> str:
    """Write a value so that Hydra reads it back, of the same type: ``"8"`` is a text."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return value if _is_bare(value) else _quoted(value)
        case Mapping():
            return "{" + ",".join(f"{key}:{literal(one)}" for key, one in value.items()) + "}"
        case list() | tuple():
            return f"[{','.join(map(literal, value))}]"
    return str(value)


def is_sweep(given: str) -> bool:
    """Whether an override sweeps over several values: ``lora.r=4,8``."""
    try:
        return bool(OverridesParser.create().parse_override(given).is_sweep_override())
    except HydraException:
        return False


def python() -> str:
    """Say how this interpreter is called: ``python`` where that is this one, else its path."""
    found = shutil.which("python")
    if found is not None and os.path.abspath(found) == os.path.abspath(sys.executable):
        return "python"
    below = os.path.relpath(sys.executable)
    return sys.executable if below.startswith(os.pardir) else below


def this_command(name: str) -> str:
    """Give the command of this process, with the name of the study that it has begun."""
    is_named = any(one.startswith("study.name=") for one in sys.argv)
    named = [] if is_named else [f"study.name={literal(name)}"]
    return shlex.join([python(), *sys.argv, *named])


def best_command(folder: object, interpreter: str = "python") -> str:
    """Give the command that trains the best of the study in a folder by itself."""
    config_dir = ["--config-dir", str(folder)]
    return shlex.join([interpreter, "train.py", *config_dir, "experiment=best"])


@lru_cache(maxsize=1024)
def _is_value(text: str) -> bool:
    try:
        return not OverridesParser.create().parse_override(f"key={text}").is_sweep_override()
    except HydraException:
        return False


@lru_cache(maxsize=1024)
def _is_bare(text: str) -> bool:
    """Whether a text needs no quotes, in a list neither."""
    try:
        read = OverridesParser.create().parse_override(f"key=[{text}]").value()
    except HydraException:
        return False
    return bool(read == [text])


def _quoted(text: str) -> str:
    return str(QuotedString(text, Quote.double).with_quotes())
