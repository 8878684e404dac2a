"""Select records by a condition on their columns."""

import re
from collections.abc import Mapping
from typing import Any

from ugro.config import DataConfig, Source
from ugro.errors import UserError, fault
from ugro.objectives.expressions import parse

NUMBER = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?")  # no nan, inf or 1_000


class RecordFilter:
    """The condition of ``data.filter``; without it, every record meets it.

    Args:
        config: data configuration

    Raises:
        UserError: the condition does not parse.
    """

    def __init__(self, config: DataConfig) -> None:
        self._condition = None
        self._is_text = config.source is Source.csv
        if config.filter is not None:
            try:
                self._condition = parse(config.filter)
            except UserError as error:
                raise UserError(f"data.filter: {error}") from error

    def __call__(self, record: Any, place: str) -> bool:
        """Return whether a record meets the condition.

        Raises:
            UserError: a column is missing, or its value has another type than the condition needs.
        """
        if self._condition is None or not isinstance(record, Mapping):
            return True  # what is no record is refused where formats are recognised
        if missing := sorted(self._condition.names - record.keys()):
            allowed = f"a record with {missing[0]}, for data.filter"
            raise UserError(fault(place, sorted(record), allowed))
        try:
            return self._condition.holds(lambda name: self._value(record[name]))
        except UserError as error:
            raise UserError(f"{place}: data.filter: {error}") from error

    def _value(self, value: Any) -> Any:
        """Return a column's value; a number for text of a CSV file that is one."""
        if self._is_text and isinstance(value, str) and NUMBER.fullmatch(value):
            return float(value)
        return value
