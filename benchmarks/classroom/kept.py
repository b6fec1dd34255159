"""Parts of a long benchmark that an interruption does not lose.

They lie in ``build/bench/grading``, under a digest of the engine's sources: an interrupted
benchmark goes on where it stopped, and a changed engine is measured anew. A benchmark that has
written its results drops its parts, so that the next run measures again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.recording import PARTS

ROOT = Path(__file__).parents[2]
HOME = PARTS / "grading"


@functools.cache
def engine() -> dict[str, str]:
    """Return the commit that is measured, and a digest of what grades as it is on disk."""
    digest = hashlib.sha256()
    for folder in ("autograder", "labs/labkit", "solutions", "benchmarks/classroom"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    git = ["git", "-C", str(ROOT), "log", "-1", "--format=%h"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return {"commit": found.stdout.strip() or "unknown", "digest": digest.hexdigest()[:12]}


def part(benchmark: str, name: str, make: Callable[[], Any]) -> Any:
    """Return what ``make`` measures, from disk if this engine was measured already."""
    path = HOME / benchmark / engine()["digest"] / f"{name}.json"
    if not path.exists():
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(made), encoding="utf-8")
        unfinished.replace(path)
    return json.loads(path.read_text("utf-8"))


def drop(benchmark: str) -> None:
    """Forget a benchmark's parts."""
    shutil.rmtree(HOME / benchmark, ignore_errors=True)


def scratch(benchmark: str, name: str, *, fresh: bool = True) -> Path:
    """Return a folder of a benchmark's own; what an earlier run left there goes if ``fresh``."""
    path = HOME / benchmark / engine()["digest"] / name
    if fresh:
        shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True, exist_ok=True)
    return path
