"""The ``ugro`` command: dispatch to its subcommands."""

import importlib
import sys
from collections.abc import Callable, Sequence

from ugro.cli.commands import COMMANDS, usage, usage_of

HELP = ("-h", "--help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``ugro COMMAND [KEY=VALUE ...]``.

    Args:
        arguments: by default those of this process
    """
    name, *given = (sys.argv[1:] if arguments is None else list(arguments)) or HELP[:1]
    if name in HELP:
        print(usage())
        return
    if name not in COMMANDS:
        sys.exit(f"error: command: {name!r} given, allowed: {', '.join(COMMANDS)}")
    hydra = COMMANDS[name].hydra
    own = COMMANDS[name].module or name.replace("-", "_")
    if any(argument in HELP for argument in given):
        print(usage_of(name))
        if hydra is None:
            return
        hydra = ()  # Hydra's own help follows; it takes no other mode beside it
    module = own if hydra is None else "train"
    run(importlib.import_module(f"ugro.cli.{module}").main, [*(hydra or ()), *given])


def run(command: Callable[[list[str]], object], arguments: Sequence[str]) -> None:
    """Run a command; exit with one line on a user's mistake.

    Args:
        command: its ``main``
        arguments: what follows the command's name
    """
    try:
        command(list(arguments))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from ugro.errors import UserError  # takes most of a second, as it imports Hydra

        if isinstance(error, UserError):
            sys.exit(f"error: {error}")
        raise
