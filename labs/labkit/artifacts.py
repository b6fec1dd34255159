"""Trained parameters as a file: arrays by name, in the safetensors format, which holds no code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from labkit import session
from labkit.compare import as_array

MAX_ARTIFACT_BYTES = 32 << 20
SUFFIX = ".safetensors"


class ArtifactError(ValueError):
    """A file that holds no readable arrays, with the reason."""


def save_artifact(name: str, tensors: Mapping[str, Any]) -> None:
    """Write arrays next to the notebook, in the file that you hand in with it.

    Args:
        name: of the file, ending in ``.safetensors``.
        tensors: numpy arrays, torch tensors or numbers by name.

    Raises:
        ValueError: if the name has another ending, something is not an array of finite numbers, or
            the file would be too large.
    """
    from safetensors.numpy import save

    if not name.endswith(SUFFIX) or Path(name).name != name:
        raise ValueError(f"an artifact is a file named like agent{SUFFIX}, not {name!r}")
    arrays = {key: _plain(key, value) for key, value in tensors.items()}
    raw = save(arrays)
    if len(raw) > MAX_ARTIFACT_BYTES:
        raise ValueError(f"{name} would take {len(raw) >> 20} of {MAX_ARTIFACT_BYTES >> 20} MiB")
    write_whole(session.folder() / name, raw)
    shapes = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
    print(f"Saved {name}: {shapes}")


def load_artifact(source: str | os.PathLike[str] | bytes) -> dict[str, np.ndarray]:
    """Return the arrays of an artifact by name.

    Args:
        source: the file, or its bytes, which may come from anybody.

    Raises:
        ArtifactError: if it is too large or not in the safetensors format.
        OSError: if the file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    raw = source if isinstance(source, bytes) else _read(Path(source))
    if len(raw) > MAX_ARTIFACT_BYTES:
        raise ArtifactError(f"it is larger than {MAX_ARTIFACT_BYTES >> 20} MiB")
    try:
        return dict(load(raw))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"it is damaged ({type(error).__name__})") from None


def write_whole(path: Path, raw: bytes) -> None:
    """Write a file so that nobody ever sees half of it.

    Raises:
        OSError: if it cannot be written; nothing is left behind then.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_ARTIFACT_BYTES + 1)


def _plain(key: str, value: Any) -> np.ndarray:
    array = as_array(value)
    if array is None or array.dtype.kind not in "biuf":
        raise ValueError(f"{key!r} is a {type(value).__name__}, not an array of numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"{key!r} holds numbers that are not finite (NaN or infinity)")
    return np.array(array, order="C")
