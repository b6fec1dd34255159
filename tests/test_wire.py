"""Plain data survives the journey exactly, and what is not plain data is refused."""

from __future__ import annotations

import base64
import collections
import contextlib
import dataclasses
import enum
import itertools
import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labkit import wire
from labkit.markers import Env, Seed
from labkit.probes import CallError, Mutates, Observation, Part, Samples

ARRAYS = st.sampled_from(sorted(wire.ARRAY_DTYPES)).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, max_side=4, min_side=0))
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | hnp.arrays(np.float32, (1,)).map(lambda array: array[0])
)  # fmt: skip
SLICES = st.tuples(*[st.none() | st.integers(-9, 9) | st.floats() | st.just(np.int32(3))] * 3)
KEYS = st.text(max_size=5) | st.integers(0, 9) | st.tuples(st.integers(0, 3), st.booleans())
VALUES = st.recursive(
    SCALARS | ARRAYS | SLICES.map(lambda parts: slice(*parts)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["t", "v", "dtype", "shape", "value", "x"]), inner)
    ),
    max_leaves=12,
)


def same(left: Any, right: Any) -> bool:
    """Equal in type, dtype, shape and every bit that a comparison can see."""
    if type(left) is not type(right):
        return False
    if isinstance(left, np.ndarray | np.generic):
        return left.dtype == right.dtype and left.shape == right.shape and (
            np.asarray(left).tobytes() == np.asarray(right).tobytes()
        )  # fmt: skip
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, slice):
        return same((left.start, left.stop, left.step), (right.start, right.stop, right.step))
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return bool(left == right)


@given(VALUES)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    raw = wire.dumps(value)
    json.loads(raw, parse_constant=pytest.fail)
    assert same(wire.loads(raw), value)


@pytest.mark.parametrize("dtype", sorted(wire.TENSOR_DTYPES))
def test_tensors_come_back_as_they_were(dtype: str) -> None:
    tensor = torch.arange(6).reshape(2, 3).to(getattr(torch, dtype)).T
    for sent in (tensor, tensor[:0], torch.tensor(1).to(tensor.dtype)):
        back = wire.loads(wire.dumps(sent))
        assert (back.dtype, back.shape) == (sent.dtype, sent.shape)
        assert torch.equal(back, sent)


def test_a_tensor_that_learns_travels_without_its_gradient() -> None:
    back = wire.loads(wire.dumps(torch.ones(2, requires_grad=True)))
    assert not back.requires_grad


@pytest.mark.parametrize(
    "record",
    [
        Seed(3),
        Env("CliffWalking-v1", {"size": 4}, 7),
        Samples(10, 2, Mutates(("Q",))),
        Part(1),
        Observation(np.arange(3), ("Q",)),
        Observation(error=CallError("ValueError", "no", 3, "raise")),
    ],
)
def test_records_come_back_as_they_were(record: Any) -> None:
    back = wire.loads(wire.dumps(record))
    assert type(back) is type(record)
    assert repr(back) == repr(record)


class Color(enum.IntEnum):
    RED = 1


class Sly(float):
    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = float.__hash__


class SlyArray(np.ndarray[Any, Any]):
    def __array__(self, *_: Any) -> Any:
        return np.zeros(3)


@dataclasses.dataclass(frozen=True)
class Stranger:
    value: int = 1


REFUSED = [
    *(Color.RED, Sly(1.0), np.zeros(3).view(SlyArray), Stranger(), object(), {1, 2}, b"x", 1j),
    *(
        lambda: 1,
        range(3),
        slice("a", "b"),
        slice([0], 3),
        collections.OrderedDict(a=1),
        np.array(["x"]),
        2**64,
    ),
    *(np.array([None]), np.ma.masked_array([1.0]), np.array([1], dtype="datetime64[s]"), ...),
]


@pytest.mark.parametrize("value", REFUSED, ids=[type(value).__name__ for value in REFUSED])
def test_what_is_not_plain_data_is_refused(value: Any) -> None:
    for nested in (value, [value], {"x": (value,)}):
        with pytest.raises(wire.WireError):
            wire.dumps(nested)


def test_sparse_tensors_are_refused() -> None:
    with pytest.raises(wire.WireError):
        wire.dumps(torch.eye(3).to_sparse())


