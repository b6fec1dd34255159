"""Plain data as JSON: the form in which values reach the grader and public cases are stored.

Nothing is ever executed when data is read: exact types only, bounded in size, count and depth.
"""

from __future__ import annotations

import base64
import collections
import dataclasses
import json
import math
import sys
from typing import Any, TypeVar

import numpy as np

MAX_BYTES = 64 << 20
MAX_NODES = 200_000
MAX_DEPTH = 64
MAX_DIMENSIONS = 16
MAX_SEPARATORS = 24 * MAX_NODES  # what opens or parts values in JSON; an array has 21 at most
CHUNK = 1 << 16  # bytes that are looked at together
MAX_COLLISIONS = 256  # keys of one dictionary with the same hash: a lookup compares them all

FLOAT_WIDTHS = ("float16", "float32", "float64")
ARRAY_DTYPES = frozenset(
    ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
) | frozenset((*FLOAT_WIDTHS, "complex64", "complex128"))
TENSOR_DTYPES = frozenset(("bool", "uint8", "int8", "int16", "int32", "int64", "bfloat16")) | (
    frozenset((*FLOAT_WIDTHS, "complex64", "complex128"))
)

RecordType = TypeVar("RecordType", bound=type)
_RECORDS: dict[str, type] = {}


class WireError(ValueError):
    """A value that is not plain data, or bytes that are not a well-formed value."""


@dataclasses.dataclass(frozen=True)
class Opaque:
    """What is left of a value that is not data: its type's name and the start of its repr."""

    type_name: str
    text: str


def loaded_torch() -> Any:
    """Return torch if something imported it, else None.

    Where another thread is just importing it, this waits for the end of that.
    """
    if "torch" not in sys.modules:
        return None
    import torch

    return torch


def record(cls: RecordType) -> RecordType:
    """Let a frozen dataclass of plain data travel; its ``__post_init__`` must refuse bad fields."""
    _RECORDS[cls.__name__] = cls
    return cls


record(Opaque)


