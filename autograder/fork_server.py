"""Starts the fork server, `autograder.zygote`, and knows what of this machine it may show.

What is visible inside: the system's programs, this Python with its packages, and labkit. No
environment variable of the grader's goes in.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import labkit
from autograder import lockdown
from autograder.zygote import MORE

START_SECONDS = 180.0  # a machine that does much else at the same time needs a third of it
CONTAINER_FLAGS = (  # the handbook says what each of them lifts
    "--security-opt seccomp=container-seccomp.json --security-opt apparmor=unconfined"
    " --security-opt systempaths=unconfined"
)
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
SYSTEM_SETTINGS = ("/etc/alternatives", "/etc/fonts", "/etc/ssl/certs", "/etc/pki/tls/certs")
ALL_LIBRARIES = frozenset(MORE)
SERVER = (
    "import sys; sys.path[:0] = sys.argv[3:]; from autograder.zygote import main;"
    " del sys.path[:2]; sys.path.insert(0, sys.argv[4]); main(*map(int, sys.argv[1:3]))"
)


class SandboxError(RuntimeError):
    """A student's process could not be started; the message says why and what helps."""


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

    Args:
        kind: of its tier.
        settings: what may be seen inside.
        libraries: those of `autograder.zygote.MORE` that it imports too.

    Raises:
        SandboxError: if it cannot be started.
    """

    def __init__(self, kind: str, settings: dict[str, Any], libraries: frozenset[str]) -> None:
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
        order = {"tier": kind, "libraries": sorted(libraries), **settings}
        self._lifeline.sendall(json.dumps(order).encode() + b"\n")
        try:
            answer = read_line(self._lifeline, START_SECONDS)
        except TimeoutError:
            self.close()
            raise SandboxError(
                f"The process that student code is forked from did not start within"
                f" {START_SECONDS:g} s: this machine does too much else."
            ) from None
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
            return cannot_isolate(problem)
        last = (printed or b"").decode(errors="replace").strip().rpartition("\n")[2]
        last = last or f"exit code {self._process.returncode}"
        return (
            f"Python did not start in the sandbox ({last}): use a Python and a virtual"
            " environment that every user of this machine can read."
        )


def cannot_isolate(problem: str) -> str:
    """Say in one sentence that there is no sandbox here, why, and what helps."""
    return f"This machine cannot isolate student code ({problem}): {_remedy(problem)}."


def _remedy(problem: str) -> str:
    if "cannot be read" in problem:
        return "put Python and the virtual environment where every user can read them"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "run `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or grade as root"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "run `sudo sysctl kernel.unprivileged_userns_clone=1`, or grade as root"
    if _setting("user/max_user_namespaces") == "0":
        return "run `sudo sysctl user.max_user_namespaces=10000`, or grade as root"
    container = f"in a container, start it with `{CONTAINER_FLAGS}`"
    if os.geteuid() == 0:
        return container
    return f"{container}; elsewhere grade as root, or where users may make namespaces"


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""


def libraries_of(lab: Path) -> frozenset[str]:
    """Return the libraries of `autograder.zygote.MORE` that a lab uses more of than their name."""
    text = "\n".join((lab / name).read_text("utf-8") for name in ("lab.md", "reference.py"))
    return frozenset(
        name for name in MORE if re.search(rf"\bfrom {name}\b|\b{name}\.[a-zA-Z]", text)
    )


@functools.cache
def visible_paths(package: Path) -> tuple[list[str], list[str]]:
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
def hidden_paths() -> list[str]:
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


def read_line(connection: socket.socket, seconds: float) -> dict[str, Any] | None:
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
