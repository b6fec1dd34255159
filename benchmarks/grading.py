"""Grading a class: what ``make bench-grading`` runs, one part after the other.

``python -m benchmarks grading`` runs all; each part is a module ``benchmarks.grading_*`` with its
own options for smaller sizes. An interrupted benchmark goes on where it stopped.
"""

from __future__ import annotations

import fcntl
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import recording
from benchmarks.classroom import kept


def finish(name: str, measure: Callable[[], dict[str, Any]], *, dry: bool) -> None:
    """Measure, write the results and drop the parts; wait while another run measures the same.

    Args:
        name: of the benchmark.
        measure: returns what its results hold.
        dry: print the results and write none.
    """
    kept.HOME.mkdir(parents=True, exist_ok=True)
    with (kept.HOME / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = measure()
        if dry:
            print(json.dumps(found, indent=1))
        else:
            recording.write(name, found)
        kept.drop(name)


def middle(values: Sequence[float], digits: int = 3) -> dict[str, float]:
    """Return median, smallest and largest of repeated measurements."""
    return {
        "median": round(statistics.median(values), digits),
        "low": round(min(values), digits),
        "high": round(max(values), digits),
    }


def conditions(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how busy the machine was while something was measured.

    Attributes of the result: the load average before each run, and the cores that others used.
    """
    return {
        "load before": middle([run["load_before"] for run in runs], 2),
        "cores that others used": middle([run["others"] for run in runs], 2),
    }


def slope(small: dict[str, Any], large: dict[str, Any], sizes: tuple[int, int], key: str) -> float:
    """Return what one more submission adds to ``key``, start and end being the same for both."""
    return float((large[key] - small[key]) / (sizes[1] - sizes[0]))
