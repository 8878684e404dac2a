"""The ``ugro`` command: dispatch to its subcommands."""

import importlib
import sys
from collections.abc import Sequence

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
    if any(argument in HELP for argument in given):
        print(usage_of(name))
        if COMMANDS[name].hydra is None:
            return
        print()
    from ugro.cli.arguments import run  # takes most of a second, as it imports Hydra

    hydra = COMMANDS[name].hydra
    if hydra is None:
        run(importlib.import_module(f"ugro.cli.{name}").main, given)
    else:
        from ugro.cli.train import main as train

        train([*hydra, *given])
