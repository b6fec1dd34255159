"""A throw-away machine for stock nbgrader, in which attacks may succeed and hurt nothing.

``python -m benchmarks.classroom.jail SPEC`` is what runs inside, on disks that are read-only.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import resource
import secrets
import shlex
import socket
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autograder.course import Course
from benchmarks.classroom.stock import command
from tests import hostile
from tests.hostile import outcome, room

FIRST_USER = 1_000_000_000  # and on: limits, and keys in the kernel, are then those of one attack
INSIDE = Path("/mnt")  # what one attack may change, and where it finds itself
PRIVATE = ("/tmp", "/var/tmp", "/dev/shm", "/home")
STAGE = "/run"
SCRIPT = """
set -e
mount --make-rprivate /
mount --bind {folder} {inside}
mount -t tmpfs tmpfs {stage}
for path in {needed}; do mkdir -p {stage}/$path; mount --rbind $path {stage}/$path; done
for place in {private} {home}; do mount -t tmpfs -o size=256m,mode=1777 tmpfs $place; done
for path in {needed}; do mkdir -p $path; mount --rbind {stage}/$path $path; done
umount -R -l {stage}
awk '{{print $5}}' /proc/self/mountinfo | while read place; do
    case $place in {inside}|/proc*|/sys*|/dev*|{writable}) ;; *)
        mount -o remount,bind,ro "$place" 2>/dev/null || true;;
    esac
done
{python} -c 'from benchmarks.classroom.jail import open_loopback; open_loopback()'
exec setpriv --reuid={user} --regid={user} --clear-groups --no-new-privs --bounding-set=-all \\
    --inh-caps=-all -- {python} -m benchmarks.classroom.jail {inside}/spec.json
"""
LIMITS = (
    (resource.RLIMIT_NPROC, 400),
    (resource.RLIMIT_DATA, 3 << 30),
    (resource.RLIMIT_FSIZE, 256 << 20),
    (resource.RLIMIT_CORE, 0),
)
UP_AND_RUNNING = 0x41

_users = itertools.count(1_000 * secrets.randbelow(1_000_000))  # no run has another's users


def run(folder: Path, repository: Path, seconds: float) -> dict[str, Any] | None:
    """Run what ``folder/spec.json`` says, with the folder as ``/mnt``; return what it reports.

    Args:
        folder: all that can be changed from inside; given to a user of its own.
        repository: where ``benchmarks`` is.
        seconds: how long it may take.

    Returns:
        What is in ``folder/report.json`` then; None if it did not come so far.

    Raises:
        RuntimeError: if it did not even begin.
    """
    user = FIRST_USER + next(_users)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user, user, follow_symlinks=False)
    needed = {str(repository), sys.prefix, sys.base_prefix}
    script = SCRIPT.format(
        folder=shlex.quote(str(folder)),
        inside=INSIDE,
        stage=STAGE,
        needed=" ".join(map(shlex.quote, sorted(needed))),
        private=" ".join(PRIVATE),
        home=shlex.quote(str(Path.home())),
        writable="|".join(PRIVATE),
        python=shlex.quote(sys.executable),
        user=user,
    )
    namespaces = ["--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"]
    inside = subprocess.Popen(
        ["unshare", *namespaces, "--mount-proc", "sh", "-c", script],
        cwd=repository,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=(folder / "said").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        inside.wait(seconds)
    except subprocess.TimeoutExpired:
        pass  # it has no report then
    finally:
        inside.kill()  # the first process of the namespace, and all others with it
        inside.wait()
    if not (folder / "started").exists():
        raise RuntimeError(f"nothing ran inside: {(folder / 'said').read_text('utf-8')[-2000:]}")
    report = folder / "report.json"
    return json.loads(report.read_bytes()) if report.exists() else None


def _environment() -> dict[str, str]:
    here = Path(sys.executable).parent
    return {
        "PATH": f"{here}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"),
        "HOME": str(INSIDE / "home"),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "LANG": "C.UTF-8",
    }


def open_loopback() -> None:
    """Let processes of the namespace reach each other: a kernel listens on 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sh22x", b"lo", UP_AND_RUNNING)
        fcntl.ioctl(any_socket, 0x8914, asked)


def main(spec: dict[str, Any]) -> None:
    """Let one attacker hand in, autograde the class with stock nbgrader, report what came of it."""
    attack = next(attack for attack in hostile.ATTACKS if attack.name == spec["attack"])
    course = Course(INSIDE / "course")
    room.begin_session()
    with room.listening(INSIDE) as (names, doors), room.key_in_keyring(spec["key"]):
        inside = room.Room(INSIDE, {}, spec["names"] | names, None, course, ())  # type: ignore[arg-type]
        room.seat(inside, [attack], honest=False)  # whoever hands in has a disk of any size
        for kind, value in LIMITS:
            resource.setrlimit(kind, (value, value))
        (INSIDE / "started").touch()
        codes = {step: _nbgrader(step, spec) for step in spec["steps"]}
        kernel = [what for what in outcome.in_kernel(inside) if not what.startswith("mount")]
        places = *map(Path, PRIVATE), INSIDE, INSIDE / "course", INSIDE / "home"
        report = {
            "codes": codes,
            "left": [*outcome.processes_called(inside.names["COMM"]), *kernel],
            "files": [str(p) for place in places for p in place.glob(f"*{spec['mark']}*")],
            "visited": [door.family.name for door in doors if room.visited(door)],
            "scores": _scores(course),
        }
    (INSIDE / "report.json").write_text(json.dumps(report))


def _nbgrader(step: str, spec: Mapping[str, Any]) -> int | str:
    try:
        done = subprocess.run(
            command(step, room.LAB),
            cwd=INSIDE / "course",
            env=os.environ | {"EXAM_TOKEN": spec["environment"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=spec["seconds"],
        )
    except subprocess.TimeoutExpired:
        return "timeout"
    return done.returncode


def _scores(course: Course) -> dict[str, float]:
    return {
        student: sum(auto or 0.0 for auto, _ in scores.values())
        for student, scores in course.scores(room.LAB).items()
    }


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_bytes()))
