"""Whether a function did what it should do, and if not, what kind of mistake it made."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

import numpy as np

from labkit.probes import Observation, Probe, Samples
from labkit.wire import FLOAT_WIDTHS, Opaque, loaded_torch, record

Kind = Literal[
    "missing return", "type", "shape", "dtype", "nan", "value", "changed", "error", "timeout"
]
COARSE_RTOL, COARSE_ATOL = 1e-4, 1e-5  # float32 arithmetic of a few hundred operations
STANDARD_ERRORS = 6.0  # two-sided probability 2e-9 for each compared number


@record
@dataclasses.dataclass(frozen=True)
class Summary:
    """Sampled outcomes reduced to means and their standard errors, each of shape (d,).

    With categories the means are frequencies; the last one counts outcomes outside of them.
    """

    mean: np.ndarray
    stderr: np.ndarray
    count: int
    categories: int = 0

    def __post_init__(self) -> None:
        if not (isinstance(self.mean, np.ndarray) and isinstance(self.stderr, np.ndarray)):
            raise TypeError("a summary holds two arrays")
        if self.mean.shape != self.stderr.shape or type(self.count) is not int:
            raise TypeError("a summary holds two arrays of one shape and a count")


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far a number may be off: ``|got - expected| <= atol + rtol * |expected|``."""

    rtol: float = 1e-6
    atol: float = 1e-8

    def coarse(self) -> Tolerance:
        """Return the tolerance for results in another float width or from torch."""
        return Tolerance(max(self.rtol, COARSE_RTOL), max(self.atol, COARSE_ATOL))


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """One difference: its kind, where it is, and a sentence that says it.

    Where a part of a value is wrong, ``pair`` is that part as (got, expected), and ``differs`` is
    true at the numbers of it that are wrong.
    """

    kind: Kind
    where: str
    message: str
    pair: tuple[Any, Any] | None = dataclasses.field(default=None, compare=False, repr=False)
    differs: np.ndarray | None = dataclasses.field(default=None, compare=False, repr=False)


def summarize(probe: Probe, observation: Observation) -> Observation:
    """Return the observation as it is compared: samples become a `Summary`, the rest stays."""
    if not isinstance(probe, Samples) or observation.error or observation.timed_out:
        return observation
    rows = observation.value
    if isinstance(rows, Summary):  # made by the answer itself, to look as if it were measured
        return dataclasses.replace(observation, value=Opaque("Summary", ""))
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or len(rows) != probe.count:
        return observation
    if probe.categories:
        if rows.dtype.kind not in "iu" or rows.shape[1] != 1:
            return dataclasses.replace(
                observation, value=rows[0, 0] if rows.shape[1] == 1 else rows[0]
            )
        known = np.arange(probe.categories)
        frequencies = (rows == known).mean(axis=0)
        mean = np.append(frequencies, 1.0 - frequencies.sum())
        # one more outcome either way, so that a category never met has a standard error too
        stderr = np.sqrt(np.clip(mean * (1 - mean), 0, None) / probe.count + probe.count**-2.0)
    else:
        mean = rows.mean(axis=0)
        stderr = rows.std(axis=0) / math.sqrt(probe.count)
    return dataclasses.replace(
        observation, value=Summary(mean, stderr, probe.count, probe.categories)
    )


def compare(
    got: Observation, expected: Observation, tolerance: Tolerance = Tolerance()
) -> Mismatch | None:
    """Return the first difference between two summarized observations, or None if they agree."""
    if got.timed_out or expected.timed_out:
        if got.timed_out and expected.timed_out:
            return None
        return Mismatch("timeout", "", "it did not finish in time")
    if got.error is not None:
        if expected.error is not None and got.error.type_name == expected.error.type_name:
            return None
        at = f" in line {got.error.line}" if got.error.line else ""
        return Mismatch("error", "", f"{got.error.type_name}{at}: {got.error.message}")
    if expected.error is not None:
        return Mismatch("error", "", f"{expected.error.type_name} should be raised")
    mismatch = compare_values(got.value, expected.value, tolerance)
    if mismatch is not None:
        return mismatch
    extra = [name for name in got.changed if name not in expected.changed]
    if extra:
        names = " and ".join(f"`{name}`" for name in extra)
        return Mismatch("changed", extra[0], f"it changes its input {names}: work on a copy")
    return None


def compare_values(
    got: Any, expected: Any, tolerance: Tolerance, where: str = "return value"
) -> Mismatch | None:
    """Return the first difference between two values, or None if they agree."""
    mismatch = _difference(got, expected, tolerance, where)
    if mismatch is None or mismatch.pair is not None:
        return mismatch
    return dataclasses.replace(mismatch, pair=(got, expected))


