"""Commands with which a study goes on, or a better one begins: the one that began it, changed."""

import shlex
from collections.abc import Iterable, Sequence

from ugro.analysis.tables import Tables
from ugro.shell import is_sweep, literal

TRAIN = ("python", "train.py", "-m")


def goes_on(tables: Tables, *changes: str) -> str:
    """The same study again; empty where nobody knows how it was begun."""
    return _command(tables.overrides, [f"study.name={literal(tables.name)}", *changes])


def begins(tables: Tables, *changes: str) -> str:
    """A new study that runs this one's best first; empty where nobody knows how this was begun."""
    given = {_key(one): one for one in tables.overrides}
    folder = given.get("study.dir", "").partition("=")[2] or literal(tables.name)
    first = [f"study.warm_start=[{folder}]"]
    if "$" in folder or "hydra.sweeper.storage" in given:
        first = []  # warm starts are read from a folder's database
    kept = [one for key, one in given.items() if key != "study.dir"]
    return _command(kept, [f"study.name={literal(_next(tables.name))}", *first, *changes])


def alone(tables: Tables, overrides: Sequence[str]) -> str:
    """One trial by itself, to see what it says; empty where nobody knows how it was begun."""
    if not tables.overrides:
        return ""
    kept = [one for one in tables.overrides if not _key(one).startswith(("study.", "hydra"))]
    own = {_key(one) for one in overrides}
    kept = [one for one in kept if _key(one) in own or not is_sweep(one)]  # not searched in it
    return shlex.join(["python", "train.py", *_last((*kept, *overrides))])


def _command(given: Sequence[str], changes: Sequence[str]) -> str:
    return shlex.join([*TRAIN, *_last((*given, *changes))]) if given else ""


def _last(overrides: Iterable[str]) -> list[str]:
    """Of overrides of one key the last, at the place of the first."""
    return list({_key(one): one for one in overrides}.values())


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+")


def _next(name: str) -> str:
    """``mine`` is followed by ``mine_2``, that by ``mine_3``."""
    stem, _, count = name.rpartition("_")
    return (
        f"{stem}_{int(count) + 1}" if stem and count.isdigit() and len(count) < 3 else f"{name}_2"
    )
