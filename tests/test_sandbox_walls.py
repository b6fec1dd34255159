"""The sandbox against code that means harm: what it sees, reaches and may ask of the kernel."""

from __future__ import annotations

import errno
import socket
import sys
from pathlib import Path

import pyseccomp
import pytest

from autograder import barriers, fork_server, lockdown
from autograder.student import Student
from tests.sandboxed import ROOT, NewStudent, run

pytestmark = pytest.mark.needs("sandbox")


# -- what it sees --------------------------------------------------------------------------------


def test_nothing_of_the_course_but_labkit_is_there(student: Student) -> None:
    files = run(
        student,
        f"""
        import os, sys
        seen = sorted(
            os.path.join(folder, name)
            for folder, folders, names in os.walk({str(ROOT)!r})
            for name in folders + names
            if "site-packages" not in folder and not folder.startswith(sys.prefix)
        )
        """,
    )
    assert any(name.endswith("labkit/probes.py") for name in files)
    strangers = [
        Path(name).relative_to(ROOT).parts
        for name in files
        if not (Path(name).is_relative_to(ROOT / "labs" / "labkit") or Path(name).name == "labs")
    ]
    assert all(parts[0] == Path(sys.prefix).name for parts in strangers), strangers[:5]


@pytest.mark.parametrize("module", ["autograder", "solutions", "autograder.spec", "tests"])
def test_the_course_cannot_be_imported(student: Student, module: str) -> None:
    code = f"""
        try:
            import {module}
            seen = getattr({module}, "__file__", None) is not None
        except ImportError:
            seen = False
        """
    assert run(student, code) is False


def test_the_home_the_logs_and_the_users_are_not_there(student: Student) -> None:
    home = str(Path.home())
    places = [home, f"{home}/.ssh", "/var", "/srv", "/mnt", "/run", "/boot", "/etc/shadow", "/sys"]
    entries = run(
        student,
        f"""
        import os
        seen = {{p: os.listdir(p) for p in {places} if os.path.isdir(p)}}
        seen["users"] = sorted({{line.split(":")[0] for line in open("/etc/passwd")}})
        """,
    )
    assert entries.pop("users") == ["student"]
    visible = {Path(sys.prefix), Path(sys.base_prefix), ROOT}
    for place, names in entries.items():  # of a home, only the way to the interpreter
        for name in names:
            assert any(path.is_relative_to(Path(place, name)) for path in visible), (place, names)


def test_no_other_process_is_seen(student: Student) -> None:
    assert run(student, "import os; seen = [p for p in os.listdir('/proc') if p.isdigit()]") == [
        "1"
    ]


