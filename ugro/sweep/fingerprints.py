"""Fingerprints of the data that a study's trials were trained and judged on.

The driver may not see the data: they come from the workers, with a trial's first report. The first
ones hold for the whole study.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ugro.errors import UserError
from ugro.report import DATA_PARTS
from ugro.space.incomparable import searched_data
from ugro.wording import listed

TRAIN = next(iter(DATA_PARTS))
Keep = Callable[[str, Mapping[str, str]], Mapping[str, str]]


class DataChangedError(UserError):
    """A trial's data are not those of the study.

    Attributes:
        since_before: whether those of the study were known before this driver began
        group: of the study's trials
    """

    def __init__(self, line: str, since_before: bool, group: int) -> None:
        super().__init__(line)
        self.since_before = since_before
        self.group = group


class Fingerprints:
    """What is known of the study's data.

    Args:
        study: its name
        group: of its trials
        known: fingerprints by part, by what of the data was searched
        keep: writes down what is new; the answer is what holds, as another driver may be faster
    """

    def __init__(
        self,
        study: str = "",
        group: int = 0,
        known: Mapping[str, Mapping[str, str]] | None = None,
        keep: Keep = lambda of, parts: parts,
    ) -> None:
        self._study = study
        self._group = group
        self._before = dict(known or {})
        self._known = dict(known or {})
        self._keep = keep

    def check(self, number: int, parameters: Mapping[str, Any], told: Mapping[str, str]) -> None:
        """Hold a trial's data against the study's.

        Args:
            number: the trial's
            parameters: that it searches
            told: by its worker, more than fingerprints perhaps

        Raises:
            DataChangedError: they differ.
        """
        own = searched_data(parameters)
        # What a trial is judged on is the same whatever it searches, else values do not compare.
        for of, names in ((own, [TRAIN]), (searched_data({}), [*DATA_PARTS][1:])):
            parts = {name: told[name] for name in names if told.get(name)}
            if set(parts) - set(self._known.get(of, {})):
                self._known[of] = self._keep(of, {**parts, **self._known.get(of, {})})
            known = self._known.get(of, {})
            other = [name for name, found in parts.items() if known.get(name, found) != found]
            if other:
                before = self._before.get(of, {})
                since_before = any(name in before for name in other)
                searches = own != of and TRAIN not in other
                raise DataChangedError(
                    self._line(number, other, searches), since_before, self._group
                )

    def _line(self, number: int, other: list[str], searches: bool) -> str:
        what = listed([DATA_PARTS[name] for name in other])
        allowed = (
            "rows that cut no held-out text, or of one length: data.eval_block_size sets it"
            if searches
            else "the same as then, another study.name, or study.allow_change=true, which starts a "
            "new group of trials"
        )
        return (
            f"data: the {what} of trial {number} {'are' if len(other) > 1 else 'is'} not what the "
            f"trials of study {self._study} had, allowed: {allowed}"
        )
