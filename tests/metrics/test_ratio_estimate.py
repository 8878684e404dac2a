import math

import numpy as np
import pytest
from scipy.stats import sem

from ugro.metrics.ratio_estimate import largest_difference, ratio_estimate


def test_with_a_row_per_document_it_is_the_mean_and_its_error() -> None:
    values = [2.0, 4.0, 0.0, 1.0]
    mean, error = ratio_estimate(values, [1.0] * 4, [7, 1, 3, 0])
    assert (mean, error) == (1.75, pytest.approx(sem(values)))


def test_rows_of_a_document_are_one_sample() -> None:
    values, documents = [1.0, 0.0, 4.0, 6.0, 1.0, 3.0], [0, 0, 1, 1, 2, 2]
    mean, error = ratio_estimate(values, [1.0] * 6, documents)
    assert (mean, error) == (2.5, pytest.approx(sem([0.5, 5.0, 2.0])))
    assert error > sem(values)  # rows that agree tell less than as many documents


def test_a_ratio_and_its_error_by_hand() -> None:
    # Sums 6 and 2 of 4 and 2 tokens, 0 of 2: the ratio is 1, the residuals 2, 0 and -2.
    mean, error = ratio_estimate([5.0, 1.0, 2.0, 0.0], [1, 3, 2, 2], [0, 0, 1, 2])
    assert mean == 1.0
    assert error == pytest.approx(math.sqrt((4 + 0 + 4) * 3 / 2) / 8)


def test_intervals_of_unequal_documents_cover_the_truth() -> None:
    draw, covered = np.random.default_rng(0), 0
    for _ in range(500):
        sizes = draw.integers(1, 6, 60)
        documents = np.repeat(np.arange(60), sizes)
        values = draw.normal(1.0, 1.0, 60)[documents] + draw.normal(0.0, 0.5, len(documents))
        mean, error = ratio_estimate(values, np.ones(len(values)), documents)
        covered += abs(mean - 1.0) < 1.96 * error
    assert 0.92 < covered / 500 < 0.98


def test_a_single_document_has_no_error() -> None:
    mean, error = ratio_estimate([1.0, 3.0], [1, 1], [4, 4])
    assert mean == 2.0
    assert math.isnan(error)


def test_only_means_of_shares_have_a_largest_difference() -> None:
    assert largest_difference([0.0, 0.5, 1.0]) == 1.0
    assert largest_difference([0.0, 1.5]) == largest_difference([-0.1]) == math.inf
