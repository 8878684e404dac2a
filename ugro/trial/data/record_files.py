"""Read the records of CSV, JSON and JSONL files with the line or row of each.

``datasets`` reads the other formats. Of these it loses the lines, and gives all records one schema:
it turns the answer 007 of a CSV file into the number 7, and the word NA into null.
"""

import codecs
import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ugro.errors import UserError, fault

# Place and record; an error where the place holds no record.
Row = tuple[str, Mapping[str, Any] | UserError]
Reader = Callable[[Path], Iterator[Row]]


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a UTF-8 file, without byte order mark.

    Only line feeds end a line: JSON strings may contain other characters that Python splits at.

    Raises:
        UserError: the file is not UTF-8.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                yield number, line.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}:{number}: not UTF-8 text ({error})") from error


def json_lines(path: Path) -> Iterator[Row]:
    """Yield a record per line that is not blank, with its line."""
    for number, line in lines(path):
        if line.strip():
            place = f"{path}:{number}"
            yield place, _json_object(line, place)


def json_list(path: Path) -> Iterator[Row]:
    """Yield the records of a list with its row, counted from 0.

    Raises:
        UserError: the file is not JSON, or not a list.
    """
    text = "".join(line for _, line in lines(path))
    allowed = "a list of records; data=jsonl reads a record per line"
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: not JSON ({error}), allowed: {allowed}") from error
    except RecursionError as error:
        raise UserError(f"{path}: not JSON ({error}), allowed: {allowed}") from error
    if not isinstance(records, list):
        raise UserError(fault(str(path), type(records).__name__, allowed))
    escaped = "\\u" in text
    for number, record in enumerate(records):
        place = f"{path}:{number}"
        yield place, _checked(record, place, escaped)


def csv_rows(path: Path) -> Iterator[Row]:
    """Yield a record per row with its first line; all values are text. ``.tsv`` files have tabs.

    Raises:
        UserError: the file has no header, or two columns of a name.
    """
    csv.field_size_limit(sys.maxsize)  # 128 KiB by default, less than some documents
    delimiter = "\t" if path.suffix == ".tsv" else ","
    rows = csv.reader((line for _, line in lines(path)), strict=True, delimiter=delimiter)
    header: list[str] | None = None
    while True:
        place = f"{path}:{rows.line_num + 1}"
        try:
            values = next(rows, None)
        except csv.Error as error:
            yield place, UserError(f"{place}: not a CSV row ({error})")
            continue
        if values is None:
            break
        if header is None:
            header = _header(values, place)
        elif len(values) == len(header):
            yield place, dict(zip(header, values, strict=True))
        elif values:  # blank lines have no values
            given = f"{len(values)} values"
            yield place, UserError(fault(place, given, f"{len(header)}: {', '.join(header)}"))


def _header(names: list[str], place: str) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise UserError(fault(place, twice or "no column", "a header that names each column once"))
    return names


def _json_object(line: str, place: str) -> Any:
    try:
        record = json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        return UserError(f"{place}: not a JSON object ({error})")
    return _checked(record, place, escaped="\\u" in line)


def _checked(record: Any, place: str, escaped: bool) -> Any:
    """Return the record, or an error if it holds a lone surrogate."""
    try:
        if escaped:
            check_characters(record, place)
    except UserError as error:
        return error
    return record


def check_characters(value: Any, place: str) -> None:
    """Refuse lone surrogates, which JSON escapes may encode and tokenizers refuse.

    Raises:
        UserError: a text has one.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{place}: half of a surrogate pair is no character") from error
