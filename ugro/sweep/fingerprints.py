"""Fingerprints of the data that a study's trials are trained and evaluated on.

Fingerprints arrive with a trial's first report, as the driver may have no access to the data. The
first ones apply to all trials of the study.
"""

from collections.abc import Callable, Mapping
from typing import Any

from ugro.errors import UserError
from ugro.events.trial_report import DATA_PARTS
from ugro.formatting import listed
from ugro.space.comparability import DATA_GROUPS, TRAIN, data_by_search

Keep = Callable[[str, Mapping[str, str]], Mapping[str, str]]


class DataChangedError(UserError):
    """The data of a trial differ from the study's.

    Attributes:
        from_earlier_run: whether the study's fingerprints are older than this driver
        group: the study's group of trials
    """

    def __init__(self, line: str, from_earlier_run: bool, group: int) -> None:
        super().__init__(line)
        self.from_earlier_run = from_earlier_run
        self.group = group


class Fingerprints:
    """Fingerprints of a study's data.

    Args:
        study: name of the study
        group: the study's group of trials
        recorded: fingerprints by part of the data, by searched parameters of the data
        keep: records new fingerprints and returns the valid ones, which may be another driver's
    """

    def __init__(
        self,
        study: str = "",
        group: int = 0,
        recorded: Mapping[str, Mapping[str, str]] | None = None,
        keep: Keep = lambda searched, parts: parts,
    ) -> None:
        self._study = study
        self._group = group
        self._before = dict(recorded or {})
        self._recorded = dict(recorded or {})
        self._keep = keep

    def check(
        self, number: int, parameters: Mapping[str, Any], provenance: Mapping[str, str]
    ) -> None:
        """Compare a trial's data with the study's.

        Args:
            number: number of the trial
            parameters: parameters of the trial
            provenance: provenance from its worker, fingerprints included

        Raises:
            DataChangedError: the fingerprints differ.
        """
        differing: list[str] = []
        from_earlier_run = False
        for searched, parts in data_by_search(parameters, provenance):
            recorded = self._recorded.get(searched, {})
            if set(parts) - set(recorded):
                recorded = self._recorded[searched] = self._keep(searched, {**parts, **recorded})
            changed = [name for name, found in parts.items() if recorded.get(name, found) != found]
            from_earlier_run |= any(name in self._before.get(searched, {}) for name in changed)
            differing += changed
        if differing:
            line = self._line(number, differing, searches=_searches_data(parameters))
            raise DataChangedError(line, from_earlier_run, self._group)

    def _line(self, number: int, differing: list[str], searches: bool) -> str:
        what = listed([DATA_PARTS[name] for name in differing])
        allowed = (
            "rows that do not cut held-out text, or of one length: data.eval_block_size sets it"
            if searches and TRAIN not in differing
            else "the same data as before, another study.name, or study.allow_change=true, which "
            "starts a new group of trials"
        )
        verb = "are" if len(differing) > 1 else "is"
        return (
            f"data: the {what} of trial {number} {verb} not what the "
            f"trials of study {self._study} had, allowed: {allowed}"
        )


def _searches_data(parameters: Mapping[str, Any]) -> bool:
    return any(key.partition(".")[0] in DATA_GROUPS for key in parameters)
