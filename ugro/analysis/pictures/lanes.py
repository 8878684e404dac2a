"""Which stay was in which slot, and when did nothing run? Rows and time of a timeline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy
import pandas

from ugro.analysis.pictures.ticks import Numbers

PAUSE = 0.03  # of the time in which something ran: a longer gap is a pause, and cut out
OVERLAP = 0.05, 1.0  # of the usual stay, but at most seconds: so late may a stay be told to be over


@dataclass(frozen=True)
class Clock:
    """The time of a study, pauses between drivers left out.

    Attributes:
        began: Unix time
        pauses: from when to when, in order
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
    """The clock of a study.

    Args:
        intervals: in which it was at work; columns ``began`` and ``ended``, Unix time
    """
    busy = _together(intervals)
    ran = sum(end - begin for begin, end in busy)
    gaps = [(left, back) for (_, left), (back, _) in pairwise(busy)]
    pauses = tuple((left, back) for left, back in gaps if back - left > PAUSE * ran)
    return Clock(busy[0][0], pauses)


def _together(intervals: Sequence[pandas.DataFrame]) -> list[tuple[float, float]]:
    """Intervals that overlap taken as one."""
    every = sorted(
        (float(began), float(ended))
        for table in intervals
        for began, ended in zip(table["began"], table["ended"], strict=True)
    )
    merged: list[tuple[float, float]] = []
    for began, ended in every:
        if merged and began <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], ended)
        else:
            merged.append((began, ended))
    return merged


@dataclass
class _Lane:
    host: str
    worker: str
    until: float


@dataclass(frozen=True)
class Lanes:
    """Executor as rows.

    Attributes:
        names: one a row: a machine and a count, or a count alone where there is one machine
        of: the row of each stay
    """

    names: tuple[str, ...]
    of: tuple[int, ...]


def lanes_of(spans: pandas.DataFrame) -> Lanes:
    """Give each stay a row in which nothing else is at that time: its worker's, or its machine's.

    Args:
        spans: a row a stay, with columns ``worker`` (``host:pid``), ``began`` and ``ended``
    """
    usual = float((spans["ended"] - spans["began"]).median()) if len(spans) else 0.0
    late = min(OVERLAP[0] * usual, OVERLAP[1])
    lanes: list[_Lane] = []
    rows = numpy.zeros(len(spans), dtype=int)
    order = numpy.argsort(spans["began"].to_numpy(), kind="stable")
    for at in order:
        worker = str(spans["worker"].iloc[at])
        host = worker.rpartition(":")[0]
        began, ended = float(spans["began"].iloc[at]), float(spans["ended"].iloc[at])
        free = [lane for lane in lanes if lane.host == host and lane.until <= began + late]
        own = [lane for lane in free if lane.worker == worker]
        lane = next(iter(own or free), None)
        if lane is None:
            lane = _Lane(host, worker, ended)
            lanes.append(lane)
        lane.worker, lane.until = worker, ended
        rows[at] = next(row for row, one in enumerate(lanes) if one is lane)
    by_host = sorted(range(len(lanes)), key=lambda row: lanes[row].host)
    place = {row: at for at, row in enumerate(by_host)}
    names = tuple(_names([lanes[row].host for row in by_host]))
    return Lanes(names, tuple(place[int(row)] for row in rows))


def _names(hosts: Sequence[str]) -> Iterator[str]:
    several = len(set(hosts)) > 1
    for at, host in enumerate(hosts):
        count = hosts[: at + 1].count(host)
        yield f"{host or 'slot'} {count}" if several else f"slot {count}"
