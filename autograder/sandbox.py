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
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import labkit
from autograder import cgroups, lockdown
from autograder.keeper import INTERRUPT, KILL, MEMORY_SLACK
from labkit.frames import Channel, ClosedError
from labkit.wire import WireError

ANSWER_LIMIT = 16 << 20  # bytes of one frame from a student's process
START_SECONDS = 60.0
MAX_SERVERS = 3  # started for one process
END_SECONDS = 10.0  # for a process that was killed to be gone
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
SYSTEM_SETTINGS = ("/etc/alternatives", "/etc/fonts", "/etc/ssl/certs", "/etc/pki/tls/certs")
SERVER = (
    "import sys; sys.path[:0] = sys.argv[3:]; from autograder.zygote import main;"
    " del sys.path[:2]; sys.path.insert(0, sys.argv[4]); main(*map(int, sys.argv[1:3]))"
)


class SandboxError(RuntimeError):
    """A student's process could not be started; the message says why and what helps."""


class LostError(SandboxError):
    """A student's process has gone through no doing of its own: whoever watched it was killed."""


@dataclasses.dataclass(frozen=True)
class Tier:
    """What stands between a student's code and this machine.

    Attributes:
        kind: ``namespaces``, ``barriers`` (Landlock and seccomp alone) or ``none``.
        layers: all that holds, the strongest first.
        lacks: why it is not ``namespaces``, and what helps; empty if it is.
    """

    kind: str
    layers: tuple[str, ...] = ()
    lacks: str = ""

    @property
    def name(self) -> str:
        """The layers in one word."""
        return "+".join(self.layers) or self.kind


NAMESPACES, NONE = Tier("namespaces", ("namespaces",)), Tier("none")
BARRIERS = Tier("barriers")


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        code: its exit code; a signal's number with a minus sign.
        cpu_seconds: time on the processor, of the process and all it waited for.
        peak_bytes: the most memory that one of them had in use, beyond what it was born with.
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


@dataclasses.dataclass(frozen=True)
class Address:
    """Where a fork server listens, for other processes of this machine.

    Attributes:
        path: of its socket, in a folder that only this user may enter.
        tier: what its students' processes are isolated by.
    """

    path: str
    tier: Tier


class ForkServer:
    """The process that students' processes are forked from, until `close`.

    Raises:
        SandboxError: if it cannot be started.
    """

    def __init__(self, kind: str, settings: dict[str, Any]) -> None:
        self._folder = tempfile.mkdtemp(prefix="grader-")
        path = f"{self._folder}/forks"
        self._lifeline, lifeline = socket.socketpair()
        scratch = "" if kind == NAMESPACES.kind else f"{self._folder}/home"
        if scratch:
            Path(scratch).mkdir()
        paths = [str(Path(__file__).parents[1]), str(Path(labkit.__file__).resolve().parents[1])]
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener, lifeline:
            listener.bind(path)
            listener.listen(64)
            numbers = [str(listener.fileno()), str(lifeline.fileno())]
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-B", "-c", SERVER, *numbers, *paths],
                pass_fds=(listener.fileno(), lifeline.fileno()),
                env=_environment(scratch or lockdown.HOME, scratch or "/tmp"),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        self._lifeline.sendall(json.dumps({"tier": kind, **settings}).encode() + b"\n")
        answer = _line(self._lifeline, START_SECONDS)
        if not answer or "problem" in answer:
            raise SandboxError(self._why_not_started(answer or {}))
        self.address = Address(path, Tier(kind, tuple(answer["layers"])))
        self.tier = self.address.tier

    def has_ended(self) -> bool:
        """Whether somebody killed it."""
        return self._process.poll() is not None

    def close(self) -> None:
        """End it, and every process that was forked from it."""
        self._lifeline.close()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __del__(self) -> None:
        self.close()

    def _why_not_started(self, answer: dict[str, Any]) -> str:
        self._lifeline.close()
        _, printed = self._process.communicate()
        if problem := answer.get("problem"):
            return f"This machine cannot isolate student code ({problem}): {_remedy(problem)}."
        last = (printed or b"").decode(errors="replace").strip().rpartition("\n")[2]
        last = last or f"exit code {self._process.returncode}"
        return (
            f"Python did not start in the sandbox ({last}): use a Python and a virtual"
            " environment that every user of this machine can read."
        )


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
                report = _line(self._lifeline, seconds)
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
            report = _line(self._lifeline, START_SECONDS) or {}
        except TimeoutError:
            report = {}
        self._ending = Ending(-1, 0.0, 0, "")
        self.close()
        problem = report.get("problem", f"it ended at once, exit code {report.get('code')}")
        return f"This machine cannot isolate student code ({problem}): {_remedy(problem)}."