def test_opaque_stands_for_what_is_not_data() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    assert wire.loads(wire.dumps([Stranger()], opaque=True)) == [
        wire.Opaque("Stranger", "Stranger(value=1)")
    ]
    assert wire.loads(wire.dumps(Shy(), opaque=True)).text == "(no repr)"
    assert len(wire.loads(wire.dumps(range(10**9), opaque=True)).text) <= 200
    assert wire.loads(wire.dumps(..., opaque=True)).type_name == "ellipsis"
    assert wire.loads(wire.dumps(slice("a"), opaque=True)).type_name == "slice"


def test_a_class_with_a_records_name_is_no_record() -> None:
    @dataclasses.dataclass(frozen=True)
    class Seed:
        value: int = 1

    with pytest.raises(wire.WireError):
        wire.dumps(Seed())


def test_depth_and_count_are_bounded() -> None:
    deep: list[Any] = []
    for _ in range(wire.MAX_DEPTH + 2):
        deep = [deep]
    with pytest.raises(wire.WireError, match="nested too deeply"):
        wire.dumps(deep)
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(wire.WireError):
        wire.dumps(loop)
    with pytest.raises(wire.WireError, match="too many parts"):
        wire.dumps([0] * (wire.MAX_NODES + 1))
    with pytest.raises(wire.WireError):
        wire.loads(b"[" * 100_000)
    with pytest.raises(wire.WireError, match="too many parts"):
        wire.loads(b"[" + b"0," * wire.MAX_NODES + b"0]")