def _difference(got: Any, expected: Any, tolerance: Tolerance, where: str) -> Mismatch | None:
    if isinstance(expected, Summary):
        return _compare_summaries(got, expected, tolerance, where)
    if expected is None:
        if got is None:
            return None
        if where == "return value":
            message = f"it returns {described(got)}, but should return None"
        else:
            message = f"the {where} is {described(got)}, but should be None"
        return Mismatch("type", where, message)
    if got is None and where.startswith("gradient of "):
        return Mismatch(
            "value", where, f"the {where} is missing: nothing that is returned leads back to it"
        )
    if got is None:
        return Mismatch(
            "missing return", where, f"the {where} is None: is a `return` statement missing?"
        )
    if type(expected) is dict:
        return _compare_dicts(got, expected, tolerance, where)
    if isinstance(expected, list | tuple):
        return _compare_sequences(got, expected, tolerance, where)
    if isinstance(expected, slice):
        return _compare_slices(got, expected, where)
    if isinstance(expected, str):
        if type(got) is str and got == expected:
            return None
        if not isinstance(got, str):
            return _wrong_type(got, expected, where)
        return Mismatch("value", where, f"the {where} is {got[:80]!r}, expected {expected!r}")
    return _compare_numbers(got, expected, tolerance, where)


def described(value: Any) -> str:
    """Return a few words for a value's type, shape and dtype."""
    if isinstance(value, Opaque):
        return with_article(value.type_name)
    if isinstance(value, np.ndarray) and value.ndim:
        return f"a numpy array of shape {value.shape} and dtype {value.dtype}"
    if _is_tensor(value) and value.ndim:
        return f"a torch tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, np.generic | np.ndarray) or _is_tensor(value):
        return f"a single {_kind(value)}"
    if isinstance(value, Summary):
        return "a number"
    return "None" if value is None else with_article(type(value).__name__)


def with_article(name: str) -> str:
    """Return a name with its article."""
    return f"{'an' if name[:1].upper() in tuple('AEIOU') else 'a'} {name}"


def _is_tensor(value: Any) -> bool:
    torch = loaded_torch()
    return torch is not None and isinstance(value, torch.Tensor)


def as_array(value: Any) -> np.ndarray | None:
    """Return a number, array or tensor as a numpy array; None for what is none of them."""
    if _is_tensor(value):
        tensor = value.detach().cpu()
        return np.asarray(tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor)
    if isinstance(value, np.ndarray | np.generic) or type(value) in (bool, int, float):
        return np.asarray(value)
    return None


def _kind(value: Any) -> str:
    array = as_array(value)
    if array is None:
        return type(value).__name__
    return {"b": "bool", "i": "int", "u": "int", "f": "float"}.get(array.dtype.kind, "complex")


def _wrong_type(got: Any, expected: Any, where: str) -> Mismatch:
    return Mismatch(
        "type", where, f"the {where} is {described(got)}, but should be {described(expected)}"
    )


def _compare_dicts(
    got: Any, expected: dict[Any, Any], tolerance: Tolerance, where: str
) -> Mismatch | None:
    if type(got) is not dict:
        return _wrong_type(got, expected, where)
    observed = "return" in expected or "raised" in expected  # parts named by a probe
    if got.keys() != expected.keys():
        missing = [str(key) for key in expected if key not in got]
        extra = [str(key)[:40] for key in got if key not in expected]
        return Mismatch(
            "type", where, f"the {where} lacks the keys {missing} and has {extra} beyond them"
        )
    for key, value in expected.items():
        name = (
            ("return value" if key == "return" else str(key)) if observed else f"{where}[{key!r}]"
        )
        if key == "raised" and got[key] != value:
            return Mismatch("value", name, f"{value} should be raised, but {got[key]} was")
        if mismatch := compare_values(got[key], value, tolerance, name):
            return mismatch
    return None


def _compare_sequences(
    got: Any, expected: list[Any] | tuple[Any, ...], tolerance: Tolerance, where: str
) -> Mismatch | None:
    if type(got) not in (list, tuple):
        return _wrong_type(got, expected, where)
    if len(got) != len(expected):
        return Mismatch(
            "shape", where, f"the {where} has {len(got)} parts, but should have {len(expected)}"
        )
    for index, (left, right) in enumerate(zip(got, expected, strict=True)):
        if mismatch := compare_values(left, right, tolerance, f"{where}[{index}]"):
            return mismatch
    return None


def _compare_slices(got: Any, expected: slice, where: str) -> Mismatch | None:
    """``slice(2)``, ``slice(0, 2)`` and ``slice(0, 2, 1)`` are the same, of whatever whole numbers.

    An open end is another slice: what it selects depends on what is sliced.
    """
    if type(got) is not slice:
        return _wrong_type(got, expected, where)
    left, right = _slice_parts(got), _slice_parts(expected)
    if left == right and all(part is None or _kind(part) == "int" for part in left):
        return None
    got_text, expected_text = (
        f"slice({', '.join(map(str, parts if parts[2] != 1 else parts[:2]))})"
        for parts in (left, right)
    )
    return Mismatch("value", where, f"the {where} is {got_text}, expected {expected_text}")


def _slice_parts(value: slice) -> tuple[Any, Any, Any]:
    start, step = 0 if value.start is None else value.start, value.step
    return start, value.stop, 1 if step is None else step


