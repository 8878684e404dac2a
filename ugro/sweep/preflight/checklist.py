"""Console output of the preflight: one line per check, printed as soon as its result is known."""

from collections.abc import Callable

from rich.console import Console

from ugro.errors import UserError


class Checklist:
    """List of checks with their results.

    Args:
        console: where results are printed

    Attributes:
        failed: names of the failed checks
        checked: number of checks
    """

    def __init__(self, console: Console) -> None:
        self.failed: list[str] = []
        self.checked = 0
        self._console = console

    def check(self, name: str, run: Callable[[], str]) -> bool:
        """Run a check, print its description or error, and return whether it passed."""
        self.checked += 1
        try:
            text = f"ok      {run()}"
        except UserError as error:
            self.failed.append(name)
            text = f"WRONG   {error}"
        self._print(name, text)
        return name not in self.failed

    def skip(self, name: str, reason: str) -> None:
        """Print that a check was skipped."""
        self._print(name, f"unknown {reason}")

    def _print(self, name: str, text: str) -> None:
        for index, line in enumerate(text.splitlines()):
            row = f"{name if index == 0 else '':<10}{line if index == 0 else f'        {line}'}"
            self._console.print(row, soft_wrap=True, highlight=False, markup=False)