def test_the_environment_has_nothing_of_ours(
    new_student: NewStudent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    seen = run(
        new_student(),
        "import os; seen = [*os.environ, open('/proc/1/environ').read(), *os.environ.values()]",
    )
    assert not any("SECRET_TOKEN" in entry or "hunter2" in entry for entry in seen)


def test_only_the_conversation_is_open(student: Student) -> None:
    seen = run(
        student,
        """
        import os
        seen = []
        for name in os.listdir("/proc/self/fd"):
            try:
                seen.append(os.readlink(f"/proc/self/fd/{name}"))
            except OSError:
                pass
        """,
    )
    assert [link.partition(":")[0] for link in seen if link != "/dev/null"] == ["socket"]


# -- what it reaches -----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["/", "/usr", "/etc", "/proc/sys/kernel", sys.prefix, "/dev"])
def test_nothing_outside_can_be_written(student: Student, place: str) -> None:
    code = f"""
        import os
        seen = False
        for name in ("new.txt", "hostname"):
            try:
                open(os.path.join({place!r}, name), "w").write("x")
                seen = True
            except OSError:
                pass
        """
    assert run(student, code) is False


def test_every_mount_but_its_own_is_read_only(student: Student) -> None:
    mounts = run(student, "seen = [line.split()[1:4] for line in open('/proc/self/mounts')]")
    writable = {place for place, _, options in mounts if "ro" not in options.split(",")}
    devices = {f"/dev/{name}" for name in lockdown.DEVICES}
    assert writable - devices == {lockdown.HOME, "/tmp", "/dev/shm", "/proc"}


def test_the_root_holds_no_more_than_it_should(student: Student) -> None:
    ways = {Path(path).parts[1] for path in (sys.prefix, sys.base_prefix, ROOT)}
    system = {"usr", "bin", "sbin", "lib", "lib32", "lib64", "etc", "dev", "proc", "tmp", "home"}
    assert set(run(student, "import os; seen = os.listdir('/')")) <= system | ways


def test_labkit_cannot_be_changed(student: Student) -> None:
    code = """
        import labkit.probes
        try:
            open(labkit.probes.__file__, "a").write("x")
            seen = True
        except OSError:
            seen = False
        """
    assert run(student, code) is False


def test_its_own_folders_can_be_written(student: Student) -> None:
    code = """
        import pathlib, tempfile
        pathlib.Path("mine.txt").write_text("x")
        with tempfile.NamedTemporaryFile() as file, open("/dev/shm/x", "w") as shared:
            file.write(b"x"); shared.write("x")
        seen = pathlib.Path.home().joinpath("mine.txt").read_text()
        """
    assert run(student, code) == "x"


def test_there_is_no_network(student: Student) -> None:
    code = """
        import socket
        seen = []
        for family in range(64):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                try:
                    socket.socket(family, kind).close()
                    seen.append(family)
                except OSError:
                    pass
        seen.append([line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line])
        """
    assert run(student, code) == [["lo"]]


def test_a_server_of_this_machine_is_out_of_reach(student: Student) -> None:

    with socket.socket(socket.AF_UNIX) as server:
        server.bind("\0of-the-grader")  # an abstract name: no file hides it
        server.listen()
        code = """
            import socket
            try:
                with socket.socket(socket.AF_UNIX) as s:
                    seen = s.connect_ex("\\0of-the-grader") == 0
            except OSError:
                seen = False
            """
        assert run(student, code) is False


def test_it_has_no_rights(student: Student) -> None:
    code = """
        import os
        lines = open("/proc/self/status").read().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        seen = [int(status[f"Cap{k}"], 16) for k in ("Inh", "Prm", "Eff", "Bnd", "Amb")]
        seen += [int(status["NoNewPrivs"]) - 1, int(os.getuid() == 0)]
        """
    assert run(student, code) == [0] * 7


def test_it_cannot_become_root_or_change_mounts(student: Student) -> None:
    code = """
        import ctypes, os
        libc = ctypes.CDLL(None)
        seen = [
            libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None),
            libc.umount2(b"/usr", 2),
            libc.chroot(b"/tmp"),
            libc.setuid(0),
            libc.sethostname(b"mine", 4),
        ]
        """
    assert run(student, code) == [-1] * 5


def test_what_it_runs_does_not_win_rights_back(student: Student) -> None:
    code = """
        import os, subprocess
        seen = subprocess.run(["id", "-u"], capture_output=True, text=True).stdout.strip() == "0"
        """
    assert run(student, code) is False


def test_a_course_below_a_visible_folder_is_covered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    visible, needed = fork_server.visible_paths(ROOT / "labs" / "labkit")
    (tmp_path / "course" / "solutions").mkdir(parents=True)
    (tmp_path / "course" / "labs").mkdir()
    (tmp_path / "course" / "labs" / "page.txt").write_text("for students")
    tmp_path.chmod(0o755)
    shown = [*visible, str(tmp_path), str(tmp_path / "course" / "labs")]
    monkeypatch.setattr(fork_server, "visible_paths", lambda _: (shown, needed))
    monkeypatch.setattr(fork_server, "hidden_paths", lambda: [str(tmp_path / "course")])
    student = Student({}, memory_limit=1024, cpu_seconds=60)
    try:
        code = f"import os; seen = [os.listdir(p) for p in ({str(tmp_path / 'course')!r}, "
        seen = run(student, code + f"{str(tmp_path / 'course' / 'labs')!r})]")
    finally:
        student.close()
    assert seen == [["labs"], ["page.txt"]]


# -- what the kernel refuses ---------------------------------------------------------------------


def test_every_refused_call_is_refused(student: Student) -> None:
    native = pyseccomp.Arch.NATIVE
    numbers = {name: pyseccomp.resolve_syscall(native, name) for name in barriers.DENIED}
    known = {name: number for name, number in numbers.items() if number >= 0}
    assert len(known) > 40
    code = f"""
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        libc.syscall.restype = ctypes.c_long
        seen = {{}}
        for name, number in {known}.items():
            ctypes.set_errno(0)
            result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(0)] * 6)
            if result != -1 or ctypes.get_errno() != errno.EPERM:
                seen[name] = [result, ctypes.get_errno()]
        """
    assert run(student, code) == {}


@pytest.mark.parametrize("flag", barriers.NAMESPACES, ids=hex)
def test_no_fork_gets_a_namespace(student: Student, flag: int) -> None:
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, "clone")
    code = f"""
        import ctypes, os, signal
        libc = ctypes.CDLL(None, use_errno=True)
        pid = libc.syscall({number}, {flag} | int(signal.SIGCHLD), 0, 0, 0, 0)
        if pid == 0:
            os._exit(0)
        seen = [pid, ctypes.get_errno()]
        """
    assert run(student, code) == [-1, errno.EPERM]


def test_landlock_reads_all_of_visible_and_nothing_of_hidden(tmp_path: Path) -> None:
    for name in ("site/numpy/core", "site/autograder/solutions", "other"):
        (tmp_path / name).mkdir(parents=True)
    readable, listable = barriers.around(
        [str(tmp_path / "site"), str(tmp_path / "other")],
        [str(tmp_path / "site" / "autograder"), str(tmp_path / "elsewhere")],
    )
    assert readable == [str(tmp_path / "site" / "numpy"), str(tmp_path / "other")]
    assert listable == [str(tmp_path / "site")]
