"""The ``ugro`` command: dispatch to its subcommands."""

import importlib
import sys

COMMANDS = {
    "analyze": "write and show the results of a study",
    "compare": "compare several studies",
    "reproduce": "run a trial again and compare its numbers",
    "audit": "print a study's events and check them against its record",
    "backup": "copy a study's record while it may be written",
    "track": "send to the trackers what they have not received",
}


def main() -> None:
    """Run ``ugro COMMAND [KEY=VALUE ...]``."""
    command, *arguments = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print("usage: ugro COMMAND [KEY=VALUE ...]\n")
        for name, summary in COMMANDS.items():
            print(f"  {name:<12}{summary}")
        return
    if command not in COMMANDS:
        sys.exit(f"error: command: {command!r} given, allowed: {', '.join(COMMANDS)}")
    from ugro.cli.study_lookup import run  # imports Optuna

    run(importlib.import_module(f"ugro.cli.{command}").main, arguments)
