"""Recognise the format of a row by its columns, and turn it into a document."""

import json
from collections.abc import Mapping
from typing import Any

from ugro.config import DataConfig, TaskName
from ugro.errors import UserError, fault
from ugro.trial.data.documents import TEXT, Document
from ugro.trial.data.formats import FORMATS, RECORDS, Content, Record


class Recogniser:
    """Turns rows into documents as the configuration says.

    Templates and ``data.columns`` come first; other rows have the first format of the task whose
    columns they have.

    Args:
        config: data configuration
        task: what the documents are for
    """

    def __init__(self, config: DataConfig, task: TaskName = TaskName.language_modeling) -> None:
        self._records = RECORDS[task]
        self._group_by = config.group_by
        self._columns = {name: one for name, one in vars(config.columns).items() if one is not None}
        given = {"prompt": config.prompt, "completion": config.completion}
        # Neither a shell's nor Hydra's quotes turn \n into a line feed.
        self._templates = {
            name: template.replace("\\n", "\n")
            for name, template in given.items()
            if template is not None
        }
        named = {*self._columns, *self._templates} - {"tools"}
        self._formats = [one for one in FORMATS[task] if named <= {*one.columns}]

    def __call__(self, record: Any, place: str) -> Document | None:
        """Return the document of a row; None for blank text.

        Raises:
            UserError: the row has no known format, or a column is missing or malformed.
        """
        if not isinstance(record, Mapping):
            raise UserError(fault(place, type(record).__name__, self._records))
        row = record
        if self._columns or self._templates:
            row = {**record, **self._renamed(record, place), **self._rendered(record, place)}
        found = next((one for one in self._formats if one.fits(row)), None)
        if found is None:
            raise UserError(self._unknown(row, place))
        content = found.content(row, place)
        if found.name == TEXT and not content["text"].strip():
            return None
        return Document(place, content, self._group(record, place), record, found.name)

    def _unknown(self, row: Record, place: str) -> str:
        """Describe a row without a known format: its columns, or those without a value."""
        for one in self._formats:
            if {*one.columns} <= {*row}:
                return fault(f"{place}: {' and '.join(one.columns)}", None, "a value")
        return fault(place, sorted(row), self._records)

    def _renamed(self, record: Record, place: str) -> Content:
        """Return the columns that ``data.columns`` names."""
        for name, column in self._columns.items():
            if column not in record:
                wanted = f"a record with data.columns.{name}={column}"
                raise UserError(fault(place, sorted(record), wanted))
        return {name: record[column] for name, column in self._columns.items()}

    def _rendered(self, record: Record, place: str) -> Content:
        """Return the columns that templates make."""
        columns = _Columns(record, place)
        made = {}
        for name, template in self._templates.items():
            try:
                made[name] = template.format_map(columns)
            except (LookupError, AttributeError, ValueError, TypeError) as error:
                reason = f"{type(error).__name__}: {error}"
                raise UserError(f"{place}: data.{name} does not fit ({reason})") from error
        return made

    def _group(self, record: Record, place: str) -> str | None:
        if self._group_by is None:
            return None
        if self._group_by not in record:
            wanted = f"a record with data.group_by={self._group_by}"
            raise UserError(fault(place, sorted(record), wanted))
        return json.dumps(record[self._group_by], sort_keys=True, default=str)


class _Columns(dict[str, Any]):
    """Columns of a row for a template; a column that is missing or null is an error."""

    def __init__(self, record: Record, place: str) -> None:
        super().__init__({key: value for key, value in record.items() if value is not None})
        self._record = record
        self._place = place

    def __missing__(self, column: str) -> Any:
        if column in self._record:
            raise UserError(fault(f"{self._place}: {column}", None, "a value for the template"))
        wanted = f"a record with the template's column {column}"
        raise UserError(fault(self._place, sorted(self._record), wanted))
