"""How values are shown to a student: short, readable, differing numbers marked."""

from __future__ import annotations

from typing import Any

import numpy as np

from labkit.compare import Mismatch, Summary, as_array, shown
from labkit.markers import Env, LinearMap, Network, NormedNetwork, Objects, Seed
from labkit.rendering import Block, Fields, Grid
from labkit.wire import Opaque

MAX_ROWS, MAX_COLUMNS = 12, 10  # of an array that is shown in full
MAX_DIFFERENCES = 6
MAX_TEXT = 400


def short(value: Any) -> str:
    """Return ``value`` as a few lines of text."""
    if isinstance(value, Seed):
        return f"np.random.default_rng({value.value})"
    if isinstance(value, Env):
        options = "".join(f", {key}={item!r}" for key, item in value.kwargs.items())
        return f'gymnasium.make("{value.id}"{options}), reset with seed {value.seed}'
    if isinstance(value, Network):
        layers = " -> ".join(map(str, value.sizes))
        norm = "BatchNorm1d and " if isinstance(value, NormedNetwork) else ""
        return (
            f"a network {layers} with {norm}tanh between its layers, drawn from seed {value.seed}"
        )
    if isinstance(value, Objects):
        return f"an array of objects {short(list(value.items))}"
    if isinstance(value, LinearMap):
        return f"multiplication by the {short(value.matrix)}"
    if isinstance(value, Opaque):
        return cut(value.text)
    array = as_array(value)
    if array is not None and array.ndim:
        kind = "tensor" if not isinstance(value, np.ndarray) else "array"
        text = np.array2string(
            array, precision=4, suppress_small=True, threshold=60, edgeitems=3, max_line_width=76
        )
        return f"{kind} of shape {array.shape}, {value.dtype}\n{text}"
    if array is not None:
        return shown(array)
    if isinstance(value, list | tuple) and any(_is_long(item) for item in value):
        items = [f"[{index}] {short(item)}" for index, item in enumerate(value[:MAX_DIFFERENCES])]
        more = len(value) - len(items)
        return "\n".join(items + ([f"and {more} more"] if more else []))
    if isinstance(value, dict) and any(_is_long(item) for item in value.values()):
        return "\n".join(f"[{key!r}] {short(item)}" for key, item in value.items())
    return cut(repr(value))


def difference(mismatch: Mismatch) -> list[Block]:
    """Return what was got and what was expected, side by side, for the part that differs."""
    if mismatch.pair is None or isinstance(mismatch.pair[1], Summary):
        return []
    got, expected = mismatch.pair
    left, right = as_array(got), as_array(expected)
    if left is None or right is None or mismatch.differs is None or not right.ndim:
        if left is not None and right is not None and not left.ndim and not right.ndim:
            return [Fields((("got", shown(left, right)), ("expected", shown(right, left))))]
        return [Fields((("got", short(got)), ("expected", short(expected))))]
    if _is_small(right):
        marked = mismatch.differs & ~mismatch.differs.all()  # where all differ, marks say nothing
        rows = np.atleast_2d(marked).tolist()
        apart = np.atleast_2d(mismatch.differs)
        return [
            Grid("got", _cells(left, right, apart), rows),
            Grid("expected", _cells(right, left, apart), rows),
        ]
    places = np.argwhere(mismatch.differs)
    lines = [
        (
            f"[{', '.join(map(str, place))}]",
            f"got {shown(one, other)}, expected {shown(other, one)}",
        )
        for place in places[:MAX_DIFFERENCES].tolist()
        for one, other in [(left[tuple(place)], right[tuple(place)])]
    ]
    if more := len(places) - len(lines):
        lines.append(("...", f"and {more} more"))
    return [Fields(lines)]


def cut(text: str, limit: int = MAX_TEXT) -> str:
    """Return ``text``, its end replaced by dots if it is long."""
    return text if len(text) <= limit else text[: limit - 4] + " ..."


def _is_long(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_is_long(item) for item in value)
    array = as_array(value)
    return array is not None and array.ndim > 0


def _is_small(array: np.ndarray) -> bool:
    rows, columns = np.atleast_2d(array).shape[-2:]
    return array.ndim <= 2 and rows <= MAX_ROWS and columns <= MAX_COLUMNS


def _cells(array: np.ndarray, other: np.ndarray, apart: np.ndarray) -> list[list[str]]:
    rows = zip(np.atleast_2d(array), np.atleast_2d(other), apart, strict=True)
    return [
        [shown(one, two if differs else None) for one, two, differs in zip(*row, strict=True)]
        for row in rows
    ]
