"""The sandbox: starts the process that runs one student's notebook, or says why it can't.

A fork server (`autograder.zygote`) has imported what notebooks use; each student's process is a
fork of it, locked down before it runs a line. Linux namespaces are the sandbox, as root or as an
ordinary user, with Landlock and seccomp on top; where namespaces are missing, these two alone.
Nothing of the course but labkit is inside.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from pathlib import Path

import labkit
from autograder import cgroups, fork_server, lockdown
from autograder.fork_server import (
    ALL_LIBRARIES,
    BARRIERS,
    NAMESPACES,
    NONE,
    START_SECONDS,
    Address,
    ForkServer,
    SandboxError,
    Tier,
    read_line,
)
from autograder.keeper import INTERRUPT, KILL, MEMORY_SLACK
from labkit.frames import Channel, ClosedError
from labkit.wire import WireError

__all__ = [
    "BARRIERS",
    "NAMESPACES",
    "NONE",
    "Address",
    "Ending",
    "LostError",
    "Process",
    "SandboxError",
    "Tier",
    "available",
    "share",
    "use",
]

ANSWER_LIMIT = 16 << 20  # bytes of one frame from a student's process
MAX_SERVERS = 3  # started for one process
END_SECONDS = 10.0  # for a process that was killed to be gone


class LostError(SandboxError):
    """A student's process has gone through no doing of its own: whoever watched it was killed."""


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        code: its exit code; a signal's number with a minus sign.
        cpu_seconds: time on the processor, of the process and all it waited for.
        peak_bytes: the most memory that one of them had in use, beyond what it was born with; 0 if
            that is too little to tell from the pages of libraries (measured: up to 16 MiB).
        killed_for: "memory" if it was ended for that, else empty.
    """

    code: int
    cpu_seconds: float
    peak_bytes: int
    killed_for: str


@functools.cache
def available() -> Tier | str:
    """Return the sandbox that this machine offers, or one sentence: why none, and what helps."""
    if sys.platform != "linux":
        return (
            "Submissions are graded on Linux only, since nothing else isolates them: use a Linux"
            " machine, WSL 2 or a container."
        )
    reasons = []
    for kind in (NAMESPACES.kind, BARRIERS.kind):
        try:
            tier = _server(kind).tier
            Process(memory_limit=1024, cpu_seconds=60, tier=tier).close()
        except SandboxError as error:
            reasons.append(str(error))
            continue
        return dataclasses.replace(tier, lacks=reasons[0] if reasons else "")
    return reasons[0]


class Process:
    """One student's process, ready to answer on its `channel`.

    Args:
        memory_limit: MiB, for each of its processes and for all of them together.
        cpu_seconds: limit on processor time of each of its processes.
        isolate: False runs it with this user's rights, for code that is trusted.
        tier: by default the strongest that this machine offers.

    Raises:
        SandboxError: if it cannot be started.
    """

    def __init__(
        self,
        *,
        memory_limit: int,
        cpu_seconds: int,
        isolate: bool = True,
        tier: Tier | None = None,
    ) -> None:
        self.tier = tier or (_usual() if isolate else NONE)
        memory = memory_limit << 20
        self._folder = self._group = None
        if self.tier.kind != NAMESPACES.kind:
            self._folder = tempfile.mkdtemp(prefix="notebook-")
        if self.tier.kind != NONE.kind:
            self._group = cgroups.make(memory + MEMORY_SLACK + lockdown.PRIVATE_BYTES)
        order = {"memory": memory, "cpu_seconds": cpu_seconds, "folder": self._folder}
        ours, theirs = socket.socketpair()
        self._lifeline, lifeline = socket.socketpair()
        self.channel = Channel(ours, limit=ANSWER_LIMIT)
        self._ending: Ending | None = None
        try:
            with theirs, lifeline:
                given = [theirs.fileno(), lifeline.fileno()]
                given += [self._group.entrance] if self._group else []
                _fork(self.tier.kind, json.dumps(order).encode(), given)
            self.channel.receive(seconds=START_SECONDS)
        except (ClosedError, TimeoutError, WireError):
            raise SandboxError(self._why_not_started()) from None
        except BaseException:
            self.close()
            raise

    def interrupt(self) -> None:
        """Send the student's code a KeyboardInterrupt."""
        self._order(INTERRUPT)

    def kill(self) -> None:
        """End the process and all it started, now."""
        self._order(KILL)

    def wait(self, seconds: float) -> Ending | None:
        """Return how the process ended, or None if it is still there after ``seconds``.

        Raises:
            LostError: if whoever would know was killed.
        """
        if self._ending is None:
            try:
                report = read_line(self._lifeline, seconds)
            except TimeoutError:
                return None
            if report is None:
                raise LostError("the process that watched a student's process was killed")
            self._ending = Ending(**report)
            if self._group and self._ending.code and self._group.ran_out():
                self._ending = dataclasses.replace(self._ending, killed_for="memory")
        return self._ending

    def close(self) -> Ending | None:
        """End the process if it has not ended, clean up, and return how it ended if known."""
        self.channel.close()
        try:
            self._lifeline.shutdown(socket.SHUT_WR)  # whoever watches it then kills it, and goes
            ending = self.wait(END_SECONDS)
        except (OSError, LostError):
            ending = self._ending
        self._lifeline.close()
        if self._group is not None:
            self._group.remove()
            self._group = None
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        return ending

    def _order(self, letter: bytes) -> None:
        try:
            self._lifeline.sendall(letter)
        except OSError:  # it has ended by itself
            return

    def _why_not_started(self) -> str:
        self.kill()
        try:
            report = read_line(self._lifeline, START_SECONDS) or {}
        except TimeoutError:
            report = {}
        self._ending = Ending(-1, 0.0, 0, "")
        self.close()
        problem = report.get("problem", f"it ended at once, exit code {report.get('code')}")
        return fork_server.cannot_isolate(problem)


