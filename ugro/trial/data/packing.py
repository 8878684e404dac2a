"""Lay out examples in rows: one example per row, packed, or in overlapping windows."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Rows of pieces; a piece is a contiguous slice of an example.

    Attributes:
        rows: index of each row's first piece, followed by the number of pieces, [rows + 1]
        examples: example index of each piece, [pieces]
        starts: first token of each piece in its example, [pieces]
        ends: end of each piece in its example, exclusive, [pieces]
    """

    rows: Numbers
    examples: Numbers
    starts: Numbers
    ends: Numbers

    def __len__(self) -> int:
        return len(self.rows) - 1

    @property
    def lengths(self) -> Numbers:
        """Tokens of each row, [rows]."""
        return (
            np.add.reduceat(self.ends - self.starts, self.rows[:-1]) if len(self) else self.rows[1:]
        )

    def pieces(self, row: int) -> slice:
        """Return the slice of a row's pieces."""
        return slice(int(self.rows[row]), int(self.rows[row + 1]))

    def select(self, rows: Numbers) -> Self:
        """Select rows in the given order."""
        sizes = self.rows[rows + 1] - self.rows[rows]
        first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        chosen = np.arange(first[-1]) + np.repeat(self.rows[rows] - first[:-1], sizes)
        return type(self)(first, self.examples[chosen], self.starts[chosen], self.ends[chosen])

    def then(self, other: Self) -> Self:
        """Append the rows of another layout."""
        return type(self)(
            np.concatenate([self.rows, len(self.examples) + other.rows[1:]]),
            np.concatenate([self.examples, other.examples]),
            np.concatenate([self.starts, other.starts]),
            np.concatenate([self.ends, other.ends]),
        )


def unpacked(lengths: Numbers, examples: Numbers, size: int) -> Layout:
    """Give each example a row of its own, truncated to ``size`` tokens."""
    ends = np.minimum(lengths[examples], size)
    return Layout(np.arange(len(examples) + 1), examples, np.zeros_like(examples), ends)


def bfd(lengths: Numbers, examples: Numbers, size: int) -> Layout:
    """Pack examples into few rows by best-fit decreasing.

    Examples are placed from longest to shortest, each into the fullest row with enough space, and
    truncated to ``size`` tokens. https://arxiv.org/abs/2404.10830
    """
    rows: list[list[int]] = []
    open_rows: dict[int, deque[int]] = {}  # rows by remaining space
    free_spaces: list[int] = []  # remaining spaces that occur, ascending
    order = examples[np.argsort(-lengths[examples], kind="stable")]
    cut = np.minimum(lengths[order], size)
    for example, length in zip(order.tolist(), cut.tolist(), strict=True):
        at = bisect_left(free_spaces, length)
        if at == len(free_spaces):
            rows.append([])
            row, room = len(rows) - 1, size
        else:
            room = free_spaces[at]
            row = open_rows[room].popleft()
            if not open_rows[room]:
                del open_rows[room], free_spaces[at]
        rows[row].append(example)
        if left := room - length:
            if left not in open_rows:
                open_rows[left] = deque()
                insort(free_spaces, left)
            open_rows[left].append(row)
    return _rows(rows, lengths, size)


def wrapped(lengths: Numbers, examples: Numbers, size: int) -> Layout:
    """Fill rows with consecutive examples, split at the end of each row."""
    sizes = lengths[examples]
    first = np.concatenate([[0], np.cumsum(sizes)])  # offset of each example in the token stream
    total = int(first[-1])
    borders = np.unique(np.concatenate([first[:-1], np.arange(0, total, size)]))
    starts, ends = borders, np.append(borders, total)[1:]
    whose = np.searchsorted(first, starts, side="right") - 1
    rows = np.searchsorted(starts, np.arange(0, total, size))
    return Layout(
        np.append(rows, len(starts)).astype(np.int64),
        examples[whose],
        starts - first[whose],
        ends - first[whose],
    )


def windows(lengths: Numbers, examples: Numbers, size: int) -> Layout:
    """Cut examples into windows that overlap by a token, so that each token is predicted once."""
    pieces = [
        (example, start, min(start + size, length))
        for example, length in zip(examples.tolist(), lengths[examples].tolist(), strict=True)
        for start in range(0, max(length - 1, 1), size - 1)
    ]
    columns = np.array(pieces, dtype=np.int64).reshape(-1, 3).T
    return Layout(np.arange(len(pieces) + 1), columns[0], columns[1], columns[2])


def _rows(rows: Sequence[Sequence[int]], lengths: Numbers, size: int) -> Layout:
    """Build the layout of rows with these examples, each from its first token."""
    chosen = np.array([one for row in rows for one in row], dtype=np.int64)
    first = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return Layout(first, chosen, np.zeros_like(chosen), np.minimum(lengths[chosen], size))