# -- fork servers of this process ----------------------------------------------------------------

_servers: dict[str, ForkServer] = {}
_starting = threading.Lock()
_shared: Address | None = None


def share() -> Address:
    """Return where other processes of this machine can have students' processes forked.

    Raises:
        SandboxError: if there is no sandbox.
    """
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
    """Return this process's own fork server of a kind, started if it is not there."""
    visible, needed = _visible(Path(labkit.__file__).resolve().parent)
    settings = {"visible": visible, "hidden": _hidden(), "needed": needed}
    key = json.dumps([kind, os.getpid(), settings])
    with _starting:
        if key not in _servers or _servers[key].has_ended():
            _servers[key] = ForkServer(kind, settings)
        return _servers[key]


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


def _line(connection: socket.socket, seconds: float) -> dict[str, Any] | None:
    """Return one line of JSON; None if the other side has gone.

    Raises:
        TimeoutError: if it does not come in time.
    """
    connection.settimeout(seconds)
    line = b""
    try:
        while b"\n" not in line:
            chunk = connection.recv(4096)
            if not chunk:
                return None
            line += chunk
    except TimeoutError:
        raise
    except OSError:
        return None
    report: dict[str, Any] = json.loads(line.partition(b"\n")[0])
    return report


def _remedy(problem: str) -> str:
    if "cannot be read" in problem:
        return "put Python and the virtual environment where every user can read them"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "run `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or grade as root"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "run `sudo sysctl kernel.unprivileged_userns_clone=1`, or grade as root"
    if _setting("user/max_user_namespaces") == "0":
        return "run `sudo sysctl user.max_user_namespaces=10000`, or grade as root"
    if os.geteuid() == 0:
        return (
            "in a container, start it with `--cap-add SYS_ADMIN --security-opt"
            " seccomp=unconfined --security-opt apparmor=unconfined`"
        )
    return "grade as root, or on a machine that lets users make namespaces"


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


@functools.cache
def _visible(package: Path) -> tuple[list[str], list[str]]:
    """Paths that are shown inside, and those of them that Python cannot do without."""
    real = Path(sys.executable).resolve().parent.parent
    needed = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(real), str(package)}
    needed.update(
        path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")
    )
    needed = {path for path in needed if Path(path).is_dir()}
    optional = (path for path in (*SYSTEM, *SYSTEM_SETTINGS) if os.path.lexists(path))
    return sorted({*optional, *needed}), sorted(needed)


@functools.cache
def _hidden() -> list[str]:
    """Folders of the course that a visible folder must not show."""
    package = Path(__file__).resolve().parent
    if (package.parent / "pyproject.toml").exists():
        return [str(package.parent)]
    return [str(package), str(package.parent / "solutions")]


def _environment(home: str, scratch: str) -> dict[str, str]:
    """The student's environment variables: none of ours."""
    return {
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HUB_OFFLINE": "1",
        "HOME": home,
        "IPYTHONDIR": f"{home}/.ipython",
        "LANG": "C.UTF-8",
        "LOGNAME": "student",
        "MKL_NUM_THREADS": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MPLCONFIGDIR": f"{home}/.matplotlib",
        "NBGRADER_EXECUTION": "autograde",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "TMPDIR": scratch,
        "TOKENIZERS_PARALLELISM": "false",
        "USER": "student",
    }
