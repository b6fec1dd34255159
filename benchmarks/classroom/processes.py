"""What a tree of processes costs, read from ``/proc``: processor time and memory, by role.

Memory is the proportional set size: a page that several processes share counts once, divided
among them. Linux only, as grading is.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclasses.dataclass(frozen=True)
class Seen:
    """One process at one moment.

    Attributes:
        command: its command line.
        cpu_seconds: its own processor time, without its children's.
        pids: its number in each process namespace that it is in, ours first.
    """

    pid: int
    parent: int
    command: str
    cpu_seconds: float
    pids: tuple[int, ...]


def tree(root: int) -> list[Seen]:
    """Return a process and its descendants; who ends meanwhile is left out."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError):
            found.append(_seen(pid))
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return found


def _seen(pid: int) -> Seen:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    command = (
        Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    )
    cpu_seconds = (int(fields[11]) + int(fields[12])) / TICKS
    status = Path(f"/proc/{pid}/status").read_text()
    pids = next(line for line in status.splitlines() if line.startswith("NSpid:"))
    return Seen(
        pid, int(fields[1]), command.strip(), cpu_seconds, tuple(map(int, pids.split()[1:]))
    )


def roles(found: list[Seen], root: int) -> dict[int, str]:
    """Return what each process of a grader is there for.

    ``writer``: the command itself, which keeps the gradebook; ``referee``: a worker that judges;
    ``zygote``: a fork server, and what holds its namespace; ``student``: what was forked from it;
    ``helper``: what Python's multiprocessing needs, such as what workers are forked from.

    Args:
        found: parents before their children.
        root: the command's process.
    """
    depth = next((len(seen.pids) for seen in found if seen.pid == root), 1)
    known: dict[int, str] = {}
    for seen in found:
        above = known.get(seen.parent, "")
        first_of_namespace = seen.pids[-1] == 1 and len(seen.pids) == depth + 1
        if seen.pid == root:
            known[seen.pid] = "writer"
        elif above == "student" or (above == "zygote" and not first_of_namespace):
            known[seen.pid] = "student"
        elif above == "zygote" or "autograder.zygote" in seen.command:
            known[seen.pid] = "zygote"
        elif above == "writer" and any(word in seen.command for word in HELPERS):
            known[seen.pid] = "helper"
        else:
            known[seen.pid] = "referee"
    return known


def memory(pid: int, *fields: str) -> int:
    """Return the sum of fields of ``smaps_rollup`` in bytes, 0 for a process that has gone.

    Args:
        pid: the process.
        fields: such as ``Pss`` or ``Private_Dirty``.

    Raises:
        PermissionError: if the process belongs to somebody else.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    wanted = tuple(f"{field}:" for field in fields)
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(wanted))


def busy_seconds() -> float:
    """Return the processor time that this machine has spent on anything since it started."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields)
    return (user + nice + system + irq + softirq + steal) / TICKS


def adopt_orphans() -> None:
    """Let orphaned descendants come to this process, so that their processor time is counted."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_orphans(seconds: float = 5.0) -> None:
    """Wait until no child is left, or until the time is up."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.01)


@dataclasses.dataclass(frozen=True)
class Sample:
    """One look at a tree of processes.

    Attributes:
        seconds: since the first look.
        done: submissions finished by then.
        pss: bytes by role; empty if memory was not asked for.
        unreadable: processes whose memory this user may not read.
    """

    seconds: float
    done: int
    pss: dict[str, int]
    unreadable: int


class Watch(threading.Thread):
    """Looks at a tree of processes until told to stop.

    Args:
        root: the process at the top.
        done: file whose lines, or folder whose entries, are finished submissions.
        period: seconds between looks.
        with_memory: read memory too, which takes the kernel some milliseconds per process.
    """

    def __init__(self, root: int, done: Path, *, period: float, with_memory: bool) -> None:
        super().__init__(daemon=True)
        self.samples: list[Sample] = []
        self._root, self._done = root, done
        self._period, self._with_memory = period, with_memory
        self._cpu: dict[int, float] = {}
        self._roles: dict[int, str] = {}
        self._ended = threading.Event()
        self._begun = time.monotonic()

    def run(self) -> None:
        while not self._ended.wait(self._period):
            found = tree(self._root)
            self._roles |= roles(found, self._root)
            self._cpu |= {seen.pid: seen.cpu_seconds for seen in found}
            pss, unreadable = self._pss(found) if self._with_memory else ({}, 0)
            moment = time.monotonic() - self._begun
            self.samples.append(Sample(moment, count(self._done), pss, unreadable))

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self.join()

    @property
    def cpu_by_role(self) -> dict[str, float]:
        """Processor seconds by role, as far as was seen of each process."""
        sums: dict[str, float] = {}
        for pid, seconds in self._cpu.items():
            role = self._roles[pid]
            sums[role] = sums.get(role, 0.0) + seconds
        return sums

    def _pss(self, found: list[Seen]) -> tuple[dict[str, int], int]:
        sums: dict[str, int] = {}
        unreadable = 0
        for seen in found:
            try:
                role = self._roles[seen.pid]
                sums[role] = sums.get(role, 0) + memory(seen.pid, "Pss")
            except PermissionError:
                unreadable += 1
        return sums, unreadable


def count(path: Path) -> int:
    """Return the number of lines of a file or of entries of a folder; 0 if it is not there."""
    try:
        if path.is_dir():
            return sum(1 for _ in path.iterdir())
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def new_descendants(before: list[Seen]) -> Iterator[Seen]:
    """Yield the descendants of this process that ``before`` does not hold."""
    known = {seen.pid for seen in before}
    for seen in tree(os.getpid()):
        if seen.pid not in known:
            yield seen
