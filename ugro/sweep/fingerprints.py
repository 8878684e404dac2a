"""Fingerprints of the data that a study's trials were trained and judged on.

The driver may not see the data: they come from the workers, with a trial's first report. The first
ones hold for the whole study.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ugro.errors import UserError
from ugro.events.trial_report import DATA_PARTS
from ugro.formatting import listed
from ugro.space.comparability import OF_THE_DATA, TRAIN, data_by_search

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
        other: list[str] = []
        since_before = False
        for of, parts in data_by_search(parameters, told):
            if set(parts) - set(self._known.get(of, {})):
                self._known[of] = self._keep(of, {**parts, **self._known.get(of, {})})
            known = self._known.get(of, {})
            changed = [name for name, found in parts.items() if known.get(name, found) != found]
            since_before |= any(name in self._before.get(of, {}) for name in changed)
            other += changed
        if other:
            line = self._line(number, other, searches=_searches_data(parameters))
            raise DataChangedError(line, since_before, self._group)

    def _line(self, number: int, other: list[str], searches: bool) -> str:
        what = listed([DATA_PARTS[name] for name in other])
        allowed = (
            "rows that cut no held-out text, or of one length: data.eval_block_size sets it"
            if searches and TRAIN not in other
            else "the same as then, another study.name, or study.allow_change=true, which starts a "
            "new group of trials"
        )
        return (
            f"data: the {what} of trial {number} {'are' if len(other) > 1 else 'is'} not what the "
            f"trials of study {self._study} had, allowed: {allowed}"
        )


def _searches_data(parameters: Mapping[str, Any]) -> bool:
    return any(key.partition(".")[0] in OF_THE_DATA for key in parameters)
