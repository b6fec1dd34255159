"""The sandbox: starts the process that runs one student's notebook, or says why it can't.

Linux namespaces through the kernel's own calls, as root or as an ordinary user: a root folder of
read-only pieces, no network, no view of other processes, no rights, bounded memory, processes,
files and time. Nothing of the course but labkit is inside.
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
from pathlib import Path
from typing import Any

import labkit
from autograder import lockdown
from labkit.frames import Channel, ClosedError
from labkit.wire import WireError

ANSWER_LIMIT = 16 << 20  # bytes of one frame from a student's process
START_SECONDS = 60.0
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
SYSTEM_SETTINGS = ("/etc/alternatives", "/etc/fonts", "/etc/ssl/certs", "/etc/pki/tls/certs")
RUNNER = (
    "import sys; sys.path.insert(0, sys.argv[1]); from labkit.runner import main;"
    " main(int(sys.argv[2]))"
)


class SandboxError(RuntimeError):
    """A student's process could not be started; the message says why and what helps."""


@dataclasses.dataclass(frozen=True)
class Tier:
    """What stands between a student's code and this machine."""

    name: str


NAMESPACES, NONE = Tier("namespaces"), Tier("none")


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a process ended.

    Attributes:
        code: its exit code; a signal's number with a minus sign.
        cpu_seconds: time on the processor, of the process and all it waited for.
        peak_bytes: the most memory that one of them had in use.
        killed_for: "memory" if the launcher ended it for that, else empty.
    """

    code: int
    cpu_seconds: float
    peak_bytes: int
    killed_for: str


LOST = Ending(-9, 0.0, 0, "")  # somebody killed the launcher, and the process with it


@functools.cache
def available() -> Tier | str:
    """Return the sandbox that this machine offers, or one sentence: why none, and what helps."""
    if sys.platform != "linux":
        return (
            "Submissions are graded on Linux only, since nothing else isolates them: use a Linux"
            " machine, WSL 2 or a container."
        )
    try:
        Process(memory_limit=1024, cpu_seconds=60, diagnose=True).close()
    except SandboxError as error:
        return str(error)
    return NAMESPACES


class Process:
    """One student's process, ready to answer on its `channel`.

    Args:
        memory_limit: MiB, for each of its processes and for all of them together.
        cpu_seconds: limit on processor time of each of its processes.
        isolate: False runs it with this user's rights, for code that is trusted.
        diagnose: keep what Python prints when it cannot start; the process is for a probe only.

    Raises:
        SandboxError: if it cannot be started.
    """

    def __init__(
        self,
        *,
        memory_limit: int,
        cpu_seconds: int,
        isolate: bool = True,
        diagnose: bool = False,
    ) -> None:
        self.tier = NAMESPACES if isolate else NONE
        self._folder = "" if isolate else tempfile.mkdtemp(prefix="notebook-")
        ours, theirs = socket.socketpair()
        self._lifeline, lifeline = socket.socketpair()
        self.channel = Channel(ours, limit=ANSWER_LIMIT)
        spec = _spec(self._folder, memory_limit, cpu_seconds, isolate, diagnose)
        spec |= {"channel": theirs.fileno(), "lifeline": lifeline.fileno()}
        spec["command"].append(str(theirs.fileno()))
        with theirs, lifeline:
            self._launcher = subprocess.Popen(
                [sys.executable, "-I", "-S", lockdown.__file__, json.dumps(spec)],
                pass_fds=(theirs.fileno(), lifeline.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE if diagnose else subprocess.DEVNULL,
            )
        try:
            self.channel.receive(seconds=START_SECONDS)
        except (ClosedError, TimeoutError, WireError):
            raise SandboxError(self._why_not_started()) from None

    def interrupt(self) -> None:
        """Send the student's code a KeyboardInterrupt."""
        self._order(b"I")

    def kill(self) -> None:
        """End the process and all it started, now."""
        self._order(b"K")

    def wait(self, seconds: float) -> Ending | None:
        """Return how the process ended, or None if it is still there after ``seconds``."""
        report = self._report(seconds)
        if report is None:
            return None
        return Ending(**report)

    def close(self) -> None:
        """End the process if it has not ended, and clean up."""
        self.channel.close()
        self._lifeline.close()  # the launcher then kills what is left and goes
        self._launcher.wait()
        if self._launcher.stderr is not None:
            self._launcher.stderr.close()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _order(self, letter: bytes) -> None:
        try:
            self._lifeline.sendall(letter)
        except OSError:  # it has ended by itself
            return

    def _report(self, seconds: float) -> dict[str, Any] | None:
        self._lifeline.settimeout(seconds)
        line = b""
        try:
            while not line.endswith(b"\n"):
                chunk = self._lifeline.recv(4096)
                if not chunk:
                    return dataclasses.asdict(LOST)
                line += chunk
        except TimeoutError:
            return None
        except OSError:
            return dataclasses.asdict(LOST)
        report: dict[str, Any] = json.loads(line)
        return report

    def _why_not_started(self) -> str:
        self.kill()
        report = self._report(START_SECONDS) or {}
        self.channel.close()
        self._lifeline.close()
        _, printed = self._launcher.communicate()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
        if problem := report.get("problem"):
            return f"This machine cannot isolate student code ({problem}): {_remedy(problem)}."
        last = (printed or b"").decode(errors="replace").strip().rpartition("\n")[2]
        last = last or f"exit code {report.get('code')}"
        return (
            f"Python did not start in the sandbox ({last}): use a Python and a virtual"
            " environment that every user of this machine can read."
        )


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


def _spec(
    folder: str, memory_limit: int, cpu_seconds: int, isolate: bool, diagnose: bool
) -> dict[str, Any]:
    """What the launcher needs to know, but for its sockets."""
    home = folder or lockdown.HOME
    package = Path(labkit.__file__).resolve().parent
    visible, needed = _visible(package)
    return {
        "isolate": isolate,
        "diagnose": diagnose,
        "folder": folder,
        "visible": visible,
        "hidden": _hidden(),
        "needed": needed,
        "memory": memory_limit << 20,
        "cpu_seconds": cpu_seconds,
        "command": [sys.executable, "-s", "-P", "-B", "-c", RUNNER, str(package.parent)],
        "environment": _environment(home, folder or "/tmp"),
    }


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
