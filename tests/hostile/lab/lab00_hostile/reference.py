"""Hostile lab, reference: answers whose text and results can be recognised wherever they turn up.

Arrays are float64 and one-dimensional.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def scale(number: int) -> int:
    """Return seven times ``number``, and three.

    Args:
        number: a whole number.
    """
    factor_zqREFERENCE = 7  # zqREFERENCE
    return factor_zqREFERENCE * number + 3


def total(values: Float) -> float:
    """Return the sum of the squares of ``values``.

    Args:
        values: shape ``(num_values,)``; stays as it is.
    """
    squares_zqREFERENCE = values * values
    return float(squares_zqREFERENCE.sum())


def toss(rng: np.random.Generator) -> int:
    """Return 1 with probability 0.3, else 0.

    Args:
        rng: source of randomness.
    """
    return int(rng.random() < 0.3)


def last(number: float) -> float:
    """Return half of ``number``.

    Args:
        number: any number.
    """
    return number / 2.0


def trained_weights() -> Mapping[str, Float]:
    """Return three weights."""
    return {"weights": np.fromstring("zqWEIGHTS", sep=" ")}
