"""Takes a process out of this machine: namespaces, a root of its own, no rights, bounded means.

Through the kernel's own calls, since they have to be made after a fork, in a process that goes on
in Python. What the kernel itself then refuses is in `autograder.barriers`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

HOME = "/home/student"
SLOTS = 64  # uids of one fork server's students, taken in turn
STAGE = "/sys"  # any folder that nothing is bound from: the new root is put together on it
DEVICES = ("null", "zero", "full", "random", "urandom")
PRIVATE_BYTES, PRIVATE_FILES = 256 << 20, 20_000
MAX_PROCESSES, MAX_OPEN_FILES, MAX_FILE_BYTES = 64, 512, 256 << 20

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x00020000, 0x08000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MNT_DETACH = 2
SYS_MOUNT_SETATTR = 442  # the same number on every architecture; Linux 5.12
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_FDCWD, AT_RECURSIVE = 1, 2, 4, -100, 0x8000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_READ, PR_CAPBSET_DROP = 1, 4, 23, 24
PR_SET_NO_NEW_PRIVS = 38
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


def new_user() -> tuple[range, bool]:
    """Enter the process namespace; return the students' uids and whether we are real root.

    Root needs no user namespace: it takes uids that nobody has. Anybody else, and a root that
    lacks the right, becomes the owner of a new user namespace. The next fork is its first process.
    """
    if os.geteuid() == 0 and (free := free_uids()):
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
    return range(1000, 1001), False


def free_uids() -> range:
    """Uids of this process alone, so that limits per user are limits per submission."""
    ranges = [line.split() for line in Path("/proc/self/uid_map").read_text().splitlines()]
    highest = max(int(first) + int(length) for first, _, length in ranges)
    if highest > 1 << 31:
        first = (1 << 30) + os.getpid() * SLOTS
    else:
        half = highest // 2
        if half <= SLOTS:
            return range(0)
        first = half + os.getpid() * SLOTS % (half - SLOTS)
    return range(first, first + SLOTS)


def enter_root(visible: list[str], hidden: list[str], uids: range, *, real_root: bool) -> None:
    """Move into a root of read-only pieces of this machine, without a network.

    Args:
        visible: what is shown; shallow paths come first, so that a visible folder inside of a
            hidden one is seen.
        hidden: what is covered inside of that.
        uids: of the students.
        real_root: as `new_user` said.
    """
    _unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC, "make namespaces")
    _mount("", "/", flags=MS_REC | MS_PRIVATE)
    _mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,mode=755")
    os.umask(0o022)
    for folder in ("dev/shm", "proc", "tmp", "etc", "old", HOME[1:]):
        Path(STAGE, folder).mkdir(parents=True)
    steps = [(path, True) for path in visible] + [(path, False) for path in hidden]
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
        ("passwd", "".join(f"student:x:{uid}:{uid}::{HOME}:/bin/sh\n" for uid in uids)),
        ("group", "".join(f"student:x:{uid}:\n" for uid in uids)),
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
    if not real_root:  # no user namespace inside of ours, where rights would come back
        with contextlib.suppress(OSError):
            Path("/proc/sys/user/max_user_namespaces").write_text("0")
    _private_space(os.geteuid(), visible)


def next_processes() -> None:
    """Make the next fork the first process of a namespace of its own."""
    _unshare(CLONE_NEWPID, "make namespaces")


def own_processes() -> int:
    """Return a descriptor of this process's own namespace, to `return_to`."""
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def return_to(namespace: int) -> None:
    """Undo `next_processes`: it cannot be done twice without."""
    _checked(libc.setns(namespace, CLONE_NEWPID), "return to one's own namespace")


def leave_others(uid: int, visible: list[str]) -> None:
    """In the first process of a new namespace: folders, processes and semaphores of its own."""
    _unshare(CLONE_NEWNS | CLONE_NEWIPC, "make namespaces")
    _private_space(uid, visible)
    _mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    os.chdir(HOME)


def _private_space(uid: int, visible: list[str]) -> None:
    """Put empty folders that share one small space where programs expect to write.

    What is visible below one of them, a virtual environment say, stays so.
    """
    below = [path for path in visible if Path(path).is_relative_to("/tmp")]
    opened = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in below}
    options = f"size={PRIVATE_BYTES},nr_inodes={PRIVATE_FILES},mode=755"
    _mount("tmpfs", HOME, "tmpfs", MS_NOSUID | MS_NODEV, options)
    for name, place in (("tmp", "/tmp"), ("shm", "/dev/shm"), ("home", HOME)):  # home: over it
        inner = Path(HOME, name)
        inner.mkdir(mode=0o700)
        os.chown(inner, uid, uid)
        _mount(str(inner), place, flags=MS_BIND)
    for path, descriptor in opened.items():
        _bind(f"/proc/self/fd/{descriptor}", path)
        _seal(path, recursive=True)
        os.close(descriptor)


def drop_rights(uid: int, *, real_root: bool) -> None:
    """Become the student, for good."""
    capability = 0
    while _prctl(PR_CAPBSET_READ, capability) >= 0:
        if _prctl(PR_CAPBSET_DROP, capability) < 0:
            break  # who may not give up rights has none; and no program gives it any, see below
        capability += 1
    if real_root:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    none = (ctypes.c_uint32 * 6)()
    _checked(libc.capset(ctypes.byref(header), ctypes.byref(none)), "drop capabilities")
    _checked(_prctl(PR_SET_NO_NEW_PRIVS, 1), "give up new privileges")
    _prctl(PR_SET_DUMPABLE, 1)  # or its own /proc/self would be closed to it


def die_with_parent() -> None:
    """Be killed once the process that forked this one has gone."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def set_limits(memory: int, cpu_seconds: int) -> None:
    """Bound what one process may use; who forked it watches all of them together.

    Args:
        memory: bytes, beyond what this process has inherited.
        cpu_seconds: of processor time.
    """
    for kind, value in (
        (resource.RLIMIT_DATA, memory + _data_size()),
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


def _data_size() -> int:
    """Bytes that count for ``RLIMIT_DATA`` already."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
