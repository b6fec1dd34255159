"""Starts a student's process in namespaces of its own; runs as a script with the standard library.

The launcher stays outside: it passes on an interrupt, kills when told to, when memory runs out or
when the grader has gone, and reports how the process ended. Reads and writes single lines of JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

HOME = "/home/student"
STAGE = "/sys"  # any folder that nothing is bound from: the new root is put together on it
DEVICES = ("null", "zero", "full", "random", "urandom")
PRIVATE_SIZE, PRIVATE_FILES = "256m", 20_000
MEMORY_SLACK = 64 << 20  # bytes of a whole tree of processes beyond the limit of one
WATCH_SECONDS = 0.25
MAX_PROCESSES, MAX_OPEN_FILES, MAX_FILE_BYTES = 64, 512, 256 << 20

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
SYS_MOUNT_SETATTR = 442  # the same number on every architecture; Linux 5.12
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_FDCWD, AT_RECURSIVE = 1, 2, 4, -100, 0x8000
PR_SET_PDEATHSIG, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 23, 24, 38
CAPABILITY_VERSION = 0x20080522

libc = ctypes.CDLL(None, use_errno=True)


class LockdownError(Exception):
    """A step of the sandbox that this machine refuses."""


def _checked(result: int, step: str) -> None:
    if result < 0:
        raise LockdownError(f"{step}: {os.strerror(ctypes.get_errno())}")


def _unshare(flags: int, step: str) -> None:
    _checked(libc.unshare(ctypes.c_int(flags)), step)


def _mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    arguments = [os.fsencode(text) if text else None for text in (source, target, kind)]
    data = os.fsencode(options) if options else None
    result = libc.mount(*arguments, ctypes.c_ulong(flags), data)
    _checked(result, f"mount {kind or source} on {target.removeprefix(STAGE) or '/'}")


def _prctl(option: int, *arguments: int) -> int:
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return int(libc.prctl(ctypes.c_int(option), *padded))


def _seal(target: str, *, recursive: bool) -> None:
    """Make a mount read-only, and everything mounted below it."""
    attributes = (ctypes.c_uint64 * 4)(ATTR_RDONLY | ATTR_NOSUID | ATTR_NODEV, 0, 0, 0)
    flags = AT_RECURSIVE if recursive else 0
    result = libc.syscall(
        SYS_MOUNT_SETATTR,
        AT_FDCWD,
        os.fsencode(target),
        flags,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    _checked(result, f"make {target.removeprefix(STAGE) or '/'} read-only (Linux 5.12 or newer)")


def _bind(source: str, target: str) -> None:
    place = Path(target)
    place.parent.mkdir(parents=True, exist_ok=True)
    if Path(source).is_dir():
        place.mkdir(exist_ok=True)
    else:
        place.touch()
    _mount(source, target, flags=MS_BIND | MS_REC)


def _show(path: str) -> None:
    """Let a file or folder of this machine be read inside, at the same place."""
    place = Path(STAGE + path)
    if not Path(path).is_symlink():
        _bind(path, str(place))
        _seal(str(place), recursive=True)
    elif not place.is_symlink():  # /lib -> usr/lib
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(Path(path).readlink())


def new_user() -> tuple[int, bool]:
    """Enter the process namespace; return the student's uid and whether we are real root.

    Root needs no user namespace: it takes a uid that nobody has. Anybody else, and a root that
    lacks the right, becomes the owner of a new user namespace.
    """
    if os.geteuid() == 0 and (free := _free_uid()):
        with contextlib.suppress(LockdownError):
            _unshare(CLONE_NEWPID, "make namespaces")
            return free, True
    uid, gid = os.geteuid(), os.getegid()
    _unshare(CLONE_NEWUSER | CLONE_NEWPID, "make namespaces")
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"1000 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"1000 {gid} 1")
    except OSError as error:
        raise LockdownError(f"map users: {error.strerror}") from None
    return 1000, False


def _free_uid() -> int:
    """A uid for this process alone, so that limits per user are limits per submission; 0: none."""
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    highest = max(int(first) + int(length) for first, _, length in ranges)
    if highest > 1 << 31:
        return (1 << 30) + os.getpid()
    half = highest // 2
    return half + os.getpid() % half if half else 0


def build_root(spec: dict[str, Any], uid: int) -> None:
    """Move into a root of read-only pieces of this machine and a small private space.

    ``spec["visible"]`` lists what is shown, ``spec["hidden"]`` what is covered inside of that;
    shallow paths come first, so that a visible folder inside of a hidden one is seen.
    """
    _unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC, "make namespaces")
    _mount("", "/", flags=MS_REC | MS_PRIVATE)
    _mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    os.umask(0o022)
    for folder in ("dev/shm", "proc", "tmp", "etc", "old", "box", HOME[1:]):
        Path(STAGE, folder).mkdir(parents=True)
    options = f"size={PRIVATE_SIZE},nr_inodes={PRIVATE_FILES},mode=755"
    _mount("tmpfs", f"{STAGE}/box", "tmpfs", MS_NOSUID | MS_NODEV, options)
    for name, place in (("home", HOME), ("tmp", "/tmp"), ("shm", "/dev/shm")):
        inner = Path(STAGE, "box", name)
        inner.mkdir(mode=0o700)
        os.chown(inner, uid, uid)
        _mount(str(inner), STAGE + place, flags=MS_BIND)
    _checked(libc.umount2(os.fsencode(f"{STAGE}/box"), MNT_DETACH), "unmount")
    Path(STAGE, "box").rmdir()
    steps = [(path, True) for path in spec["visible"]] + [(path, False) for path in spec["hidden"]]
    for path, shown in sorted(steps, key=lambda step: len(Path(step[0]).parts)):
        if shown:
            _show(path)
        elif Path(STAGE + path).is_dir():
            _mount("tmpfs", STAGE + path, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755")
    for name in DEVICES:
        _bind(f"/dev/{name}", f"{STAGE}/dev/{name}")
    for name, link in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        Path(STAGE, "dev", name).symlink_to(f"/proc/self/fd{link}")
    for name, text in (
        ("passwd", f"student:x:{uid}:{uid}::{HOME}:/bin/sh\n"),
        ("group", f"student:x:{uid}:\n"),
        ("hosts", "127.0.0.1 localhost\n"),
        ("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"),
    ):
        Path(STAGE, "etc", name).write_text(text)
    _mount("proc", f"{STAGE}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir(STAGE)
    _checked(libc.pivot_root(b".", b"old"), "change the root")
    os.chdir("/")
    _checked(libc.umount2(b"/old", MNT_DETACH), "unmount the old root")
    Path("/old").rmdir()
    _seal("/", recursive=False)


def drop_rights(uid: int, *, real_root: bool) -> None:
    """Become the student, for good."""
    if not real_root:  # no user namespace inside of ours, where rights would come back
        with contextlib.suppress(OSError):
            Path("/proc/sys/user/max_user_namespaces").write_text("0")
    capability = 0
    while _prctl(PR_CAPBSET_READ, capability) >= 0:
        _checked(_prctl(PR_CAPBSET_DROP, capability), "drop capabilities")
        capability += 1
    if real_root:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    _checked(libc.capset(ctypes.byref(header), ctypes.byref(none)), "drop capabilities")
    _checked(_prctl(PR_SET_NO_NEW_PRIVS, 1), "give up new privileges")


def set_limits(memory: int, cpu_seconds: int) -> None:
    """Bound what one process may use; the launcher watches all of them together."""
    for kind, value in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, MAX_FILE_BYTES),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_NPROC, MAX_PROCESSES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_MEMLOCK, 1 << 20),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _, highest = resource.getrlimit(kind)
        bound = value if highest == resource.RLIM_INFINITY else min(value, highest)
        resource.setrlimit(kind, (bound, bound))


def become_student(spec: dict[str, Any], uid: int, *, real_root: bool) -> NoReturn:
    """In the forked child: lock everything down and start the runner."""
    if spec["isolate"]:
        build_root(spec, uid)
        drop_rights(uid, real_root=real_root)
        for path in spec["needed"]:
            if not os.access(path, os.R_OK | os.X_OK):
                raise LockdownError(f"{path} cannot be read by the user that student code runs as")
        set_limits(spec["memory"], spec["cpu_seconds"])
        os.chdir(HOME)
    else:
        os.chdir(spec["folder"])
    os.setsid()
    if sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1) if spec["diagnose"] else (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.set_inheritable(spec["channel"], True)
    os.execve(spec["command"][0], spec["command"], spec["environment"])


def launch(spec: dict[str, Any]) -> int:
    """Fork the student's process; return its pid, or raise what kept it from starting."""
    uid, real_root = new_user() if spec["isolate"] else (0, False)
    reader, writer = os.pipe()  # closed by a successful exec
    pid = os.fork()
    if pid == 0:
        try:
            become_student(spec, uid, real_root=real_root)
        except Exception as error:
            os.write(writer, str(error).encode()[:500])
        finally:
            os._exit(1)
    os.close(writer)
    os.close(spec["channel"])
    problem = os.read(reader, 500).decode()
    if problem:
        raise LockdownError(problem)
    return pid


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


