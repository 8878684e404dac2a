"""The rows and the clock of a timeline: one row per slot, pauses between drivers cut out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy
import pandas

from ugro.analysis.figures.drawing.ticks import Numbers
from ugro.analysis.intervals import merged

PAUSE = 0.03  # of the time in which something ran: longer gaps are cut out
OVERLAP = 0.05, 1.0  # of the median stay, at most seconds: tolerance for late end times


@dataclass(frozen=True)
class Clock:
    """The time of a study without the pauses between drivers.

    Attributes:
        began: Unix time
        pauses: begin and end of each, in order
    """

    began: float
    pauses: tuple[tuple[float, float], ...]

    def at(self, times: Numbers) -> Numbers:
        """Seconds since the study began."""
        since: Numbers = times - self.began
        for left, back in self.pauses:
            since = since - (numpy.clip(times, left, back) - left)
        return since


def clock_of(*intervals: pandas.DataFrame) -> Clock:
    """Build the clock of a study.

    Args:
        intervals: in which it was running; columns ``began`` and ``ended``, Unix time
    """
    busy = merged(*intervals)
    ran = sum(end - begin for begin, end in busy)
    gaps = [(left, back) for (_, left), (back, _) in pairwise(busy)]
    pauses = tuple((left, back) for left, back in gaps if back - left > PAUSE * ran)
    return Clock(busy[0][0], pauses)


@dataclass
class _Row:
    host: str
    worker: str
    until: float


@dataclass(frozen=True)
class Rows:
    """The rows of a timeline.

    Attributes:
        names: one per row: a host and a count, or ``slot`` and a count where there is one host
        of: the row of each stay
    """

    names: tuple[str, ...]
    of: tuple[int, ...]


def rows_of(spans: pandas.DataFrame) -> Rows:
    """Assign each stay a row that is free at that time: its worker's, or another of its host.

    Args:
        spans: one row per stay, with columns ``worker`` (``host:pid``), ``began`` and ``ended``
    """
    usual = float((spans["ended"] - spans["began"]).median()) if len(spans) else 0.0
    late = min(OVERLAP[0] * usual, OVERLAP[1])
    rows: list[_Row] = []
    assigned = numpy.zeros(len(spans), dtype=int)
    order = numpy.argsort(spans["began"].to_numpy(), kind="stable")
    for at in order:
        worker = str(spans["worker"].iloc[at])
        host = worker.rpartition(":")[0]
        began, ended = float(spans["began"].iloc[at]), float(spans["ended"].iloc[at])
        free = [row for row in rows if row.host == host and row.until <= began + late]
        own = [row for row in free if row.worker == worker]
        row = next(iter(own or free), None)
        if row is None:
            row = _Row(host, worker, ended)
            rows.append(row)
        row.worker, row.until = worker, ended
        assigned[at] = next(index for index, one in enumerate(rows) if one is row)
    by_host = sorted(range(len(rows)), key=lambda index: rows[index].host)
    place = {index: at for at, index in enumerate(by_host)}
    names = tuple(_names([rows[index].host for index in by_host]))
    return Rows(names, tuple(place[int(index)] for index in assigned))


def _names(hosts: Sequence[str]) -> Iterator[str]:
    several = len(set(hosts)) > 1
    for at, host in enumerate(hosts):
        count = hosts[: at + 1].count(host)
        yield f"{host or 'slot'} {count}" if several else f"slot {count}"