def _bytes(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


class _Encoder:
    """Turns one value into a JSON tree and counts its nodes."""

    def __init__(self, *, opaque: bool) -> None:
        self.opaque = opaque
        self.nodes = 0

    def encode(self, value: Any, depth: int = 0) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise WireError("the value is nested too deeply or has too many parts")
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if kind is int:
            if not -(2**63) <= value < 2**64:
                raise WireError("an integer needs more than 64 bits")
            return value
        if kind is float:
            return value if math.isfinite(value) else {"t": "float", "v": repr(value)}
        if kind is list:
            return [self.encode(item, depth + 1) for item in value]
        if kind is tuple:
            return {"t": "tuple", "v": [self.encode(item, depth + 1) for item in value]}
        if kind is slice and all(map(_is_slice_part, _slice_parts(value))):
            return {"t": "slice", "v": [self.encode(p, depth + 1) for p in _slice_parts(value)]}
        if kind is dict:
            pairs = value.items()
            return {
                "t": "dict",
                "v": [[self.encode(k, depth + 1), self.encode(v, depth + 1)] for k, v in pairs],
            }
        if kind is np.ndarray and value.dtype.name in ARRAY_DTYPES:
            native = value.dtype.newbyteorder("=")
            raw = np.ascontiguousarray(value, dtype=native).tobytes()
            return {
                "t": "array",
                "dtype": value.dtype.name,
                "shape": list(value.shape),
                "v": _bytes(raw),
            }
        if isinstance(value, np.generic) and value.dtype.name in ARRAY_DTYPES:
            return {"t": "scalar", "dtype": value.dtype.name, "v": _bytes(value.tobytes())}
        if (torch := loaded_torch()) is not None and isinstance(value, torch.Tensor):
            return self._tensor(value, torch)
        if _RECORDS.get(kind.__name__) is kind:
            fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
            return {
                "t": kind.__name__,
                "v": {k: self.encode(v, depth + 1) for k, v in fields.items()},
            }
        if self.opaque:
            return self.encode(Opaque(kind.__name__[:80], _short_repr(value)), depth)
        raise WireError(f"a {kind.__module__}.{kind.__qualname__} is not plain data")

    def _tensor(self, value: Any, torch: Any) -> Any:
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype not in TENSOR_DTYPES or value.layout != torch.strided:
            raise WireError(f"a torch tensor of type {dtype} cannot be sent")
        flat = value.detach().cpu().contiguous().reshape(-1)
        raw = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        return {"t": "tensor", "dtype": dtype, "shape": list(value.shape), "v": _bytes(raw)}


def _slice_parts(value: slice) -> tuple[Any, Any, Any]:
    return value.start, value.stop, value.step


def _is_slice_part(value: Any) -> bool:
    """True for nothing and for single numbers: what a slice that travels may hold."""
    if value is None or type(value) in (bool, int, float):
        return True
    return isinstance(value, np.generic) and value.dtype.name in ARRAY_DTYPES


def _short_repr(value: Any) -> str:
    try:
        return repr(value)[:200]
    except Exception:  # a student's __repr__ may do anything
        return "(no repr)"


class _Decoder:
    """Turns a JSON tree that nobody vouches for back into plain data."""

    def __init__(self) -> None:
        self.nodes = 0

    def decode(self, node: Any, depth: int = 0) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise WireError("the value is nested too deeply or has too many parts")
        if node is None or type(node) is bool:
            return node
        if type(node) is str:  # half a surrogate pair has no bytes: nothing could write it down
            return node if node.isascii() else node.encode("utf-8", "replace").decode("utf-8")
        if type(node) is int and -(2**63) <= node < 2**64:
            return node
        if type(node) is float and math.isfinite(node):
            return node
        if type(node) is list:
            return [self.decode(item, depth + 1) for item in node]
        if type(node) is not dict or type(node.get("t")) is not str or "v" not in node:
            raise WireError("malformed value")
        tag, body = node["t"], node["v"]
        if tag == "float" and body in ("nan", "inf", "-inf"):
            return float(body)
        if tag == "tuple" and type(body) is list:
            return tuple(self.decode(item, depth + 1) for item in body)
        if tag == "slice" and type(body) is list and len(body) == 3:
            parts = [self.decode(part, depth + 1) for part in body]
            if all(map(_is_slice_part, parts)):
                return slice(*parts)
        if tag == "dict" and type(body) is list:
            return self._dict(
                [(self.decode(k, depth + 1), self.decode(v, depth + 1)) for k, v in body]
            )
        if tag in ("array", "scalar"):
            return self._array(node, is_scalar=tag == "scalar")
        if tag == "tensor":
            return self._tensor(node)
        if tag in _RECORDS and type(body) is dict:
            return _RECORDS[tag](**{k: self.decode(v, depth + 1) for k, v in body.items()})
        raise WireError("unknown kind of value")

    @staticmethod
    def _dict(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
        """A dictionary, unless its keys were chosen to be slow: hashes of numbers are known."""
        if len(pairs) > MAX_COLLISIONS:
            alike = collections.Counter(hash(key) for key, _ in pairs)
            if max(alike.values()) > MAX_COLLISIONS:
                raise WireError("too many keys have the same hash")
        return dict(pairs)

    def _array(self, node: dict[str, Any], *, is_scalar: bool) -> Any:
        if node["dtype"] not in ARRAY_DTYPES:
            raise WireError("unknown array type")
        dtype = np.dtype(node["dtype"])
        shape = () if is_scalar else _shape(node["shape"])
        raw = base64.b64decode(node["v"], validate=True)
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise WireError("an array's bytes do not fit its shape")
        flat = np.frombuffer(raw, dtype=dtype)
        if dtype == np.bool_:  # a byte that is neither 0 nor 1 would count for more than one
            flat = flat.view(np.uint8) != 0
        array = flat.reshape(shape).copy()
        return array[()] if is_scalar else array

    def _tensor(self, node: dict[str, Any]) -> Any:
        import torch

        if node["dtype"] not in TENSOR_DTYPES:
            raise WireError("unknown tensor type")
        dtype: torch.dtype = getattr(torch, node["dtype"])
        shape, raw = _shape(node["shape"]), base64.b64decode(node["v"], validate=True)
        if math.prod(shape) * dtype.itemsize != len(raw):
            raise WireError("a tensor's bytes do not fit its shape")
        if not raw:
            return torch.empty(shape, dtype=dtype)
        flat = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
        return (flat != 0 if dtype == torch.bool else flat.view(dtype)).reshape(shape)


def _shape(node: Any) -> tuple[int, ...]:
    if type(node) is not list or len(node) > MAX_DIMENSIONS:
        raise WireError("bad shape")
    if not all(type(size) is int and 0 <= size < 2**31 for size in node):
        raise WireError("bad shape")
    if math.prod(size or 1 for size in node) > MAX_BYTES:  # also where there is nothing to hold
        raise WireError("bad shape")
    return tuple(node)


def encode(value: Any, *, opaque: bool = False) -> Any:
    """Return a JSON tree that holds ``value``.

    Args:
        value: None, bool, int, float, str, list, tuple, dict, slices of numbers, numpy or torch
            arrays of the usual types, and records (the markers, probes and observations of labkit).
        opaque: replace what is not data by an `Opaque`, instead of refusing it.

    Raises:
        WireError: if ``value`` is not plain data or is too large.
    """
    return _Encoder(opaque=opaque).encode(value)


def decode(tree: Any) -> Any:
    """Return the value that a JSON tree holds; the tree may come from anybody.

    Raises:
        WireError: if the tree is malformed.
    """
    try:
        return _Decoder().decode(tree)
    except WireError:
        raise
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        raise WireError(f"malformed value ({type(error).__name__})") from None


def dumps(value: Any, *, opaque: bool = False) -> bytes:
    """Return ``value`` as bytes of JSON.

    Raises:
        WireError: if ``value`` is not plain data or is larger than `MAX_BYTES`.
    """
    raw = json.dumps(encode(value, opaque=opaque), separators=(",", ":"), allow_nan=False).encode()
    if len(raw) > MAX_BYTES:
        raise WireError(f"the value takes {len(raw)} bytes, more than {MAX_BYTES}")
    return raw


def loads(raw: bytes) -> Any:
    """Return the value in ``raw``; the bytes may come from anybody.

    Raises:
        WireError: if they are malformed or longer than `MAX_BYTES`.
    """
    if len(raw) > MAX_BYTES:
        raise WireError(f"{len(raw)} bytes are more than {MAX_BYTES}")
    if separators(raw, MAX_SEPARATORS) > MAX_SEPARATORS:
        raise WireError("the value has too many parts")
    try:
        tree = json.loads(raw.decode("ascii"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"malformed JSON ({type(error).__name__})") from None
    return decode(tree)


def separators(raw: bytes, enough: int) -> int:
    """Return how many characters of JSON open or part values; 0 if there cannot be ``enough``.

    Parsing makes an object for each, of many times its size, so they are counted before.
    """
    marks = (b"[", b"{", b",")
    if sum(map(raw.count, marks)) <= enough:  # with those in texts
        return 0
    bare = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    count, quotes = 0, 0
    for start in range(0, len(bare), CHUNK):
        part = np.frombuffer(bare, np.uint8, min(CHUNK, len(bare) - start), start)
        before = quotes + np.cumsum(part == ord('"'))
        count += int(np.count_nonzero(np.isin(part, [*map(ord, marks)]) & (before % 2 == 0)))
        quotes = int(before[-1])
    return count


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
