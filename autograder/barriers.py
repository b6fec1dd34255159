"""What the kernel refuses a student's process for good: Landlock for files, seccomp for calls.

On top of namespaces they close what a fault in the kernel might open; where namespaces are missing
they are the sandbox. Landlock has no package that knows networks and signals (ABI 4 and 6), so its
three calls are made here; seccomp's program is made by libseccomp.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autograder.lockdown import LockdownError, libc

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
ASK_VERSION, PATH_BENEATH = 1, 1
O_PATH = 0o10000000
EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
WRITE_FILE, TRUNCATE, IOCTL_DEV = 1 << 1, 1 << 14, 1 << 15
OF_FILES = EXECUTE | READ_FILE | WRITE_FILE | TRUNCATE | IOCTL_DEV
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # number of them by version; 16 from version 5 on
NEWEST_FILE_RIGHTS = 16
NETWORK, SCOPES = 0b11, 0b11  # bind and connect; abstract sockets and signals

THREAD = 0x00010000  # clone's flag for one
NAMESPACES = (  # clone's flags for new ones
    *(0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000),
)
DENIED = (
    # other processes, and the kernel itself
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp"),
    *("pidfd_getfd", "perf_event_open", "bpf", "userfaultfd", "syslog", "acct", "quotactl"),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module"),
    *("reboot", "swapon", "swapoff", "personality", "lookup_dcookie", "nfsservctl", "vhangup"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname"),
    # the file system's shape, and files by number
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "statmount", "listmount"),
    *("open_by_handle_at", "name_to_handle_at", "fanotify_init"),
    # memory that no limit counts
    *("memfd_create", "memfd_secret", "shmget", "semget", "msgget", "mq_open"),
    *("keyctl", "add_key", "request_key", "io_uring_setup", "io_uring_enter", "io_uring_register"),
)
ON_OTHERS = (  # what reaches other processes whoever they are
    *("tkill", "pidfd_send_signal", "pidfd_open", "rt_sigqueueinfo", "rt_tgsigqueueinfo"),
    *("ioprio_set", "sched_setscheduler", "sched_setparam", "sched_setattr", "move_pages"),
)


def landlock_version() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    return max(int(libc.syscall(CREATE_RULESET, None, 0, ASK_VERSION)), 0)


def landlock(readable: Iterable[str], listable: Iterable[str], writable: Iterable[str]) -> None:
    """Leave this process and its children these files and folders, no network and no signals.

    Args:
        readable: may be read and run, with all below them.
        listable: folders whose names may be listed, with all below them.
        writable: may be changed too, with all below them.

    Raises:
        LockdownError: if the kernel refuses.
    """
    version = landlock_version()
    everything = (1 << FILE_RIGHTS.get(version, NEWEST_FILE_RIGHTS)) - 1
    rights = (everything, NETWORK if version >= 4 else 0, SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    attributes = (ctypes.c_uint64 * 3)(*rights)
    ruleset = libc.syscall(CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise LockdownError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    reading = EXECUTE | READ_FILE | READ_DIR
    try:
        for paths, allowed in ((readable, reading), (listable, READ_DIR), (writable, everything)):
            for path in paths:
                _allow(ruleset, path, allowed & everything)
        if libc.syscall(RESTRICT_SELF, ruleset, 0) < 0:
            raise LockdownError(f"Landlock: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    try:
        opened = os.open(path, O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        if not Path(path).is_dir():
            allowed &= OF_FILES
        rule = ctypes.create_string_buffer(
            allowed.to_bytes(8, "little") + opened.to_bytes(4, "little")
        )
        if libc.syscall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0) < 0:
            raise LockdownError(f"Landlock, {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(opened)


def around(visible: Iterable[str], hidden: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return what to let read so that all of ``visible`` is, but nothing of ``hidden``.

    Returns:
        paths to read with all below them, and folders in between that can only be listed.
    """
    covered = [Path(path) for path in hidden]
    readable: list[str] = []
    listable: list[str] = []

    def add(path: Path) -> None:
        if path in covered:
            return
        if any(other.is_relative_to(path) for other in covered):
            listable.append(str(path))
            for entry in sorted(path.iterdir()):
                add(entry)
        else:
            readable.append(str(path))

    for path in visible:
        add(Path(path))
    return readable, listable


def has_seccomp() -> bool:
    """Whether libseccomp is on this machine and the kernel filters calls."""
    try:
        import pyseccomp  # noqa: F401  (it looks for the library)
    except (ImportError, RuntimeError):
        return False
    return Path("/proc/sys/kernel/seccomp").exists()


def seccomp(*, alone: bool) -> Any:
    """Return a filter; its ``load()`` refuses a process and its children what no notebook needs.

    No socket of any family, no new namespace, no look at other processes, no memory that limits
    don't count. A call that is refused fails as if it were not permitted.

    Args:
        alone: there is no namespace of its own around this process, which is the one that will
            load it: no new processes, no signals to others.

    Raises:
        LockdownError: if libseccomp refuses.
    """
    import pyseccomp as kernel

    refused = kernel.ERRNO(errno.EPERM)
    rules = kernel.SyscallFilter(kernel.ALLOW)
    try:
        for name in DENIED:
            _refuse(rules, refused, name)
        _refuse(rules, kernel.ERRNO(errno.EAFNOSUPPORT), "socket")
        _refuse(rules, kernel.ERRNO(errno.ENOSYS), "clone3")  # then clone is tried, seen below
        for flag in NAMESPACES:
            rules.add_rule(refused, "clone", kernel.Arg(0, kernel.MASKED_EQ, flag, flag))
        if alone:
            rules.add_rule(refused, "clone", kernel.Arg(0, kernel.MASKED_EQ, THREAD, 0))
            for name in ("fork", "vfork", "execve", "execveat", *ON_OTHERS):
                _refuse(rules, refused, name)
            for name in ("kill", "tgkill"):
                _refuse(rules, refused, name, kernel.Arg(0, kernel.NE, os.getpid()))
            _refuse(rules, refused, "prlimit64", kernel.Arg(2, kernel.NE, 0))  # a new limit
            _refuse(rules, refused, "setpriority", kernel.Arg(1, kernel.NE, 0))
            _refuse(rules, refused, "sched_setaffinity", kernel.Arg(0, kernel.NE, 0))
        return rules
    except OSError as error:
        raise LockdownError(f"seccomp: {error.strerror}") from None


def _refuse(rules: Any, action: int, name: str, *conditions: Any) -> None:
    import pyseccomp as kernel

    number = kernel.resolve_syscall(kernel.Arch.NATIVE, name)
    if number >= 0:  # below: this architecture, or this version of libseccomp, has no such call
        rules.add_rule(action, number, *conditions)
