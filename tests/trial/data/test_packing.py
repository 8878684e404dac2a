import math

import datasets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as property_settings
from hypothesis import strategies as st
from trl import pack_dataset

from ugro.trial.data.packing import Layout, Numbers, bfd, unpacked, windows, wrapped

LENGTHS = st.lists(st.integers(1, 40), max_size=40).map(lambda given: np.array(given, np.int64))
SIZES = st.integers(2, 24)
PROPERTY = property_settings(deadline=None, derandomize=True, max_examples=80)


def numbered(lengths: Numbers) -> Numbers:
    return np.arange(len(lengths))


def covered(layout: Layout) -> list[tuple[int, int]]:
    """Return every (example, token) of the rows, sorted, with repetitions."""
    pieces = zip(layout.examples, layout.starts, layout.ends, strict=True)
    return sorted((int(e), token) for e, start, end in pieces for token in range(start, end))


def rows(layout: Layout) -> list[list[tuple[int, int, int]]]:
    """Return the pieces of each row: example, start, end."""
    columns = np.stack([layout.examples, layout.starts, layout.ends], axis=1).tolist()
    return [[tuple(piece) for piece in columns[layout.pieces(row)]] for row in range(len(layout))]


def consistent(layout: Layout) -> None:
    assert layout.rows[0] == 0
    assert layout.rows[-1] == len(layout.examples) == len(layout.starts) == len(layout.ends)
    assert (np.diff(layout.rows) > 0).all()
    assert (layout.ends > layout.starts).all()
    assert len(layout.lengths) == len(layout)
    assert layout.lengths.sum() == (layout.ends - layout.starts).sum()


# By hand


def test_each_example_has_a_row_of_its_own_and_is_cut_to_it() -> None:
    layout = unpacked(np.array([3, 9, 2]), np.array([0, 1, 2]), size=4)
    assert rows(layout) == [[(0, 0, 3)], [(1, 0, 4)], [(2, 0, 2)]]
    assert layout.lengths.tolist() == [3, 4, 2]


def test_best_fit_puts_the_longest_first_each_into_the_fullest_row_with_room() -> None:
    # Rows of 10: 7 opens the first, 6 the second, 4 fits the second, 3 the first; 2 needs a third.
    layout = bfd(np.array([3, 4, 7, 6, 2]), numbered(np.zeros(5)), size=10)
    assert rows(layout) == [[(2, 0, 7), (0, 0, 3)], [(3, 0, 6), (1, 0, 4)], [(4, 0, 2)]]


def test_best_fit_cuts_what_is_longer_than_a_row() -> None:
    assert rows(bfd(np.array([9, 2]), np.array([0, 1]), size=4)) == [[(0, 0, 4)], [(1, 0, 2)]]


def test_wrapped_rows_are_filled_and_examples_cut_where_a_row_ends() -> None:
    layout = wrapped(np.array([3, 6, 2]), np.array([0, 1, 2]), size=4)
    assert rows(layout) == [
        [(0, 0, 3), (1, 0, 1)],
        [(1, 1, 5)],
        [(1, 5, 6), (2, 0, 2)],
    ]
    assert layout.lengths.tolist() == [4, 4, 3]


def test_windows_overlap_by_a_token() -> None:
    layout = windows(np.array([9, 1, 4]), np.array([0, 1, 2]), size=4)
    assert rows(layout) == [
        [(0, 0, 4)],
        [(0, 3, 7)],
        [(0, 6, 9)],
        [(1, 0, 1)],
        [(2, 0, 4)],
    ]


@pytest.mark.parametrize("pack", [unpacked, bfd, wrapped])
def test_only_the_examples_that_are_asked_for_are_laid_out(pack: type) -> None:
    layout = pack(np.array([3, 3, 3, 3]), np.array([1, 3]), 4)
    assert set(layout.examples.tolist()) == {1, 3}
    assert windows(np.array([3, 3, 3]), np.array([2]), 4).examples.tolist() == [2]


