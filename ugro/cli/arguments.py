"""Parse the ``key=value`` arguments of a command."""

import re
from collections.abc import Mapping, Sequence

from ugro.cli.commands import COMMANDS
from ugro.errors import UserError, fault

WORD = re.compile(r"[a-z_]+(\.[a-z_]+)*")  # what a key looks like


def parse(command: str, arguments: Sequence[str]) -> dict[str, str]:
    """Parse the arguments of a command.

    Args:
        command: its name in ``COMMANDS``
        arguments: ``key=value`` each; the last one of a key counts

    Returns:
        values by key; a key without a value is absent

    Raises:
        UserError: an argument is not one of the command's keys.
    """
    keys = COMMANDS[command].keys
    given: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or not any(key.accepts(name) for key in keys):
            allowed = ", ".join(sorted(key.name for key in keys))
            raise UserError(fault("argument", argument, allowed))
        given[name] = value
    return {name: value for name, value in given.items() if value}


def words_of(arguments: Sequence[str]) -> list[str]:
    """Return the arguments that do not look like ``key=value``: ``2 + 2 = ?`` is a word."""
    return [one for one in arguments if not _is_assignment(one)]


def _is_assignment(argument: str) -> bool:
    name, equals, _ = argument.partition("=")
    return bool(equals) and WORD.fullmatch(name) is not None


def choice_of(command: str, name: str, given: Mapping[str, str], default: str) -> str:
    """Return a key's value.

    Args:
        command: its name in ``COMMANDS``
        name: a key with choices
        given: values by key
        default: value of a key that is not given

    Raises:
        UserError: the value is not one of the key's choices.
    """
    value = given.get(name, default)
    choices = next(key.choices for key in COMMANDS[command].keys if key.name == name)
    if value not in choices:
        raise UserError(fault(name, value, ", ".join(choices)))
    return value
