"""Keeps an eye on one student's process from outside: orders, its memory, how it ended.

The fork server keeps all that it has forked. With the grader a keeper talks over a socket, the
lifeline: the grader's orders are single letters, the report at the end is one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from resource import struct_rusage

MEMORY_SLACK = 64 << 20  # bytes of a whole tree of processes beyond the limit of one
INTERRUPT, KILL = b"I", b"K"


class Keeper:
    """Of one process.

    Args:
        pid: a child of this process, just forked.
        lifeline: to the grader.
        memory: bytes for the process and its descendants beyond what it inherited; 0: no limit.
    """

    def __init__(self, pid: int, lifeline: socket.socket, memory: int) -> None:
        self.pid, self.lifeline, self._memory = pid, lifeline, memory
        self._inherited = _sum_fields(os.getpid(), "status", ("RssAnon:", "RssShmem:"))
        self._files = 0  # bytes of libraries that it has in use, which nobody owns
        self._killed_for = ""
        self.listening = True

    def obey(self) -> None:
        """Do what the grader says; if it has hung up, or has gone, end the process."""
        order = b""
        with contextlib.suppress(OSError):
            order = self.lifeline.recv(1)
        self.listening = bool(order)
        os.kill(self.pid, signal.SIGINT if order == INTERRUPT else signal.SIGKILL)

    def look(self) -> None:
        """End the process if it and all it started own too much memory."""
        limit = self._memory + MEMORY_SLACK
        self._files = _sum_fields(self.pid, "status", ("RssFile:",)) or self._files
        if self._memory and memory_of(self.pid, limit + self._inherited, limit) > limit:
            self._killed_for = "memory"
            os.kill(self.pid, signal.SIGKILL)

    def report(self, status: int, usage: struct_rusage) -> None:
        """Tell the grader how the process ended, and hang up."""
        told = {
            "code": os.waitstatus_to_exitcode(status),
            "cpu_seconds": usage.ru_utime + usage.ru_stime,
            "peak_bytes": max((usage.ru_maxrss << 10) - self._inherited - self._files, 0),
            "killed_for": self._killed_for,
        }
        with contextlib.suppress(OSError):
            self.lifeline.sendall(json.dumps(told).encode() + b"\n")
        self.lifeline.close()


def memory_of(pid: int, enough: int, limit: int) -> int:
    """Bytes that a tree of processes owns; at most ``limit`` if a glance shows no more than that.

    Args:
        pid: the first process.
        enough: what the glance may show: pages of the fork server count for each process there.
        limit: what is returned then.
    """
    family = list(_family(pid))
    glance = sum(_sum_fields(each, "status", ("RssAnon:", "RssShmem:")) for each in family)
    if glance <= enough:
        return min(glance, limit)
    return sum(_sum_fields(each, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) for each in family)


def _family(pid: int) -> Iterator[int]:
    """The process and all its descendants; who loses a parent goes to the first process."""
    yield pid
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


def _sum_fields(pid: int, file: str, fields: tuple[str, ...]) -> int:
    """Sum of fields of a status file in bytes; 0 for a process that has gone."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
        return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(fields))
    return 0
