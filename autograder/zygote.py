"""The fork server: enters the sandbox, imports what notebooks import, then forks for each of them.

It is started by `autograder.sandbox`, runs no student's code and holds nothing secret: whoever is
forked from it inherits its memory. It has one thread, as a process that forks must.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import itertools
import json
import os
import pkgutil
import random
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from autograder import barriers, lockdown
from autograder.keeper import Keeper
from autograder.lockdown import LockdownError

IMPORTS = (
    *("numpy", "torch", "safetensors.torch", "tqdm.auto", "ipywidgets", "transformers"),
    *("gymnasium", "gymnasium.envs.classic_control", "gymnasium.envs.toy_text"),
    *("matplotlib.pyplot", "matplotlib.animation", "matplotlib_inline.backend_inline"),
    *("matplotlib.backends.backend_agg", "IPython.core.magics", "asyncio", "pdb"),
)
MORE = {  # by library: half of the time that all imports take, and of no use to most labs
    "scipy": ("scipy.stats",),
    "transformers": ("transformers.modeling_utils", "transformers.generation"),
}
FIRST_CELL = """
import matplotlib.pyplot, numpy, torch, gymnasium
matplotlib.pyplot.figure().add_subplot().plot([0, 1], label="x")
matplotlib.pyplot.gcf().axes[0].legend()
matplotlib.pyplot.gcf().canvas.draw()
matplotlib.pyplot.close("all")
torch.ones(4, 4) @ torch.ones(4, 4)
gymnasium.make("CartPole-v1").reset(seed=0)
"""
SEED = 0  # of the global generators, in every process: luck is the same for everybody
CHANNEL = 3  # descriptor of a student's process
HUGE, MADV_COLLAPSE = 2 << 20, 25
LOOK_SECONDS = 0.25  # between two looks at memory
MAX_ORDER = 1 << 16  # bytes of a request

Settings = dict[str, Any]


def main(listener: int, lifeline: int) -> NoReturn:
    """Serve whoever connects to ``listener`` until the other end of ``lifeline`` is closed.

    The first line from there says what to do (see `autograder.sandbox`); the first line back, that
    the server is ready, or why it cannot be.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is the grader's affair
    control = socket.socket(fileno=lifeline)
    requests = socket.socket(fileno=listener)
    settings = json.loads(_line(control))
    try:
        _Server(settings, control, requests).start()
    except (LockdownError, OSError) as error:
        control.sendall(json.dumps({"problem": str(error)}).encode() + b"\n")
    os._exit(0)


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += connection.recv(MAX_ORDER) or sys.exit("the grader has gone")
    return line


