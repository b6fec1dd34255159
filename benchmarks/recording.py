"""Where measured numbers go: ``results/NAME.json``, with date, device and versions beside them."""

from __future__ import annotations

import datetime
import json
import platform
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results"
PARTS = Path(__file__).parent.parent / "build" / "bench"
PACKAGES = ("numpy", "torch", "gymnasium")


def machine(device: str = "cpu") -> dict[str, Any]:
    """Return when, on what and with which versions something is measured."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    name = platform.machine()
    if device == "cuda":
        import torch

        name = torch.cuda.get_device_name()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": device,
        "device_name": name,
        "versions": versions,
    }


def write(name: str, measured: Mapping[str, Any], *, device: str = "cpu") -> Path:
    """Write ``results/NAME.json`` and return its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    text = json.dumps({**machine(device), **measured}, indent=1, default=_plain)
    path.write_text(text + "\n", encoding="utf-8")
    sys.stderr.write(f"wrote {path}\n")
    return path


def read(name: str) -> dict[str, Any]:
    """Return what ``results/NAME.json`` holds."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def part(name: str, make: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return the arrays that ``make`` computes, from disk if an earlier run already did.

    Parts lie in ``build/bench`` and let an interrupted benchmark go on where it stopped.
    """
    path = PARTS / f"{name}.npz"
    if not path.exists():
        arrays = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished.npz")
        np.savez(unfinished, **arrays)  # type: ignore[arg-type]
        unfinished.replace(path)
    with np.load(path) as stored:
        return dict(stored)


def spread(values: np.ndarray) -> dict[str, Any]:
    """Return count, mean, standard deviation and standard error of a sample."""
    sd = float(values.std(ddof=1))
    return {
        "count": len(values),
        "mean": round(float(values.mean()), 4),
        "sd": round(sd, 4),
        "stderr": round(sd / len(values) ** 0.5, 4),
    }


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)
