"""One student's process: how long it takes to be ready, and what it costs while it waits."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from autograder.student import Student
from benchmarks.classroom import processes

PRIVATE = ("Private_Clean", "Private_Dirty")
PLAIN = """
import json, sys, time
import gymnasium, labkit, matplotlib.pyplot, numpy, torch, transformers

cells, calls = json.load(sys.stdin)
def run():
    names = {"__name__": "__main__"}
    for source in cells:
        exec(compile(source, "cell", "exec"), names)
    for name, arguments in calls:
        names[name](*[numpy.array(a) if isinstance(a, list) else a for a in arguments])
sys.stdout = sys.stderr
run()
times = []
for _ in range(20):
    started = time.process_time()
    run()
    times.append(time.process_time() - started)
print(sorted(times)[10], file=sys.__stdout__)
"""


def start() -> Student:
    """Start a process for a notebook without files, as the referee does."""
    return Student({}, memory_limit=2048, cpu_seconds=900)


def ready(times: int) -> dict[str, list[float]]:
    """Return seconds of wall time to start a process and to end it, again and again.

    The first one, for which a zygote may have to be made, is left out.
    """
    start().close()
    found: dict[str, list[float]] = {"start": [], "end": []}
    for _ in range(times):
        began = time.perf_counter()
        student = start()
        between = time.perf_counter()
        student.close()
        found["start"].append(between - began)
        found["end"].append(time.perf_counter() - between)
    return found


def idle() -> dict[str, Any]:
    """Return private bytes and processor seconds of one process that has just become ready."""
    start().close()
    before = processes.tree(os.getpid())
    with contextlib.closing(start()):
        found = list(processes.new_descendants(before))
        private = sum(processes.memory(seen.pid, *PRIVATE) for seen in found)
        shared = sum(processes.memory(seen.pid, "Pss") for seen in found)
        seconds = sum(_run_seconds(seen.pid) for seen in found)
    return {
        "processes": len(found),
        "private": private,
        "proportional": shared,
        "cpu_seconds": seconds,
    }


def _run_seconds(pid: int) -> float:
    """Processor time to the nanosecond, where the kernel keeps it."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def plain(cells: list[str], calls: list[tuple[str, list[Any]]]) -> float:
    """Return processor seconds of running cells and calls in a warm, bare Python.

    Args:
        cells: sources, in order.
        calls: names of functions with their arguments; a list stands for an array.
    """
    found = subprocess.run(
        [sys.executable, "-c", PLAIN],
        input=json.dumps([cells, calls]),
        capture_output=True,
        text=True,
        check=True,
    )
    return float(found.stdout)
