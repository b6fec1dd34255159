"""What counts as the same, what is told apart, and by which name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labkit import wire
from labkit.compare import Mismatch, Summary, Tolerance, compare, shown, summarize
from labkit.probes import CallError, Observation, Samples

ROW = np.array([1.0, -2.0, 3.0])
GRID = np.arange(6.0).reshape(2, 3)


EXACT = Tolerance()


def difference(got: Any, expected: Any, tolerance: Tolerance = EXACT) -> str | None:
    mismatch = compare(Observation(got), Observation(expected), tolerance)
    return None if mismatch is None else mismatch.kind


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (1, 1),
        (-13, -13.0),  # a whole number where a float is due
        (np.int64(2), 2),
        (2, np.int64(2)),
        (np.float32(0.1), 0.1),
        (torch.tensor(2.5), 2.5),
        (np.array(2.5), 2.5),
        (ROW.astype(np.float32) / 3, ROW / 3),
        (torch.from_numpy(ROW), ROW),
        (ROW, torch.from_numpy(ROW)),
        (torch.from_numpy(ROW).float() / 3, ROW / 3),
        ((ROW * (1 + 3e-5)).astype(np.float32), ROW),
        (torch.from_numpy(ROW * (1 + 3e-5)), ROW),
        (np.array([1, 2], dtype=np.int8), np.array([1, 2])),
        (ROW + 1e-9, ROW),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
        ([ROW, 1], (ROW, 1)),
        ({"b": 1, "a": ROW}, {"a": ROW, "b": 1}),
        (None, None),
        ("left", "left"),
        (True, np.True_),
        (np.zeros((0, 3)), np.zeros((0, 3))),
        (slice(2), slice(0, 2)),
        (slice(0, 2, 1), slice(0, 2)),
        (slice(np.int64(3), np.int64(5)), slice(3, 5)),
        (slice(3, None), slice(3, None, None)),
    ],
)
def test_right_in_another_dress(got: Any, expected: Any) -> None:
    assert difference(got, expected) is None


@pytest.mark.parametrize(
    ("got", "expected", "kind"),
    [
        (None, 1.0, "missing return"),
        (1.0, None, "type"),
        ("1", 1.0, "type"),
        ([1.0, -2.0, 3.0], ROW, "type"),
        (1.0, [1.0], "type"),
        (ROW, [1.0, -2.0, 3.0], "type"),
        ({"a": 1}, {"a": 1, "b": 2}, "type"),
        ({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}, "type"),
        (wire.Opaque("Thing", "?"), 1.0, "type"),
        (1, "1", "type"),
        (GRID.T, GRID, "shape"),
        (GRID[None], GRID, "shape"),
        (GRID.ravel(), GRID, "shape"),
        (np.array([2.0]), 2.0, "shape"),
        (2.0, np.array([2.0]), "shape"),
        ((1, 2, 3), (1, 2), "shape"),
        (1.0, 1, "dtype"),
        (True, 1, "dtype"),
        (1, True, "dtype"),
        (ROW.astype(int), ROW, "dtype"),
        (ROW > 0, ROW, "dtype"),
        (ROW + 0j, ROW, "dtype"),
        (np.array([1.0, np.nan, 3.0]), ROW, "nan"),
        (float("nan"), 1.0, "nan"),
        (np.array([1.0, np.inf, 3.0]), ROW, "value"),
        (np.array([1.0, 0.0, 3.0]), np.array([1.0, np.nan, 3.0]), "value"),
        (ROW + 1e-3, ROW, "value"),
        (ROW * (1 + 3e-5), ROW, "value"),
        (-ROW, ROW, "value"),
        ((ROW + 1e-3).astype(np.float32), ROW, "value"),
        (10_000_001, 10_000_000, "value"),  # whole numbers are counted, not measured
        (np.array([10_000_001]), np.array([10_000_000]), "value"),
        ("right", "left", "value"),
        ([1, [2, 3]], [1, [2, 4]], "value"),
        ({"raised": "nothing"}, {"raised": "ValueError"}, "value"),
        (slice(0, 3), slice(0, 2), "value"),
        (slice(1, 2), slice(0, 2), "value"),
        (slice(0, None), slice(0, 2), "value"),
        (slice(0, 2, 2), slice(0, 2), "value"),
        (slice(0.0, 2.0), slice(0, 2), "value"),
        (slice(False, 2), slice(0, 2), "value"),
        ((0, 2), slice(0, 2), "type"),
        (range(2), slice(0, 2), "type"),
        (slice(0, 2), 2, "type"),
    ],
)
def test_what_is_wrong_has_a_name(got: Any, expected: Any, kind: str) -> None:
    assert difference(got, expected) == kind


@pytest.mark.parametrize(
    ("got", "expected", "message"),
    [
        (1.0, None, "it returns a float, but should return None"),
        ({"return": 1.0}, {"return": None}, "it returns a float, but should return None"),
        ([1], [None], "the return value[0] is an int, but should be None"),
        (1.0, 1, "the return value is a float, but should be an int"),
        (True, 1, "the return value is a bool, but should be an int"),
        (ROW.astype(int), ROW, "the return value holds int values, but should hold float values"),
        (
            {"return": 1.0, "gradient of x": None},
            {"return": 1.0, "gradient of x": ROW},
            "the gradient of x is missing: nothing that is returned leads back to it",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence(got: Any, expected: Any, message: str) -> None:
    mismatch = compare(Observation(got), Observation(expected))
    assert mismatch is not None
    assert mismatch.message == message


@pytest.mark.parametrize(
    ("number", "other", "text"),
    [
        (1.0, 1, "1.0"),
        (1.0, True, "1.0"),
        (1.0, 2.5, "1"),
        (1, 1.0, "1"),
        (0.1234567, 0.1234568, "0.1234567"),
        (float("nan"), 1, "nan"),
    ],
)
def test_a_number_is_shown_so_that_it_differs_from_the_other(
    number: Any, other: Any, text: str
) -> None:
    assert shown(number, other) == text


def test_the_first_difference_is_shown_with_its_place() -> None:
    mismatch = compare(Observation(GRID + np.eye(2, 3)), Observation(GRID))
    assert isinstance(mismatch, Mismatch)
    assert "at [0, 0]" in mismatch.message
    assert "2 of 6" in mismatch.message
    nested = compare(Observation({"a": [1, 2]}), Observation({"a": [1, 3]}))
    assert nested is not None
    assert nested.where == "return value['a'][1]"


def test_a_tolerance_is_kept_to() -> None:
    loose = Tolerance(rtol=1e-2, atol=0.0)
    assert difference(ROW * 1.009, ROW, loose) is None
    assert difference(ROW * 1.011, ROW, loose) == "value"
    assert difference(ROW * 1.009, ROW) == "value"
    assert difference(np.array([1e-9]), np.array([0.0])) is None
    assert difference(np.array([1e-7]), np.array([0.0])) == "value"


ERROR = Observation(error=CallError("ValueError", "no", 3))


def test_errors_and_timeouts() -> None:
    right, late = Observation(1.0), Observation(timed_out=True)
    for got, expected, kind in [
        (ERROR, right, "error"),
        (right, ERROR, "error"),
        (Observation(error=CallError("KeyError", "no")), ERROR, "error"),
        (late, right, "timeout"),
        (right, late, "timeout"),
        (late, ERROR, "timeout"),
    ]:
        mismatch = compare(got, expected)
        assert mismatch is not None
        assert mismatch.kind == kind
    assert compare(Observation(error=CallError("ValueError", "another")), ERROR) is None
    assert compare(late, late) is None


def test_an_input_that_was_changed_is_named() -> None:
    mismatch = compare(Observation(1.0, ("Q",)), Observation(1.0))
    assert mismatch is not None
    assert (mismatch.kind, mismatch.where) == ("changed", "Q")
    assert compare(Observation(1.0, ("Q",)), Observation(1.0, ("Q",))) is None


def sampled(rows: Any, probe: Samples) -> Observation:
    return summarize(probe, Observation(rows))


def test_means_are_told_apart_by_their_errors() -> None:
    probe, rng = Samples(2000), np.random.default_rng(0)
    first, second = rng.normal(size=(2, 2000, 2))
    assert compare(sampled(first, probe), sampled(second, probe)) is None
    shifted = sampled(second + np.array([0.0, 0.3]), probe)
    mismatch = compare(shifted, sampled(first, probe))
    assert mismatch is not None
    assert "number 1 of 2" in mismatch.message


def test_the_mean_of_a_correct_sampler_almost_never_fails() -> None:
    probe, rng = Samples(500), np.random.default_rng(1)
    for _ in range(200):
        pair = [sampled(rng.exponential(size=(500, 1)), probe) for _ in range(2)]
        assert compare(*pair) is None


def test_frequencies_are_told_apart() -> None:
    probe, rng = Samples(2000, categories=3), np.random.default_rng(0)

    def draw(*probs: float) -> Observation:
        return sampled(rng.choice(3, p=probs, size=(2000, 1)), probe)

    assert compare(draw(0.2, 0.3, 0.5), draw(0.2, 0.3, 0.5)) is None
    assert compare(draw(0.2, 0.4, 0.4), draw(0.2, 0.3, 0.5)) is not None
    assert (draw(0.4, 0.6, 0.0).value.stderr > 0.0).all(), "a category never met may be met"
    never = compare(draw(0.4, 0.6, 0.0), draw(0.4, 0.6, 0.0))
    assert never is None
    rare = compare(draw(0.4, 0.57, 0.03), draw(0.4, 0.6, 0.0))
    assert rare is not None
    outside = compare(sampled(np.full((2000, 1), 7), probe), draw(0.2, 0.3, 0.5))
    assert outside is not None
    assert "out of range" in outside.message


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        (np.zeros((50, 1)), "type"),  # floats where a category is due
        (np.zeros((50, 2), dtype=int), "type"),
        (np.zeros((49, 1), dtype=int), "type"),
        (None, "missing return"),
        ("left", "type"),
    ],
)
def test_samples_of_the_wrong_form(rows: Any, kind: str) -> None:
    probe = Samples(50, categories=2)
    right = sampled(np.arange(50)[:, None] % 2, probe)
    mismatch = compare(sampled(rows, probe), right)
    assert mismatch is not None
    assert mismatch.kind == kind


def test_samples_with_nan_do_not_pass() -> None:
    probe = Samples(50)
    right = sampled(np.arange(50.0)[:, None], probe)
    mismatch = compare(sampled(np.full((50, 1), np.nan), probe), right)
    assert mismatch is not None
    assert mismatch.kind == "nan"


def test_noise_is_no_way_to_be_right() -> None:
    probe, rng = Samples(500), np.random.default_rng(2)
    right = sampled(rng.normal(3.0, 1.0, size=(500, 1)), probe)
    for scale in (10.0, 1e3, 1e9):
        for _ in range(20):
            noise = rng.normal(0.0, scale, size=(500, 1))
            assert compare(sampled(noise, probe), right) is not None
    assert compare(sampled(np.array([[-1e12], [1e12]] * 250), probe), right) is not None


def test_a_rare_outcome_that_the_reference_did_not_meet_is_no_mistake() -> None:
    probe = Samples(500)
    rows = np.array([[-1.0, 0.0]] * 500)
    once = rows.copy()
    once[7] = [-1.0, 1.0]
    assert compare(sampled(once, probe), sampled(rows, probe)) is None
    often = rows.copy()
    often[::4] = [-1.0, 1.0]
    assert compare(sampled(often, probe), sampled(rows, probe)) is not None


FORGED = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers(-(2**63), 2**63) | st.text(max_size=3)
    | st.sampled_from([ROW, GRID, torch.ones(2), ROW[:0], wire.Opaque("T", "?"), np.float32(1)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner)
    | st.tuples(inner, inner),
    max_leaves=6,
)  # fmt: skip


@given(got=FORGED, expected=FORGED.filter(lambda v: "Opaque" not in repr(v)))
def test_nothing_that_travels_breaks_the_comparison(got: Any, expected: Any) -> None:
    compare(Observation(got), Observation(expected))
    assert compare(Observation(expected), Observation(expected)) is None


def test_a_summary_that_the_answer_made_itself_is_no_measurement() -> None:
    probe = Samples(100)
    forged = Summary(np.zeros(1), np.full(1, 1e9), 100)
    right = summarize(probe, Observation(value=np.arange(100.0)[:, None]))
    mismatch = compare(summarize(probe, Observation(value=forged)), right)
    assert mismatch is not None
    assert mismatch.kind == "type"
