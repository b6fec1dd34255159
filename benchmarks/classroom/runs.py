"""One timed command: wall time, processor time of all it started, and who else was computing."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.classroom import processes
from benchmarks.classroom.classes import LABS, TRIVIAL

CORES = 2
LOOK_SECONDS = 0.25


@dataclasses.dataclass
class Run:
    """What one command took.

    Attributes:
        seconds: wall time from its start to its end.
        cpu_seconds: processor time of all its processes.
        load_before, load_after: the machine's load average over a minute.
        others: cores that anybody else kept busy meanwhile, on average.
        roles: processor seconds by role, of processes that live long enough to be seen.
        samples: looks at it, ``(seconds, done, bytes by role)``.
        unreadable: processes whose memory could not be read.
    """

    seconds: float
    cpu_seconds: float
    load_before: float
    load_after: float
    others: float
    roles: dict[str, float]
    samples: list[tuple[float, int, dict[str, int]]]
    unreadable: int

    def plain(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


class FailedError(RuntimeError):
    """A command that was to be measured ended with an error."""


class InterruptedRun(KeyboardInterrupt):
    """Ctrl-C: the command was told and has ended.

    Attributes:
        run: what was measured until then.
    """

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run


def cores() -> list[int]:
    """Return the cores that commands are measured on: two, where there are as many."""
    return sorted(os.sched_getaffinity(0))[:CORES]


def timed(
    command: Sequence[str],
    *,
    folder: Path,
    done: Path,
    size: int,
    words: str,
    environment: dict[str, str] | None = None,
    with_memory: bool = False,
) -> Run:
    """Run a command on two cores and measure it.

    Args:
        command: its arguments.
        folder: where it runs; its output goes to ``log.txt`` there.
        done: file whose lines, or folder whose entries, are finished submissions.
        size: how many there will be.
        words: what the progress bar says.
        environment: of the command; ours by default.
        with_memory: sample memory too.

    Raises:
        FailedError: if it fails.
        InterruptedRun: on Ctrl-C.
    """
    processes.adopt_orphans()
    log = folder / "log.txt"
    chosen = cores()
    load_before, busy = os.getloadavg()[0], processes.busy_seconds()
    used, started = _children_seconds(), time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, chosen),
        )
        watch = processes.Watch(process.pid, done, period=LOOK_SECONDS, with_memory=with_memory)
        watch.start()
        try:
            code = _followed(process, watch, size, words)
        except KeyboardInterrupt:
            code = None
            process.send_signal(signal.SIGINT)
            process.wait()
        finally:
            watch.stop()
    seconds = time.monotonic() - started
    processes.reap_orphans()
    cpu_seconds = _children_seconds() - used
    if code:
        last = log.read_text("utf-8", errors="replace").strip().rpartition("\n")[2]
        raise FailedError(f"{words} ended with code {code}: {last}")
    run = Run(
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        load_before=load_before,
        load_after=os.getloadavg()[0],
        others=max(0.0, (processes.busy_seconds() - busy - cpu_seconds) / seconds),
        roles=watch.cpu_by_role,
        samples=[(round(s.seconds, 2), s.done, s.pss) for s in watch.samples],
        unreadable=max((s.unreadable for s in watch.samples), default=0),
    )
    if code is None:
        raise InterruptedRun(run)
    return run


def _followed(
    process: subprocess.Popen[bytes], watch: processes.Watch, size: int, words: str
) -> int:
    """Show progress until the command ends; return its exit code."""
    with tqdm(total=size, desc=words, unit="submission", leave=False) as bar:
        while True:
            try:
                return process.wait(0.5)
            except subprocess.TimeoutExpired:
                bar.n = min(size, watch.samples[-1].done if watch.samples else 0)
                bar.refresh()


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def grade(
    folder: Path,
    *,
    submissions: Path,
    course: Path,
    size: int,
    workers: int,
    words: str,
    lab: str = TRIVIAL,
    with_memory: bool = False,
    profile: Path | None = None,
) -> Run:
    """Run ``python -m autograder grade`` and measure it; outputs go to ``folder/out``."""
    module = "benchmarks.classroom.cli" if lab == TRIVIAL or profile else "autograder"
    command = [sys.executable, "-m", module]
    if module == "autograder":
        command.append("grade")
    command += [lab, "--submissions", str(submissions), "--out", str(folder / "out")]
    command += ["--course", str(course), "--workers", str(workers)]
    if lab == TRIVIAL:
        command += ["--labs", str(LABS)]
    if profile:
        command += ["--profile", str(profile)]
    root = str(LABS.parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    return timed(
        command,
        folder=folder,
        done=folder / "out" / "results.jsonl",
        size=size,
        words=words,
        environment=os.environ | {"PYTHONPATH": path},
        with_memory=with_memory,
    )


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of ``results.jsonl`` that a measured run has written."""
    text = (folder / "out" / "results.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def machine() -> dict[str, Any]:
    """Return what the benchmarks ran on, and the engine that was measured."""
    from benchmarks.classroom.kept import engine

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": names[0] if names else "unknown",
        "cores used": len(cores()),
        "cores there": os.cpu_count(),
        "memory GiB": round(pages / 2**30, 1),
        "kernel": os.uname().release,
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "engine": engine()["commit"],
    }
