import pytest

from ugro.formatting import counted, data_lines, duration, gap, large, listed, number, share


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.29478640, "3.295"),
        (0.0005418, "0.0005418"),
        (1024, "1,024"),
        (4096.0, "4,096"),
        (float("inf"), "inf"),
        (True, "True"),
        ("all-linear", "all-linear"),
        (None, "None"),
    ],
)
def test_a_number_has_four_digits(value: object, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "beside", "expected"),
    [
        (0.0064, 3.3, "0.0064"),
        (8.162e-05, 3.3147, "under 0.0003"),
        (0.0, 3.3, "0"),
        (1e-6, -0.02, "under 2e-06"),
        (2e-5, 0.02, "2e-05"),
    ],
)
def test_a_difference_far_below_the_values_is_a_bound(
    value: float, beside: float, expected: str
) -> None:
    assert gap(value, beside) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0.0%"), (0.0004, "under 0.1%"), (0.0283, "2.8%"), (0.604, "60%"), (1.0, "100%")],
)
def test_a_small_share_is_not_rounded_to_zero(value: float, expected: str) -> None:
    assert share(value) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (48.2, "48 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (18_720, "5 h 12 min"),
        (183_600, "2 d 3 h"),
        (86_399.9, "1 d"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_counts_lists_and_large_numbers_are_readable() -> None:
    assert [counted(count, "trial") for count in (0, 1, 2000)] == [
        "0 trials", "1 trial", "2,000 trials",
    ]  # fmt: skip
    assert [listed(words) for words in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "", "a", "a and b", "a, b and c",
    ]  # fmt: skip
    assert [large(count) for count in (0, 31_744, 812_345, 23_400_000, 2.5e9)] == [
        "0", "31,744", "812 thousand", "23.4 million", "2.5 billion",
    ]  # fmt: skip


def test_data_are_described_by_part_and_note() -> None:
    part = {"documents": 70, "examples": 70, "rows": 12, "tokens": 5000, "trained": 1750}
    note = "train: 3 examples cut to 64 tokens"
    data = {"parts": {"train": part}, "formats": {"Alpaca": 70}, "notes": [note]}
    assert list(data_lines(data)) == [
        "train: 70 documents, of which 70 examples in 12 rows, 5,000 tokens, 35% with loss",
        "read as Alpaca",
        note,
    ]


def test_formats_are_counted_where_there_are_several() -> None:
    data = {"parts": {}, "formats": {"messages": 1200, "text": 2}, "notes": []}
    assert list(data_lines(data)) == ["read as messages (1,200) and text (2)"]
    assert list(data_lines({"parts": {}, "notes": []})) == []  # a study of before
