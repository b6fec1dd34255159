"""What Docker does to a process, without Docker: ``python -m tests.container FLAG ... -- COMMAND``.

Runs a command as root in namespaces of its own, with Docker's set of capabilities, its covered
paths in ``/proc``, a seccomp profile in Docker's format, and then as an ordinary user. Flags, as
those of ``docker run``: ``seccomp=FILE`` or ``seccomp=unconfined``, ``systempaths=unconfined``,
``cap-add=SYS_ADMIN``, ``user=0``. AppArmor is not imitated: profiles are loaded by the host.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyseccomp

CAPABILITIES = {  # Docker's default set, by the kernel's numbers
    "CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "FSETID": 4, "KILL": 5, "SETGID": 6, "SETUID": 7,
    "SETPCAP": 8, "NET_BIND_SERVICE": 10, "NET_RAW": 13, "SYS_CHROOT": 18, "MKNOD": 27,
    "AUDIT_WRITE": 29, "SETFCAP": 31,
}  # fmt: skip
OTHERS = {"SYS_ADMIN": 21}
COVERED = ("acpi", "asound", "kcore", "keys", "latency_stats", "timer_list", "sched_debug", "scsi")
READ_ONLY = ("bus", "fs", "irq", "sys", "sysrq-trigger")
PR_CAPBSET_READ, PR_CAPBSET_DROP = 23, 24
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_PRIVATE_ALL = 1, 32, 4096, (1 << 18) | 16384
INSIDE = "--inside"

libc = ctypes.CDLL(None, use_errno=True)


def compiled(profile: dict[str, Any], capabilities: set[str]) -> pyseccomp.SyscallFilter:
    """Return the filter that a profile in Docker's format means for a set of capabilities.

    Args:
        profile: the JSON tree.
        capabilities: which ``includes`` and ``excludes`` are decided by, as ``SYS_ADMIN``.
    """
    actions = {
        "SCMP_ACT_ALLOW": lambda rule: pyseccomp.ALLOW,
        "SCMP_ACT_ERRNO": lambda rule: pyseccomp.ERRNO(rule.get("errnoRet", 1)),
    }
    comparisons = {
        "SCMP_CMP_EQ": pyseccomp.EQ,
        "SCMP_CMP_NE": pyseccomp.NE,
        "SCMP_CMP_MASKED_EQ": pyseccomp.MASKED_EQ,
    }
    default = actions[profile["defaultAction"]](profile)
    made = pyseccomp.SyscallFilter(default)
    for rule in profile["syscalls"]:
        if not _applies(rule, capabilities):
            continue
        action = actions[rule["action"]](rule)
        if action == default:
            continue
        tests = [
            pyseccomp.Arg(
                one["index"], comparisons[one["op"]], one["value"], one.get("valueTwo", 0)
            )
            for one in rule.get("args") or []
        ]
        for name in rule["names"]:
            if pyseccomp.resolve_syscall(pyseccomp.system_arch(), name) >= 0:
                made.add_rule(action, name, *tests)
    return made


def _applies(rule: dict[str, Any], capabilities: set[str]) -> bool:
    def named(which: str, key: str) -> set[str]:
        return {name.removeprefix("CAP_") for name in (rule.get(which) or {}).get(key) or []}

    caps, arches = named("includes", "caps"), named("includes", "arches")
    return (
        (not caps or bool(caps & capabilities))
        and (not arches or "amd64" in arches)
        and not named("excludes", "caps") & capabilities
        and "amd64" not in named("excludes", "arches")
    )


def confined(command: list[str], flags: dict[str, str]) -> list[str]:
    """Return the command line that runs ``command`` as a container with these flags would."""
    unshare = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--ipc", "--uts", "--net"]
    script = [sys.executable, "-m", "tests.container", INSIDE, json.dumps(flags)]
    return [*unshare, *script, "--", *command]


def become_contained(flags: dict[str, str]) -> None:
    """In the new namespaces: cover paths, drop capabilities, load the filter, change the user."""
    if flags.get("systempaths") != "unconfined":
        _cover()
    _open_up(Path(sys.base_prefix))
    kept = CAPABILITIES | {n: OTHERS[n] for n in flags.get("cap-add", "").split(",") if n}
    number = 0
    while libc.prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0:
        if number not in kept.values():
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
        number += 1
    user = int(flags.get("user", "1000"))
    name = flags["seccomp"]
    made = None
    if name != "unconfined":
        made = compiled(json.loads(Path(name).read_text("utf-8")), set(kept))
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if user == 0:
        _drop_to_bounding_set(kept)
    if made is not None:
        made.load()


def _cover() -> None:
    for name in COVERED:
        path = Path("/proc", name)
        if path.is_dir():
            _mount("tmpfs", path, "tmpfs", MS_RDONLY)
        elif path.exists():
            _mount("/dev/null", path, "", MS_BIND)
    for name in READ_ONLY:
        path = Path("/proc", name)
        if path.exists():
            _mount(str(path), path, "", MS_BIND)
            _mount(str(path), path, "", MS_BIND | MS_REMOUNT | MS_RDONLY)


def _open_up(folder: Path) -> None:
    """Let everybody reach a folder, as in an image, although a parent of it is private here."""
    closed = [parent for parent in folder.parents if not parent.stat().st_mode & 0o001]
    if closed:
        _mount(str(folder), Path("/mnt"), "", MS_BIND)
        _mount("tmpfs", closed[-1], "tmpfs", 0)
        closed[-1].chmod(0o755)
        folder.mkdir(parents=True)
        _mount("/mnt", folder, "", MS_BIND)


def _mount(source: str, target: Path, kind: str, flags: int) -> None:
    result = libc.mount(
        source.encode(), str(target).encode(), kind.encode() or None, ctypes.c_ulong(flags), None
    )
    if result < 0:
        raise OSError(ctypes.get_errno(), f"mount on {target}")


def _drop_to_bounding_set(kept: dict[str, int]) -> None:
    mask = sum(1 << number for number in kept.values())
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    if libc.capset(ctypes.byref(header), ctypes.byref(sets)) < 0:
        raise OSError(ctypes.get_errno(), "capset")


def main() -> int:
    """Run what stands after ``--`` and return its exit code."""
    here = sys.argv.index("--")
    before, command = sys.argv[1:here], sys.argv[here + 1 :]
    if before[:1] == [INSIDE]:
        become_contained(json.loads(before[1]))
        os.environ["HOME"] = "/tmp"
        os.execvp(command[0], command)
    flags = dict(flag.split("=", 1) for flag in before)
    return subprocess.run(confined(command, flags), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
