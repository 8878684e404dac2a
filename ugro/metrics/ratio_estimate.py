"""Means over rows of documents, with standard errors over documents."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike


def ratio_estimate(
    sums: ArrayLike, weights: ArrayLike, documents: ArrayLike
) -> tuple[float, float]:
    """Return the weighted mean of rows and its standard error.

    Rows of a document are not independent samples: they are summed by document, and the error is
    that of a ratio estimator over documents. It is NaN for a single document. Source: Cochran,
    Sampling Techniques, 3rd edition, section 6.4.

    Args:
        sums: sum over each row, [rows]
        weights: tokens or examples of each row, [rows]
        documents: document index of each row, [rows]
    """
    _, whose = np.unique(documents, return_inverse=True)
    of_documents, sizes = np.bincount(whose, sums), np.bincount(whose, weights)
    mean = of_documents.sum() / sizes.sum()
    count = len(sizes)
    if count < 2:
        return float(mean), float("nan")
    residuals = of_documents - mean * sizes
    spread = np.sqrt((residuals**2).sum() * count / (count - 1))
    return float(mean), float(spread / sizes.sum())


def largest_difference(values: Iterable[float]) -> float:
    """Return how far means of such values can be apart: 1 if all are from 0 to 1, else infinity.

    Args:
        values: values of all examples, by both models
    """
    return 1.0 if all(0 <= value <= 1 for value in values) else math.inf
