"""Rename the parameters of imported trials."""

from collections.abc import Collection, Mapping
from typing import TypeVar

from ugro.errors import UserError, fault

T = TypeVar("T")


def check_renaming(names: Collection[str], keys: Mapping[str, str]) -> None:
    """Refuse a renaming that names no parameter, or gives two parameters the same name.

    Args:
        names: of the parameters
        keys: new names by name

    Raises:
        UserError: the renaming is wrong.
    """
    for name in keys:
        if name not in names:
            raise UserError(fault("keys", name, f"a parameter: {', '.join(sorted(names))}"))
    source: dict[str, str] = {}
    for name in names:
        new = keys.get(name, name)
        if new in source:
            allowed = f"a key that one parameter has; {source[new]} and {name} would have it"
            raise UserError(fault("keys", new, allowed))
        source[new] = name


def renamed(values: Mapping[str, T], keys: Mapping[str, str]) -> dict[str, T]:
    """Return the values under their new names; a name that is not given stays.

    Args:
        values: by name
        keys: new names by name
    """
    return {keys.get(name, name): value for name, value in values.items()}
