"""Parse the ``key=value`` arguments of a command."""

from collections.abc import Sequence

from ugro.cli.commands import COMMANDS
from ugro.errors import UserError, fault


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