@pytest.mark.parametrize("pack", [unpacked, bfd, wrapped, windows])
def test_no_example_makes_no_row(pack: type) -> None:
    layout = pack(np.array([3]), np.array([], dtype=np.int64), 4)
    consistent(layout)
    assert len(layout) == 0
    assert layout.lengths.tolist() == []


# Whatever the lengths


@PROPERTY
@given(lengths=LENGTHS, size=SIZES)
def test_alone_and_best_fit_hold_each_examples_beginning_once(lengths: Numbers, size: int) -> None:
    wanted = sorted((e, token) for e, n in enumerate(lengths) for token in range(min(n, size)))
    for layout in (
        unpacked(lengths, numbered(lengths), size),
        bfd(lengths, numbered(lengths), size),
    ):
        consistent(layout)
        assert covered(layout) == wanted
        assert (layout.lengths <= size).all()
        assert sorted(layout.examples) == [*range(len(lengths))]  # none is split


@PROPERTY
@given(lengths=LENGTHS, size=SIZES)
def test_best_fit_leaves_no_two_rows_that_would_fit_into_one(lengths: Numbers, size: int) -> None:
    filled = np.sort(bfd(lengths, numbered(lengths), size).lengths)
    if len(filled) > 1:
        assert filled[0] + filled[1] > size


@property_settings(deadline=None, derandomize=True, max_examples=10)
@given(lengths=LENGTHS.filter(len), size=SIZES)
def test_best_fit_fills_rows_as_trl_does(lengths: Numbers, size: int) -> None:
    ids = [[e] * int(n) for e, n in enumerate(np.minimum(lengths, size))]
    packed = pack_dataset(datasets.Dataset.from_dict({"input_ids": ids}), size, "bfd")
    theirs = sorted(len(row) for row in packed["input_ids"])
    assert sorted(bfd(lengths, numbered(lengths), size).lengths.tolist()) == theirs


@PROPERTY
@given(lengths=LENGTHS, size=SIZES)
def test_wrapped_holds_every_token_once_in_order_and_fills_all_rows_but_the_last(
    lengths: Numbers, size: int
) -> None:
    layout = wrapped(lengths, numbered(lengths), size)
    consistent(layout)
    pieces = [piece for row in rows(layout) for piece in row]
    stream = [(e, token) for e, start, end in pieces for token in range(start, end)]
    assert stream == [(e, token) for e, n in enumerate(lengths) for token in range(n)]
    assert (layout.lengths[:-1] == size).all()
    assert len(layout) == math.ceil(lengths.sum() / size)


@PROPERTY
@given(lengths=LENGTHS, size=SIZES)
def test_windows_predict_every_token_but_the_first_exactly_once(
    lengths: Numbers, size: int
) -> None:
    layout = windows(lengths, numbered(lengths), size)
    consistent(layout)
    assert (layout.lengths <= size).all()
    assert (np.diff(layout.rows) == 1).all()
    pieces = zip(layout.examples, layout.starts, layout.ends, strict=True)
    predicted = sorted((int(e), token) for e, s, end in pieces for token in range(s + 1, end))
    assert predicted == [(e, token) for e, n in enumerate(lengths) for token in range(1, n)]


# Rows chosen and joined


@PROPERTY
@given(lengths=LENGTHS.filter(len), size=SIZES, data=st.data())
def test_chosen_rows_keep_their_pieces_in_the_order_asked_for(
    lengths: Numbers, size: int, data: st.DataObject
) -> None:
    for layout in (
        bfd(lengths, numbered(lengths), size),
        wrapped(lengths, numbered(lengths), size),
    ):
        chosen = data.draw(st.lists(st.integers(0, len(layout) - 1), unique=True))
        some = layout.select(np.array(chosen, dtype=np.int64))
        consistent(some)
        assert rows(some) == [rows(layout)[row] for row in chosen]


@PROPERTY
@given(lengths=LENGTHS, size=SIZES)
def test_two_layouts_follow_one_another(lengths: Numbers, size: int) -> None:
    one, other = (
        unpacked(lengths, numbered(lengths), size),
        windows(lengths, numbered(lengths), size),
    )
    both = one.then(other)
    consistent(both)
    assert rows(both) == rows(one) + rows(other)
