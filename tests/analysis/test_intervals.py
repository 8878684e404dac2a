import pandas

from ugro.analysis.intervals import merged


def intervals(*rows: tuple[float, float]) -> pandas.DataFrame:
    return pandas.DataFrame(rows, columns=["began", "ended"])


def test_intervals_that_overlap_or_touch_are_merged_in_order() -> None:
    assert merged(intervals((5, 9), (0, 2), (1, 3), (3, 4), (6, 7))) == [(0, 4), (5, 9)]


def test_several_tables_are_merged_together() -> None:
    assert merged(intervals((0, 2)), intervals((1, 5))) == [(0, 5)]
    assert merged(intervals()) == []
