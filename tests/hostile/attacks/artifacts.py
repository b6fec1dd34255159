"""Attacks by the file of trained weights that the grader reads itself."""

import json
import pickle
import struct
from typing import Any

from tests.hostile.declare import Attack, Goal, link, special

NAME = "weights.safetensors"
STOPPED: Goal = "run stopped or delayed"


class Runs:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import pathlib; pathlib.Path('@ROOM@/@LEFT@').write_text('here')",)


def tensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """Return a safetensors file with any header and any claim about its length."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def floats(*numbers: float) -> bytes:
    return struct.pack(f"<{len(numbers)}d", *numbers)


def one(shape: list[int], dtype: str = "F64", end: int = 24) -> dict[str, Any]:
    return {"weights": {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}}


def claimed(name: str, tries: str, raw: bytes, goal: Goal = "points gained") -> Attack:
    return Attack(name, tries, goal, files={NAME: raw})


ATTACKS = (
    claimed(
        "pickle-in-disguise",
        "hands in a pickle that runs code under the name of weights",
        pickle.dumps({"weights": Runs()}, protocol=0),
        "another's grade changed",
    ),
    claimed(
        "endless-header",
        "announces a header of 2^63 bytes",
        tensors(b"{}", length=2**63),
        STOPPED,
    ),
    claimed(
        "deep-header",
        "nests the header a hundred thousand levels deep",
        tensors(b'{"weights":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        STOPPED,
    ),
    claimed(
        "many-tensors",
        "declares fifty thousand empty tensors",
        tensors(
            {f"t{i}": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]} for i in range(50_000)}
        ),
        STOPPED,
    ),
    claimed(
        "overflowing-shape",
        "declares a shape whose number of bytes overflows to the right one",
        tensors(one([2**61, 2**3, 3]), floats(1, 2, 3)),
        STOPPED,
    ),
    claimed(
        "lying-offsets",
        "points its weights at bytes before and after the file",
        tensors(one([3], end=10**12), floats(1, 2, 3)),
    ),
    claimed(
        "weights-that-are-not",
        "hands in weights that are not numbers, so that every comparison fails to fail",
        tensors(one([3]), floats(float("nan"), float("nan"), float("nan"))),
    ),
    claimed(
        "claims-its-score",
        "claims a score and a distance of zero in the file's metadata",
        tensors(
            {"__metadata__": {"score": "2", "distance": "0", "passed": "true"}, **one([3])},
            floats(0, 0, 0),
        ),
    ),
    Attack(
        "weights-of-the-course",
        "hands in a link to the course's seed in place of weights",
        "secret read",
        files={NAME: b""},
        plant=link(NAME, "SEED"),
        first=("import pathlib\nfor p in pathlib.Path('.').iterdir():\n    print(p.read_bytes())",),
    ),
    Attack(
        "weights-that-never-come",
        "hands in a pipe in place of weights, which blocks who reads it",
        STOPPED,
        files={NAME: b""},
        plant=special(NAME, lambda path: __import__("os").mkfifo(path)),
    ),
)
