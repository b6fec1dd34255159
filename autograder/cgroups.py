"""A control group for one student's processes: the kernel itself then bounds all their memory.

Used where a control group may be made below the grader's own: as root on most machines, elsewhere
where systemd or a container's owner has handed one over. Version 2 and version 1 of the hierarchy.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
from pathlib import Path

MOUNTS, OWN = Path("/proc/self/mounts"), Path("/proc/self/cgroup")
_numbers = itertools.count()


@dataclasses.dataclass
class Group:
    """A control group that exists until `remove`.

    Attributes:
        path: its folder.
        entrance: an open file; a process that writes ``0`` to it belongs to the group.
    """

    path: Path
    entrance: int

    def ran_out(self) -> bool:
        """Whether the kernel killed one of its processes for memory."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError, ValueError):
                lines = (line.split() for line in (self.path / name).read_text().splitlines())
                return int(dict(line for line in lines if len(line) == 2)["oom_kill"]) > 0
        return False

    def remove(self) -> None:
        """Remove the group; its processes have ended."""
        os.close(self.entrance)
        with contextlib.suppress(OSError):  # of one that is still ending, a folder stays
            self.path.rmdir()


def make(memory: int) -> Group | None:
    """Return a new control group whose processes share ``memory`` bytes, or None.

    Files in memory count too, so ``memory`` must leave room for them.
    """
    for parent, limit in _parents():
        path = parent / f"student-{os.getpid()}-{next(_numbers)}"
        try:
            path.mkdir()
        except OSError:
            continue
        try:
            (path / limit).write_text(str(memory))
            entrance = os.open(path / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:  # this hierarchy does not count memory here
            path.rmdir()
            continue
        for name in ("memory.swap.max", "memory.oom.group"):
            with contextlib.suppress(OSError):
                (path / name).write_text("0" if name == "memory.swap.max" else "1")
        return Group(path, entrance)
    return None


def _parents() -> list[tuple[Path, str]]:
    """Folders of the grader's own groups that may count memory, and the name of the limit."""
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
        own = [line.split(":", 2) for line in OWN.read_text().splitlines()]
    except OSError:
        return []
    found = []
    for _, place, kind, options, *_ in mounts:
        for number, controllers, path in own:
            if kind == "cgroup2" and number == "0":
                found.append((Path(place + path), "memory.max"))
            elif (
                kind == "cgroup"
                and "memory" in options.split(",")
                and "memory" in controllers.split(",")
            ):
                found.append((Path(place + path), "memory.limit_in_bytes"))
    return found