def _compare_numbers(got: Any, expected: Any, tolerance: Tolerance, where: str) -> Mismatch | None:
    left, right = as_array(got), as_array(expected)
    if right is None:
        raise TypeError(f"a reference returned {described(expected)}, which cannot be compared")
    if left is None:
        return _wrong_type(got, expected, where)
    if left.shape != right.shape:
        if not right.ndim or not left.ndim:
            return Mismatch(
                "shape",
                where,
                f"the {where} is {described(got)}, but should be {described(expected)}",
            )
        return Mismatch(
            "shape", where, f"the {where} has shape {left.shape}, but should have {right.shape}"
        )
    kinds = _kind(left), _kind(right)
    whole_for_float = kinds == ("int", "float") and not right.ndim  # -13 for -13.0
    if kinds[0] != kinds[1] and not whole_for_float:
        message = f"the {where} holds {kinds[0]} values, but should hold {kinds[1]} values"
        if not right.ndim:
            message = f"the {where} is {described(got)}, but should be {described(expected)}"
        return Mismatch("dtype", where, message)
    if left.dtype == right.dtype and (left == right).all():  # nearly always; isclose takes longer
        return None
    if left.dtype.kind == "f" and (nan := np.isnan(left) & ~np.isnan(right)).any():
        some = f"{int(nan.sum())} of its {left.size} numbers are" if left.ndim else "it is"
        message = f"the {where} is not a number: {some} NaN"
        return Mismatch("nan", where, message, differs=np.asarray(nan))
    widths = left.dtype.name in FLOAT_WIDTHS and left.dtype != right.dtype
    used = tolerance.coarse() if widths or _is_tensor(got) != _is_tensor(expected) else tolerance
    close = np.isclose(left, right, rtol=used.rtol, atol=used.atol, equal_nan=True)
    if right.dtype.kind in "biu":  # whole numbers are counted, not measured
        close = np.asarray(left == right)
    if close.all():
        return None
    message = _first_difference(left, right, close, where)
    return Mismatch("value", where, message, differs=np.asarray(~close))


def _first_difference(left: np.ndarray, right: np.ndarray, close: np.ndarray, where: str) -> str:
    if not left.ndim:
        return f"the {where} is {shown(left, right)}, expected {shown(right, left)}"
    index = tuple(int(i) for i in np.argwhere(~close)[0])
    place = ", ".join(map(str, index))
    count = int((~close).sum())
    others = f" ({count} of {close.size} numbers differ)" if count > 1 else ""
    one, other = left[index], right[index]
    return f"the {where} is {shown(one, other)} at [{place}], expected {shown(other, one)}{others}"


def shown(number: Any, other: Any = None) -> str:
    """Return a number, short, but with as many digits as tell it from ``other``: 1.0 from 1."""
    if np.asarray(number).dtype.kind != "f":
        return str(number)
    if other is not None and np.asarray(other).dtype.kind != "f":
        return repr(float(number))
    for digits in (6, 9, 12, 17):
        text = f"{float(number):.{digits}g}"
        if other is None or float(text) == float(number) or text != f"{float(other):.{digits}g}":
            break
    return text


def _compare_summaries(
    got: Any, expected: Summary, tolerance: Tolerance, where: str
) -> Mismatch | None:
    if got is None:
        return Mismatch(
            "missing return", where, f"the {where} is None: is a `return` statement missing?"
        )
    if not isinstance(got, Summary):
        wanted = "a single int" if expected.categories else "a number"
        return Mismatch("type", where, f"the {where} is {described(got)}, but should be {wanted}")
    if got.mean.shape != expected.mean.shape:
        return Mismatch(
            "shape", where, f"an outcome has {got.mean.size} numbers, not {expected.mean.size}"
        )
    if np.isnan(got.mean).any():
        return Mismatch("nan", where, f"the {where} is not a number (NaN)")
    # What the answer's own noise excuses is bounded by the reference's noise: else noise alone
    # would pass. The second term leaves room for rare outcomes that the reference did not meet.
    scale = np.max(np.abs(expected.mean) + expected.stderr * math.sqrt(expected.count), initial=0.0)
    noise = np.minimum(got.stderr, 2.0 * expected.stderr + STANDARD_ERRORS * scale / got.count)
    allowed = STANDARD_ERRORS * np.hypot(noise, expected.stderr)
    allowed += tolerance.atol + tolerance.rtol * np.abs(expected.mean)
    off = np.abs(got.mean - expected.mean) > allowed
    if not off.any():
        return None
    index = int(np.argmax(np.abs(got.mean - expected.mean) / allowed))
    left, right = float(got.mean[index]), float(expected.mean[index])
    if not expected.categories:
        part = f" (number {index} of {len(off)})" if len(off) > 1 else ""
        message = f"over {got.count} calls the mean{part} is {left:.4g}, expected {right:.4g}"
    else:
        outcome = f"outcome {index}" if index < expected.categories else "an outcome out of range"
        message = (
            f"over {got.count} calls {outcome} came {left:.1%} of the time, expected {right:.1%}"
        )
    return Mismatch("value", where, message)
