"""Format commands and overrides for pasting into a shell, in the folder where they are printed."""

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from ugro.paths import is_checkout


def override(key: str, value: object) -> str:
    """Write an override as the command line takes it.

    Args:
        key: the key to set
        value: text in Hydra's grammar stays as it is, ``[q_proj,v_proj]``; other text is quoted
    """
    if isinstance(value, str):
        return f"{key}={value if _is_value(value) else _quoted(value)}"
    return f"{key}={literal(value)}"


def literal(value: object) -> str:
    """Write a value so that Hydra reads it back with its type: ``"8"`` stays text."""
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
    """Report whether an override sweeps over several values: ``lora.r=4,8``."""
    try:
        return bool(OverridesParser.create().parse_override(given).is_sweep_override())
    except HydraException:
        return False


def python() -> str:
    """Return ``python`` if that runs this interpreter, else the interpreter's path."""
    return _called("python", Path(sys.executable))


def train_command(sweep: bool = False, exact: bool = False) -> list[str]:
    """Return the words that start a training: ``python train.py``, or ``ugro train``.

    The entry is that of this process; ``ugro`` in an installation without ``train.py``.

    Args:
        sweep: whether to sweep
        exact: call this very interpreter, by its path if need be
    """
    if not _is_ugro():
        return [python() if exact else "python", "train.py", *(["-m"] if sweep else [])]
    return [*(_ugro() if exact else ["ugro"]), "sweep" if sweep else "train"]


def command(name: str) -> str:
    """Return how to run a command: ``make analyze`` in a checkout, else ``ugro analyze``."""
    return f"ugro {name}" if _is_ugro() else f"make {name}"


def this_command(name: str) -> str:
    """Return the command of this process, a sweep, with the name of its study."""
    is_named = any(one.startswith("study.name=") for one in sys.argv)
    named = [] if is_named else [f"study.name={literal(name)}"]
    if not _is_ugro():
        return shlex.join([python(), *sys.argv, *named])
    given = [one for one in sys.argv[1:] if one not in ("-m", "--multirun")]
    return shlex.join([*train_command(sweep=True, exact=True), *given, *named])


def best_command(folder: object, exact: bool = False) -> str:
    """Return the command that trains the best configuration of a study by itself.

    Args:
        folder: the study's
        exact: call this very interpreter, by its path if need be
    """
    config_dir = ["--config-dir", str(folder)]
    return shlex.join([*train_command(exact=exact), *config_dir, "experiment=best"])


def _is_ugro() -> bool:
    """Report whether this process was started as ``ugro``, or is installed without train.py."""
    started = Path(sys.argv[0])
    if started.name == "train.py":
        return False
    is_ugro = started.stem == "ugro" or started.parts[-2:] == ("ugro", "__main__.py")
    return is_ugro or not is_checkout()


def _ugro() -> list[str]:
    script = Path(sys.executable).with_name("ugro")
    return [_called("ugro", script)] if script.exists() else [python(), "-m", "ugro"]


def _called(name: str, program: Path) -> str:
    """Return a program's name if the shell finds this very one by it, else its path."""
    found = shutil.which(name)
    if found is not None and os.path.abspath(found) == os.path.abspath(program):
        return name
    below = os.path.relpath(program)
    return str(program) if below.startswith(os.pardir) else below


@lru_cache(maxsize=1024)
def _is_value(text: str) -> bool:
    try:
        return not OverridesParser.create().parse_override(f"key={text}").is_sweep_override()
    except HydraException:
        return False


@lru_cache(maxsize=1024)
def _is_bare(text: str) -> bool:
    """Report whether text needs no quotes, in a list neither."""
    try:
        read = OverridesParser.create().parse_override(f"key=[{text}]").value()
    except HydraException:
        return False
    return bool(read == [text])


def _quoted(text: str) -> str:
    return str(QuotedString(text, Quote.double).with_quotes())