class _Server:
    """A fork server, from its start to its end."""

    def __init__(self, settings: Settings, control: socket.socket, requests: socket.socket) -> None:
        self.settings, self.control, self.requests = settings, control, requests
        self.uids: Iterator[int] = itertools.repeat(os.geteuid())
        self.real_root = False
        self.filter: Any = None  # of calls, the same for all
        self.home: int | None = None  # this process's own namespace, where there are any

    def start(self) -> None:
        """Enter the sandbox, get ready, and serve."""
        tier = self.settings["tier"]
        if tier == "namespaces":
            uids, self.real_root = lockdown.new_user()
            self.uids = itertools.cycle(uids)
            self._become_first()
            visible, hidden = self.settings["visible"], self.settings["hidden"]
            lockdown.enter_root(visible, hidden, uids, real_root=self.real_root)
            self.home = lockdown.own_processes()
            if barriers.has_seccomp():
                self.filter = barriers.seccomp(alone=False)
        elif tier == "barriers":
            if not (barriers.landlock_version() and barriers.has_seccomp()):
                raise LockdownError("neither namespaces nor Landlock with seccomp")
            if os.geteuid() == 0:
                self.uids, self.real_root = itertools.cycle(lockdown.free_uids()), True
        os.chdir(lockdown.HOME if tier == "namespaces" else "/")
        shell = _warm_up(self.settings["libraries"])
        layers = [tier] if tier == "namespaces" else []
        if tier != "none":
            layers += ["landlock"] if barriers.landlock_version() else []
            layers += ["seccomp"] if barriers.has_seccomp() else []
        self.control.sendall(json.dumps({"layers": layers}).encode() + b"\n")
        nothing = os.open("/dev/null", os.O_RDWR)
        os.dup2(nothing, 2)
        self._serve(shell)

    def _become_first(self) -> None:
        """Go on as the first process of the namespace: when it ends, all in it are killed."""
        pid = os.fork()
        if pid:
            self.control.close()
            self.requests.close()
            os.waitpid(pid, 0)
            os._exit(0)
        lockdown.die_with_parent()

    def _serve(self, shell: Any) -> NoReturn:
        wake, woken = socket.socketpair()
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        kept: dict[int, Keeper] = {}
        while True:
            lifelines = {each.lifeline: each for each in kept.values() if each.listening}
            waited_for = [self.requests, self.control, wake, *lifelines]
            readable, _, _ = select.select(waited_for, [], [], LOOK_SECONDS if kept else None)
            if self.control in readable:
                os._exit(0)  # the grader has gone
            if wake in readable:
                wake.recv(64)
                _bury(kept)
            for lifeline, keeper in lifelines.items():
                if lifeline in readable and keeper.pid in kept:
                    keeper.obey()
            for keeper in kept.values():
                keeper.look()
            if self.requests in readable:
                new = self._answer(shell)
                if new is not None:
                    kept[new.pid] = new

    def _answer(self, shell: Any) -> Keeper | None:
        """Fork what the next request asks for; None if who asks has gone meanwhile."""
        connection, _ = self.requests.accept()
        with connection:
            raw, descriptors, _, _ = socket.recv_fds(connection, MAX_ORDER, 3)
        if not raw:  # a worker that was killed before it said what it wanted
            return None
        channel, lifeline, *group = descriptors
        line = socket.socket(fileno=lifeline)
        uid = next(self.uids)
        student = _Student(self, json.loads(raw), uid)
        if self.home is not None:
            lockdown.next_processes()
        pid = os.fork()
        if pid == 0:
            student.live(channel, group, line, shell)
        if self.home is not None:
            lockdown.return_to(self.home)
        for descriptor in (channel, *group):
            os.close(descriptor)
        return Keeper(pid, line, student.memory)


