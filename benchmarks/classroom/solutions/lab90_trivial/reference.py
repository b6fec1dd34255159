"""Lab 90, reference: six one-line answers. Arrays are float64 and one-dimensional."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def double(number: float) -> float:
    """Return ``2 * number``.

    Args:
        number: any.
    """
    return 2.0 * number


def total(values: Float) -> float:
    """Return the sum of the values.

    Args:
        values: shape ``(size,)``.
    """
    return float(values.sum())


def largest(values: Float) -> float:
    """Return the largest value.

    Args:
        values: shape ``(size,)``, at least one.
    """
    return float(values.max())


def shifted(values: Float, by: float) -> Float:
    """Return ``values + by``.

    Args:
        values: shape ``(size,)``.
        by: what is added to each.
    """
    return values + by


def scaled(values: Float, factor: float) -> Float:
    """Return ``factor * values``.

    Args:
        values: shape ``(size,)``.
        factor: what each is multiplied by.
    """
    return factor * values


def count_positive(values: Float) -> int:
    """Return how many values are above zero.

    Args:
        values: shape ``(size,)``.
    """
    return int((values > 0.0).sum())
