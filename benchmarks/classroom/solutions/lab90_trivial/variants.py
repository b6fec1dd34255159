"""Lab 90, right answers in another style."""

from typing import Any


def by_adding(number: Any) -> Any:
    return number + number


def by_loop(values: Any) -> Any:
    return sum(float(value) for value in values)


def by_sorting(values: Any) -> Any:
    return sorted(values)[-1]


def shifted_list(values: Any, by: Any) -> Any:
    import numpy as np

    return np.array([value + by for value in values])


def scaled_list(values: Any, factor: Any) -> Any:
    import numpy as np

    return np.array([value * factor for value in values])


def counted_by_loop(values: Any) -> Any:
    return sum(1 for value in values if value > 0)