def _bury(kept: dict[int, Keeper]) -> None:
    """Report who has ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if not pid:
                return
            if pid in kept:  # else an orphan that came to this process
                kept.pop(pid).report(status, usage)


def _warm_up(libraries: list[str]) -> Any:
    """Import what notebooks use, make the shell, and check that all of it left one thread.

    Args:
        libraries: those of `MORE` that are used too.
    """
    sys.argv = [""]
    gc.disable()  # next to nothing of what imports make is garbage: looking takes a fifth of them
    import labkit
    from labkit.capture import make_shell

    shell = make_shell(lambda output: None)  # first: figures are shown by what finds a shell
    for name in (*IMPORTS, *(name for library in libraries for name in MORE[library])):
        importlib.import_module(name)
    for module in pkgutil.iter_modules(labkit.__path__, "labkit."):
        importlib.import_module(module.name)
    import torch

    torch.set_num_threads(1)
    shell.run_cell(FIRST_CELL, store_history=False)  # type: ignore[no-untyped-call]
    shell.reset(new_session=True)  # type: ignore[no-untyped-call]
    tasks = Path("/proc/self/task")
    threads = len(list(tasks.iterdir())) if tasks.is_dir() else 1
    if threads != 1:
        raise LockdownError(f"the fork server has {threads} threads, but must have one")
    for name in [name for name in sys.modules if name.split(".")[0] == "autograder"]:
        del sys.modules[name]
    if sys.modules.get("rfc3987_syntax", sys) is None:  # see `autograder`
        del sys.modules["rfc3987_syntax"]
    _seed()  # its first use imports and allocates
    gc.freeze()  # a collection would touch, and so copy, what is shared
    gc.enable()
    _use_huge_pages()
    return shell


def _use_huge_pages() -> None:
    """Gather this process's memory in huge pages, whose tables a fork copies much faster.

    Linux 6.1 or newer; elsewhere nothing changes.
    """
    if sys.platform != "linux":
        return
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, rights, _, _, _, *name = line.split()
        if rights != "rw-p" or name not in ([], ["[heap]"]):
            continue
        first, last = (int(text, 16) for text in place.split("-"))
        first, last = -(-first // HUGE) * HUGE, last // HUGE * HUGE
        if last > first:
            lockdown.libc.madvise(
                ctypes.c_void_p(first), ctypes.c_size_t(last - first), MADV_COLLAPSE
            )


class _Student:
    """What one student's process may have."""

    def __init__(self, server: _Server, order: Settings, uid: int) -> None:
        self.settings, self.real_root, self.filter = (
            server.settings,
            server.real_root,
            server.filter,
        )
        self.tier: str = self.settings["tier"]
        self.uid = uid
        self.folder: str = order["folder"] or lockdown.HOME
        self.memory: int = order["memory"] if self.tier != "none" else 0
        self.cpu_seconds: int = order["cpu_seconds"]

    def live(self, channel: int, group: list[int], lifeline: socket.socket, shell: Any) -> NoReturn:
        """In the student's process: lock it down and answer the grader until the end."""
        try:
            for descriptor in group:
                os.write(descriptor, b"0")  # into the control group, itself
            self._lock_down()
            self._put_up_barriers()
            _seed()
            self._descriptors(channel)
        except Exception as error:
            with contextlib.suppress(OSError):
                lifeline.sendall(json.dumps({"problem": str(error)[:500]}).encode() + b"\n")
            os._exit(1)
        try:
            from labkit import runner

            runner.serve(CHANNEL, shell)
        finally:
            os._exit(1)

    def _descriptors(self, channel: int) -> None:
        """Keep the channel to the grader and nothing else."""
        os.set_inheritable(channel, False)
        if channel != CHANNEL:
            os.dup2(channel, CHANNEL, inheritable=False)
        nothing = os.open("/dev/null", os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.closerange(CHANNEL + 1, os.sysconf("SC_OPEN_MAX"))

    def _lock_down(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        if self.tier == "namespaces":
            lockdown.leave_others(self.uid, self.settings["visible"])
        else:
            if self.real_root and self.tier != "none":
                os.chown(self.folder, self.uid, self.uid)
            os.chdir(self.folder)
            os.environ.update(dict.fromkeys(("HOME", "TMPDIR"), self.folder))
            tempfile.tempdir = None  # the server may have asked for it
        if self.tier != "none":
            lockdown.drop_rights(self.uid, real_root=self.real_root)
            for path in self.settings["needed"]:
                if not os.access(path, os.R_OK | os.X_OK):
                    text = f"{path} cannot be read by the user that student code runs as"
                    raise LockdownError(text)
            lockdown.set_limits(self.memory, self.cpu_seconds)
        if sys.platform == "linux":
            lockdown.die_with_parent()

    def _put_up_barriers(self) -> None:
        if self.tier == "none":
            return
        if barriers.landlock_version():
            if self.tier == "namespaces":  # the root holds nothing that may not be read
                barriers.landlock(["/"], [], [self.folder, "/tmp", "/dev", "/proc"])
            else:
                visible, hidden = self.settings["visible"], self.settings["hidden"]
                readable, listable = barriers.around(visible, hidden)
                devices = [f"/dev/{name}" for name in lockdown.DEVICES]
                about = ["/proc/self", "/proc/cpuinfo", "/proc/meminfo"]
                barriers.landlock([*readable, *about], listable, [self.folder, *devices])
        if self.filter is not None:
            self.filter.load()
        elif barriers.has_seccomp():
            barriers.seccomp(alone=True).load()


def _seed() -> None:
    """Start the global generators anew: a fork would go on with its parent's."""
    import numpy as np
    import torch

    random.seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002
    torch.default_generator.manual_seed(SEED)  # manual_seed would look for GPUs