def memory_of(pid: int, enough: int) -> int:
    """Bytes of memory that a tree of processes owns; shared pages count once if it matters."""
    family = list(_family(pid))
    total = sum(_sum_fields(each, "status", ("RssAnon:", "RssShmem:")) for each in family)
    if total <= enough:
        return total
    return sum(_sum_fields(each, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) for each in family)


def watch(pid: int, lifeline: socket.socket, memory: int) -> dict[str, Any]:
    """Wait for the end of the process and return how it ended."""
    killed_for = ""
    wake, woken = socket.socketpair()
    woken.setblocking(False)
    signal.set_wakeup_fd(woken.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return {
                "code": code,
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "peak_bytes": usage.ru_maxrss << 10,
                "killed_for": killed_for,
            }
        readable, _, _ = select.select([lifeline, wake], [], [], WATCH_SECONDS)
        if wake in readable:
            wake.recv(64)
        if lifeline in readable:
            order = lifeline.recv(1)
            os.kill(pid, signal.SIGINT if order == b"I" else signal.SIGKILL)
            if not order:  # the grader has gone
                os.waitpid(pid, 0)
                sys.exit(1)
        if memory and memory_of(pid, memory) > memory:
            killed_for = "memory"
            os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Do what the JSON object in the first argument says."""
    spec = json.loads(sys.argv[1])
    lifeline = socket.socket(fileno=spec["lifeline"])
    lifeline.set_inheritable(False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is the grader's affair
    try:
        pid = launch(spec)
        limit = spec["memory"] + MEMORY_SLACK if spec["isolate"] else 0
        report = watch(pid, lifeline, limit)
    except (LockdownError, OSError) as error:
        report = {"problem": str(error)}
    lifeline.sendall(json.dumps(report).encode() + b"\n")


if __name__ == "__main__":
    main()