@pytest.mark.parametrize("part", [b"{}", b"[]", b'""', b"0", b'"\\\\"', b'"\\""'])
def test_a_frame_of_many_parts_is_refused_before_they_are_made(
    part: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest frame would take up to 25 times its size as objects."""
    monkeypatch.setattr(wire, "MAX_SEPARATORS", 1000)
    monkeypatch.setattr(json, "loads", pytest.fail)
    with pytest.raises(wire.WireError, match="too many parts"):
        wire.loads(b"[" + (part + b",") * 1001 + part + b"]")


def test_what_stands_in_a_text_is_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_SEPARATORS", 1000)
    text = 'a, "[b]", \\{c}\\",' * 1000
    assert wire.loads(wire.dumps([text, text])) == [text, text]


def test_the_widest_values_are_within_the_bounds() -> None:
    widest = [np.zeros((1,) * wire.MAX_DIMENSIONS)] * 1000
    raw = wire.dumps(widest)
    assert wire.separators(raw, 0) / 1001 < wire.MAX_SEPARATORS / wire.MAX_NODES


def test_keys_that_were_chosen_to_collide_are_refused() -> None:
    """Python hashes -1 and -2 alike, so 2^n tuples of n of them have one hash."""
    bad = dict.fromkeys(itertools.product((-1, -2), repeat=9), 0)
    with pytest.raises(wire.WireError, match="same hash"):
        wire.loads(wire.dumps(bad))
    boards = dict.fromkeys(itertools.product((-1, 0, 1), repeat=8), 0)
    assert wire.loads(wire.dumps(boards)) == boards


@pytest.mark.parametrize("dtype", [">f8", ">i4", ">u2", ">c16", "<f4"])
def test_numbers_of_another_byte_order_keep_their_values(dtype: str) -> None:
    for sent in (np.array([1, 2, 3], dtype), np.array(5, dtype)):
        back = wire.loads(wire.dumps(sent))
        assert np.array_equal(back, sent)
        assert back.dtype == np.dtype(dtype).newbyteorder("=")


def test_a_truth_value_is_zero_or_one() -> None:
    """Seven as a truth value would count for seven in a sum."""
    raw = base64.b64encode(bytes([7, 0, 255])).decode()
    for tag in ("array", "tensor"):
        back = wire.decode({"t": tag, "dtype": "bool", "shape": [3], "v": raw})
        assert np.asarray(back).tobytes() == bytes([1, 0, 1])
    one = wire.decode({"t": "scalar", "dtype": "bool", "v": base64.b64encode(bytes([7])).decode()})
    assert one.tobytes() == bytes([1])


def test_text_that_has_no_bytes_is_replaced() -> None:
    """What a student prints goes into notebooks, pages and tables, all of them UTF-8."""
    sent = ["\ud800=\udcff", {"\udfff": "é \U0001f600"}]
    assert wire.loads(wire.dumps(sent)) == ["?=?", {"?": "é \U0001f600"}]


def test_size_is_bounded() -> None:
    with pytest.raises(wire.WireError, match="more than"):
        wire.dumps(np.zeros(wire.MAX_BYTES // 8))
    with pytest.raises(wire.WireError, match="more than"):
        wire.loads(b" " * (wire.MAX_BYTES + 1))


@given(JSON)
def test_any_json_is_a_value_or_a_wire_error(tree: Any) -> None:
    with contextlib.suppress(wire.WireError):
        wire.loads(json.dumps(tree).encode())


@given(st.binary(max_size=40))
def test_any_bytes_are_a_value_or_a_wire_error(raw: bytes) -> None:
    with contextlib.suppress(wire.WireError):
        wire.loads(raw)


def _array(**changes: Any) -> dict[str, Any]:
    raw = base64.b64encode(np.zeros(2).tobytes()).decode()
    return {"t": "array", "dtype": "float64", "shape": [2], "v": raw} | changes


@pytest.mark.parametrize(
    "tree",
    [
        _array(shape=[3]),
        _array(shape=[-2]),
        _array(shape=[2**40, 2**40]),
        _array(shape=[0] + [2**31 - 1] * 4, v=""),
        _array(t="tensor", shape=[0] + [2**31 - 1] * 4, v=""),
        2**64,
        [-(2**63) - 1],
        _array(shape=[1] * 20 + [2]),
        _array(shape=2),
        _array(shape=[2.0]),
        _array(shape=[True, 2]),
        _array(dtype="object"),
        _array(dtype="float64 "),
        _array(dtype=["float64"]),
        _array(v="AA"),
        _array(v=None),
        _array(t="tensor", dtype="object"),
        _array(t="tensor", shape=[3]),
        {"t": "scalar", "dtype": "float64", "v": ""},
        {"t": "float", "v": "1e999"},
        {"t": "float", "v": float(1)},
        {"t": "dict", "v": [[[1], 2]]},
        {"t": "dict", "v": [[1]]},
        {"t": "slice", "v": [0, 1]},
        {"t": "slice", "v": [0, 1, 2, 3]},
        {"t": "slice", "v": [0, "1", None]},
        {"t": "slice", "v": [0, [1], None]},
        {"t": "slice", "v": [0, _array(), None]},
        {"t": "slice", "v": {"0": 1}},
        {"t": "Part", "v": {"index": -1}},
        {"t": "Part", "v": {"index": True}},
        {"t": "nothing", "v": 1},
        {"t": ["Seed"], "v": {}},
        {"v": 1},
        {},
        {"t": "Seed", "v": {"value": -1}},
        {"t": "Seed", "v": {"value": True}},
        {"t": "Seed", "v": {"seed": 1}},
        {"t": "Seed", "v": {"value": "1"}},
        {"t": "Observation", "v": {"value": 1, "error": "no"}},
        {"t": "Observation", "v": {"changed": ["Q"]}},
        {"t": "Observation", "v": {"timed_out": 1}},
        {"t": "CallError", "v": {"type_name": 1, "message": ""}},
        {"t": "Env", "v": {"id": 1}},
        {"t": "Summary", "v": {"mean": 1, "stderr": 1, "count": 1}},
    ],
    ids=str,
)
def test_malformed_values_are_refused(tree: Any) -> None:
    import labkit.compare  # noqa: F401  (makes Summary a record)

    with pytest.raises(wire.WireError):
        wire.decode(tree)


@pytest.mark.parametrize(
    "raw",
    [b"NaN", b"[Infinity]", b'{"t": "float", "v": NaN}', b"\xff", b"", b"1e999", '"é"'.encode()],
)
def test_bytes_that_are_not_json_are_refused(raw: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.loads(raw)


def test_decoded_arrays_can_be_written_to() -> None:
    array = wire.loads(wire.dumps(np.zeros(2)))
    array[0] = 1.0
    assert array.tolist() == [1.0, 0.0]


def test_torch_that_another_thread_is_importing_is_waited_for() -> None:
    code = """
import sys, threading, time
from labkit import wire
thread = threading.Thread(target=lambda: __import__("torch"))
thread.start()
while "torch" not in sys.modules and thread.is_alive():
    time.sleep(0)
print(hasattr(wire.loaded_torch(), "Tensor"))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "True", result.stderr