# -- fork servers of this process ----------------------------------------------------------------

_servers: dict[tuple[str, frozenset[str]], ForkServer] = {}
_starting = threading.Lock()
_shared: Address | None = None
_libraries = ALL_LIBRARIES  # that this process's fork servers import beside the usual


def share(libraries: frozenset[str] = ALL_LIBRARIES) -> Address:
    """Return where other processes of this machine can have students' processes forked.

    Args:
        libraries: those of `fork_server.ALL_LIBRARIES` that are sure to be used: to import one
            takes long, in each student's process if not here.

    Raises:
        SandboxError: if there is no sandbox.
    """
    global _libraries
    _libraries = libraries
    return _server(_usual().kind).address


def use(address: Address) -> None:
    """Have students' processes forked by another process's server, while that lives."""
    global _shared
    _shared = address


def _usual() -> Tier:
    if _shared is not None:
        return _shared.tier
    tier = available()
    if isinstance(tier, str):
        raise SandboxError(tier)
    return tier


def _server(kind: str) -> ForkServer:
    """Return this process's own fork server of a kind, started if there is none with enough."""
    visible, needed = fork_server.visible_paths(Path(labkit.__file__).resolve().parent)
    settings = {"visible": visible, "hidden": fork_server.hidden_paths(), "needed": needed}
    key = json.dumps([kind, os.getpid(), settings])
    with _starting:
        wanted = _libraries
        for (theirs, libraries), server in _servers.items():
            if theirs == key and libraries >= wanted and not server.has_ended():
                return server
        # another one may have students' processes, so that it stays
        server = _servers[key, wanted] = ForkServer(kind, settings, wanted)
        return server


def _fork(kind: str, order: bytes, descriptors: list[int]) -> None:
    """Have a process forked; if the server has gone, by a new one."""
    if _shared is not None and _shared.tier.kind == kind and _asked(_shared, order, descriptors):
        return
    for _ in range(MAX_SERVERS):
        server = _server(kind)
        if _asked(server.address, order, descriptors):
            return
        server.close()  # what is left of it
    raise SandboxError("the fork server is killed whenever it is started")


def _asked(address: Address, order: bytes, descriptors: list[int]) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        try:
            connection.connect(address.path)
            socket.send_fds(connection, [order], descriptors)
        except OSError:
            return False
    return True
