"""The sandbox against code that means harm: what it sees, reaches, uses up and leaves behind."""

from __future__ import annotations

import ast
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyseccomp
import pytest

from autograder import barriers, cgroups, fork_server, lockdown, sandbox
from autograder.student import DeathError, Student
from autograder.survivor import Survivor
from labkit.probes import Returns

ROOT = Path(__file__).parents[1]
LONG = 30.0  # seconds that no honest step here takes

pytestmark = pytest.mark.needs("sandbox")

NewStudent = Callable[..., Student]


@pytest.fixture
def new_student() -> Iterator[NewStudent]:
    started = []

    def start(memory_limit: int = 1024, **files: bytes) -> Student:
        started.append(Student(files, memory_limit=memory_limit, cpu_seconds=60))
        return started[-1]

    yield start
    for student in started:
        student.close()


@pytest.fixture(scope="module")
def student() -> Iterator[Student]:
    """One process for all attacks that it survives."""
    student = Student({}, memory_limit=1024, cpu_seconds=60)
    yield student
    student.close()


def run(student: Student, code: str) -> Any:
    """Run code that sets ``seen`` and return that."""
    done = student.run_cell(textwrap.dedent(code), LONG)
    assert done.error == "", done.message
    return student.read("seen")


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
    import socket

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


# -- what it uses up -----------------------------------------------------------------------------


def test_four_gigabytes_in_numpy_are_refused(student: Student) -> None:
    done = student.run_cell("import numpy as np\nx = np.ones(1 << 29)", LONG)
    assert done.error.endswith("MemoryError")
    assert student.run_cell("1", LONG).error == ""


def test_four_gigabytes_in_small_pieces_are_refused(new_student: NewStudent) -> None:
    """What is left decides whether the process can still say so."""
    try:
        code = "x = []\nwhile True: x.append(bytearray(1 << 20))"
        outcome = new_student().run_cell(code, LONG).error
    except DeathError as death:
        outcome = death.kind
    assert outcome in ("MemoryError", "memory")


def test_a_process_without_memory_to_hear_the_next_question_says_why(
    new_student: NewStudent,
) -> None:
    student = new_student()
    student.run_cell(
        "import labkit.frames\ndef full(*_, **__): raise MemoryError\n"
        "labkit.frames.Channel.receive = full",
        LONG,
    )
    with pytest.raises(DeathError) as caught:
        student.run_cell("1", LONG)
    assert caught.value.kind == "memory"


def test_who_dies_at_the_limit_died_of_memory(new_student: NewStudent) -> None:
    with pytest.raises(DeathError) as caught:
        new_student(600).run_cell("x = bytearray(560 << 20)\nimport os; os._exit(3)", LONG)
    assert caught.value.kind == "memory"


@pytest.mark.parametrize(
    "code",
    [
        "import mmap\nm = mmap.mmap(-1, 3 << 30)\nfor i in range(0, 3 << 30, 4096): m[i] = 1",
        "import os\nfor _ in range(4):\n    if not os.fork():\n        x = bytearray(600 << 20)\n"
        "        import time; time.sleep(60)\nimport time; time.sleep(60)",
    ],
    ids=["shared", "in many processes"],
)
def test_memory_that_no_limit_of_one_process_counts_is_watched(
    new_student: NewStudent, code: str
) -> None:
    with pytest.raises(DeathError) as caught:
        new_student().run_cell(code, LONG)
    assert caught.value.kind == "memory"


def test_a_fork_bomb_runs_dry(new_student: NewStudent) -> None:
    code = """
        import os, time
        children = 0
        try:
            while children < 1000:
                if os.fork() == 0:
                    time.sleep(600)
                children += 1
        except BlockingIOError:
            pass
        seen = children
        """
    assert 0 < run(new_student(), code) < lockdown.MAX_PROCESSES


def test_a_fork_bomb_harms_no_other_submission(new_student: NewStudent) -> None:
    bomber, neighbour = new_student(), new_student()
    bomb = "import os, time\nfor _ in range(60):\n    if not os.fork(): time.sleep(600)"
    bomber.run_cell(bomb, LONG)
    threads = """
        import threading, time
        started = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(20)]
        for thread in started: thread.start()
        seen = len(started)
        """
    assert run(neighbour, threads) == 20


def test_the_disk_is_small(student: Student) -> None:
    code = """
        import os, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        written = 0
        try:
            for number in range(4):
                with open(f"/tmp/{number}", "wb") as file:
                    for _ in range(200):
                        written += file.write(b"x" * (1 << 20))
                        file.flush()
        except OSError:
            pass
        for number in range(4):
            if os.path.exists(f"/tmp/{number}"): os.unlink(f"/tmp/{number}")
        seen = written >> 20
        """
    assert 200 <= run(student, code) <= 256


def test_processor_time_ends() -> None:
    student = Student({}, memory_limit=1024, cpu_seconds=1)
    try:
        code = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass"
        with pytest.raises(DeathError) as caught:
            student.run_cell(code, LONG)
    finally:
        student.close()
    assert caught.value.kind == "timeout"
    assert "computed for more than 1 s" in str(caught.value)


def test_a_loop_that_ignores_every_interrupt_is_killed(new_student: NewStudent) -> None:
    student = new_student()
    code = (
        "import signal\nfor s in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):\n"
        "    signal.signal(s, signal.SIG_IGN)\nwhile True: pass"
    )
    with pytest.raises(DeathError) as caught:
        student.run_cell(code, 0.2)
    assert caught.value.kind == "timeout"
    assert caught.value.outputs[-1]["ename"] == "DeadProcessError"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os._exit(3)", "the code ended the process$"),
        ("import ctypes; ctypes.string_at(0)", "the process crashed$"),
        ("import os; os.abort()", "the process crashed$"),
        (
            "import os\nfor fd in range(3, 64):\n    try: os.close(fd)\n    except OSError: pass",
            "ended|hung",
        ),
    ],
    ids=["exit", "segmentation fault", "abort", "hangs up"],
)
def test_a_death_is_told(new_student: NewStudent, code: str, said: str) -> None:
    student = new_student()
    student.run_cell("x = 1", LONG)
    with pytest.raises(DeathError, match=said) as caught:
        student.run_cell(f"print('last words', flush=True)\n{code}", LONG)
    assert caught.value.kind == "killed"
    assert caught.value.outputs[0]["text"] == "last words\n"
    with pytest.raises(DeathError):
        student.run_cell("x", LONG)


# -- what it says --------------------------------------------------------------------------------


def test_a_flood_of_frames_ends_the_process(new_student: NewStudent) -> None:
    code = """
        import os, socket, json, struct
        from labkit import wire
        fd = next(fd for fd in range(3, 64) if os.path.exists(f"/proc/self/fd/{fd}")
                  and os.readlink(f"/proc/self/fd/{fd}").startswith("socket"))
        line = socket.socket(fileno=os.dup(fd))
        output = {"output_type": "stream", "name": "stdout", "text": "x" * 100_000}
        raw = wire.dumps({"op": "output", "output": output})
        while True:
            line.sendall(struct.pack("<I", len(raw)) + raw)
        """
    with pytest.raises(DeathError) as caught:
        new_student().run_cell(textwrap.dedent(code), LONG)
    assert caught.value.kind == "killed"


@pytest.mark.parametrize(
    "forged",
    ["b'\\xff\\xff\\xff\\xff'", "b'\\x02\\x00\\x00\\x00[]'", "b'\\x03\\x00\\x00\\x00{]}'"],
    ids=["endless", "no message", "no JSON"],
)
def test_nonsense_on_the_line_ends_the_process(new_student: NewStudent, forged: str) -> None:
    code = (
        "import os\nfor fd in range(3, 64):\n"
        f"    try: os.write(fd, {forged})\n    except OSError: pass"
    )
    with pytest.raises(DeathError) as caught:
        new_student().run_cell(code, LONG)
    assert caught.value.kind == "killed"


def test_an_output_that_is_none_is_dropped(new_student: NewStudent) -> None:
    code = """
        from IPython import get_ipython
        emit = get_ipython().recorder._emit
        for output in (None, 7, {}, {"output_type": "evil"}, {"output_type": "stream", "text": 3},
                       {"output_type": "display_data", "data": {1: 2}},
                       {"output_type": "error", "traceback": "x"}):
            emit(output)
        """
    done = new_student().run_cell(textwrap.dedent(code), LONG)
    for output in done.outputs:
        assert output["output_type"] in ("stream", "display_data", "error")
        assert json.loads(json.dumps(output)) == output


def test_tampering_with_ipython_and_labkit_changes_its_own_answers_alone(
    new_student: NewStudent,
) -> None:
    student = new_student()
    student.run_cell(
        "get_ipython().input_transformers_cleanup.append(lambda lines: ['pass\\n'])\n"
        "import labkit.probes, labkit.compare\n"
        "labkit.compare.compare = lambda *a, **k: None\n"
        "real = labkit.probes.observe\n"
        "labkit.probes.observe = lambda *a, **k: labkit.probes.Observation(value='everything')",
        LONG,
    )
    seen = student.observe("real", Returns(), {}, LONG)
    assert seen is not None
    assert seen.value == "everything"  # which is compared with what is expected, elsewhere


# -- what it leaves behind -----------------------------------------------------------------------


def sleepers(seconds: str) -> list[str]:
    """Processes of this machine that sleep for exactly so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(path.parent.name)
        except OSError:  # it ended while we looked
            continue
    return found


def test_nothing_outlives_the_run(new_student: NewStudent) -> None:
    student = new_student()
    mark = f"601.{os.getpid()}"
    code = f"""
        import subprocess
        subprocess.Popen(["setsid", "nohup", "sleep", "{mark}"], start_new_session=True)
        while not subprocess.run(["pgrep", "-f", "^sleep {mark}"], capture_output=True).stdout:
            pass
        seen = True
        """
    assert run(student, code)
    assert sleepers(mark)
    student.close()
    assert not sleepers(mark)


def test_a_dead_grader_leaves_nothing_behind() -> None:
    """Not even code that hears no interrupt and has asked to outlive its parent."""
    mark = f"602.{os.getpid()}"
    stubborn = f"""
        import ctypes, signal, subprocess
        ctypes.CDLL(None).prctl(1, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        subprocess.Popen(["sleep", "{mark}"])
        while True: pass
        """
    code = f"""
        import os, signal, threading
        from autograder.student import Student
        from tests.test_sandbox import sleepers
        student = Student({{}}, memory_limit=1024, cpu_seconds=60)
        code = {textwrap.dedent(stubborn)!r}
        threading.Thread(target=student.run_cell, args=(code, 600), daemon=True).start()
        while not sleepers("{mark}"):
            os.sched_yield()
        print("ready", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == "ready\n", done.stderr
    deadline = time.monotonic() + LONG
    while sleepers(mark) and time.monotonic() < deadline:
        os.sched_yield()
    assert not sleepers(mark)


def test_two_submissions_share_nothing(new_student: NewStudent) -> None:
    one, two = new_student(), new_student()
    listed = "import os; seen = [sorted(os.listdir(p)) for p in ('/tmp', '/dev/shm')]"
    before = run(two, listed)  # not empty where the interpreter itself lies below one of them
    run(one, "open('/tmp/answer', 'w').write('x'); open('/dev/shm/answer', 'w'); seen = 1")
    assert all("answer" in names for names in run(one, listed))
    assert run(two, listed) == before
    assert not any("answer" in names for names in before)


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


def test_the_kernel_bounds_a_control_group_where_one_can_be_made() -> None:
    group = cgroups.make(96 << 20)
    if group is None:
        assert not any(os.access(parent, os.W_OK) for parent, _ in cgroups._parents())
        return
    greedy = f"import os; os.write({group.entrance}, b'0'); x = bytearray(300 << 20)"
    done = subprocess.run([sys.executable, "-c", greedy], pass_fds=(group.entrance,), check=False)
    assert done.returncode == -signal.SIGKILL
    assert group.ran_out()
    group.remove()
    assert not group.path.exists()


# -- where it cannot be had ----------------------------------------------------------------------


def as_ordinary_user(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code as a user without rights, who can read the interpreter; as us if we are."""
    if os.geteuid() != 0:
        command = [sys.executable, "-c", textwrap.dedent(code)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    opened = f"""
        import os, sys
        from pathlib import Path
        from autograder import lockdown as l
        home = Path.home()
        wanted = {{{sys.base_prefix!r}, {str(ROOT)!r}}}
        private = [path for path in wanted if Path(path).is_relative_to(home)]
        l._unshare(l.CLONE_NEWNS, "")
        l._mount("", "/", flags=l.MS_REC | l.MS_PRIVATE)
        l._mount("tmpfs", "/mnt", "tmpfs")
        for number, path in enumerate(private):  # what lies in a home that only we can read
            os.mkdir(f"/mnt/{{number}}")
            l._mount(path, f"/mnt/{{number}}", flags=l.MS_BIND | l.MS_REC)
        if private:
            l._mount("tmpfs", str(home), "tmpfs", 0, "mode=755")
        for number, path in enumerate(private):
            os.makedirs(path, exist_ok=True)
            l._mount(f"/mnt/{{number}}", path, flags=l.MS_BIND | l.MS_REC)
        os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
        os.environ["HOME"] = "/nonexistent"
        os.execv(sys.executable, [sys.executable, "-c", sys.argv[1]])
        """
    command = [sys.executable, "-c", textwrap.dedent(opened), textwrap.dedent(code)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_an_ordinary_user_has_the_same_sandbox() -> None:
    code = """
        import os
        from autograder import sandbox
        from autograder.student import DeathError, Student
        assert os.getuid() != 0
        print(sandbox.available().name)
        student = Student({"side.txt": b"x"}, memory_limit=1024, cpu_seconds=60)
        student.run_cell('''
        import os, socket, ctypes
        libc = ctypes.CDLL(None)
        seen = [
            os.path.exists("side.txt"),
            [p for p in os.listdir("/proc") if p.isdigit()],
            [line.split(":")[0].strip() for line in open("/proc/net/dev") if ":" in line],
            libc.unshare(0x10000000),
            libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None),
            os.access("/usr", os.W_OK) or os.access("/", os.W_OK),
            os.path.exists("/var"),
        ]
        ''', 30)
        print(student.read("seen"))
        bomb = "import os, time\\nn = 0\\nwhile n < 999:\\n"
        bomb += "    if not os.fork(): time.sleep(99)\\n    n += 1"
        print(student.run_cell(bomb, 30).error, student.read("n") < 64)
        student.close()
        alone = sandbox._server("barriers").tier
        for tier in (sandbox.available(), alone):
            sandbox.available = lambda: tier
            student = Student({}, memory_limit=600, cpu_seconds=60)
            hog = "import mmap\\nm = mmap.mmap(-1, 2 << 30)\\n"
            hog += "for _ in range(2000): m.write(bytes(1 << 20))"
            try:
                student.run_cell(hog, 30)
            except DeathError as death:
                print(student.tier, death.kind)
            student.close()
        """
    done = as_ordinary_user(code)
    assert done.stdout.splitlines() == [
        "namespaces+landlock+seccomp",
        "[True, ['1'], ['lo'], -1, -1, False, False]",
        "BlockingIOError True",
        "namespaces+landlock+seccomp memory",
        "landlock+seccomp memory",
    ], done.stderr


WITHOUT_NAMESPACES = """
    import os, sys
    from pathlib import Path
    from autograder import barriers, lockdown, sandbox
    from autograder.student import Student
    lockdown.new_user()
    if os.fork():
        os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    lockdown._prctl(24, 21)  # no CAP_SYS_ADMIN for what is started from here
    """


def test_where_users_make_no_namespaces_the_barriers_hold_alone() -> None:
    code = """
        tier = sandbox.available()
        print(tier.name)
        print(tier.lacks)
        victim = os.getpid()
        secret = Path("autograder/spec.py").resolve()
        student = Student({"side.txt": b"x"}, memory_limit=1024, cpu_seconds=60)
        student.run_cell(f'''
        import ctypes, os, signal, socket, subprocess, threading
        def refused(call, *arguments):
            try:
                call(*arguments)
            except OSError as error:
                return error.errno
        libc = ctypes.CDLL(None, use_errno=True)
        number = ctypes.c_long
        seen = dict(
            reads=refused(open, "{secret}"),
            others=refused(open, "/proc/{victim}/status"),
            lists=refused(os.listdir, "/home"),
            writes=refused(open, "/var/tmp/x", "w"),
            signals=refused(os.kill, {victim}, 0),
            limits=libc.prlimit({victim}, 7, ctypes.byref((ctypes.c_ulong * 2)(9, 9)), None),
            traces=libc.ptrace(16, {victim}, None, None),
            socket=refused(socket.socket),
            forks=refused(os.fork),
            runs=refused(os.execv, "/bin/true", ["true"]),
            spawns=refused(os.posix_spawn, "/bin/true", ["true"], {{}}),
            own_signal=refused(os.kill, os.getpid(), 0),
            own_files=[os.path.exists("side.txt"), refused(open, "new", "w")],
        )
        thread = threading.Thread(target=lambda: seen.update(thread=True))
        thread.start(); thread.join()
        ''', 30)
        print(student.read("seen"))
        folder = student._process._folder
        student.close()
        print(os.path.exists(folder))
        os._exit(0)
        """
    done = as_ordinary_user(textwrap.dedent(WITHOUT_NAMESPACES) + textwrap.dedent(code))
    tier, lacks, seen, left = (*done.stdout.splitlines(), "", "", "", "")[:4]
    assert tier == "landlock+seccomp", done.stderr
    assert "cannot isolate student code (make namespaces: " in lacks
    assert "sysctl user.max_user_namespaces=10000" in lacks
    refused = errno.EACCES
    assert ast.literal_eval(seen) == {
        "reads": refused,
        "others": refused,
        "lists": refused,
        "writes": refused,
        "signals": errno.EPERM,
        "limits": -1,
        "traces": -1,
        "socket": errno.EAFNOSUPPORT,
        "forks": errno.EPERM,
        "runs": errno.EPERM,
        "spawns": errno.EPERM,
        "own_signal": None,
        "own_files": [True, None],
        "thread": True,
    }
    assert left == "False"


def test_where_nothing_isolates_a_sentence_says_what_helps() -> None:
    code = """
        barriers.landlock_version = lambda: 0
        os.environ["PYTHONPATH"] = ""
        from autograder import fork_server
        real = fork_server.SERVER
        fork_server.SERVER = real.replace(
            "main(*", "import autograder.barriers as b; b.landlock_version = lambda: 0; main(*"
        ).replace("del sys.path[:2]; ", "")
        print(sandbox.available())
        os._exit(0)
        """
    done = as_ordinary_user(textwrap.dedent(WITHOUT_NAMESPACES) + textwrap.dedent(code))
    assert "cannot isolate student code (make namespaces: " in done.stdout, done.stderr
    assert "sysctl user.max_user_namespaces=10000" in done.stdout


def test_an_interpreter_that_the_student_cannot_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "python"
    private.mkdir()
    private.chmod(0o000)
    visible, needed = fork_server.visible_paths(ROOT / "labs" / "labkit")
    everything = [*visible, str(private)], [*needed, str(private)]
    monkeypatch.setattr(fork_server, "visible_paths", lambda _: everything)
    sandbox.available.cache_clear()
    reason = sandbox.available()
    sandbox.available.cache_clear()
    assert isinstance(reason, str)
    assert f"{private} cannot be read" in reason
    assert "put Python and the virtual environment where" in reason


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    sandbox.available.cache_clear()
    reason = sandbox.available()
    sandbox.available.cache_clear()
    assert isinstance(reason, str)
    assert "Linux" in reason


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


# -- the fork server -----------------------------------------------------------------------------


def kill_fork_server() -> None:
    """As the kernel does when the whole machine runs out of memory."""
    for server in sandbox._servers.values():
        if server.has_ended():
            continue
        outer = server._process.pid
        children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
        os.kill(int(children[0]) if children else outer, signal.SIGKILL)
        server._process.wait()


def test_a_process_whose_fork_server_is_killed_is_lost_and_the_next_has_a_new_one(
    new_student: NewStudent,
) -> None:
    student = new_student()
    kill_fork_server()
    with pytest.raises(sandbox.LostError):
        student.run_cell("1", LONG)
    assert run(new_student(), "seen = 2") == 2


def test_a_notebook_goes_on_after_its_fork_server_was_killed() -> None:
    notebook = Survivor({}, memory_limit=1024, total_limit=600.0, isolate=True)
    try:
        notebook.run_cell("one", "x = 1")
        kill_fork_server()
        assert notebook.run_cell("two", "y = x + 1") == []
        assert notebook.read("y") == 2
        assert notebook.failures == {}
    finally:
        notebook.close()


def test_another_process_of_this_machine_uses_the_same_server() -> None:
    address = sandbox.share()
    code = f"""
        from autograder import sandbox
        from autograder.student import Student
        tier = sandbox.Tier({address.tier.kind!r}, {address.tier.layers!r})
        sandbox.use(sandbox.Address({address.path!r}, tier))
        student = Student({{}}, memory_limit=1024, cpu_seconds=60)
        student.run_cell("x = 5", 30)
        print(student.read("x"), student.tier, len(sandbox._servers))
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout == f"5 {address.tier.name} 0\n", done.stderr


def test_whose_shared_server_has_gone_starts_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = sandbox.Address("/nonexistent/forks", sandbox.share().tier)
    monkeypatch.setattr(sandbox, "_shared", gone)
    student = Student({}, memory_limit=1024, cpu_seconds=60)
    assert run(student, "seen = 3") == 3
    student.close()


def test_a_worker_that_is_killed_while_it_asks_ends_nobody_else(new_student: NewStudent) -> None:
    student = new_student()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(sandbox.share().path)
    assert run(new_student(), "seen = 1") == 1
    assert run(student, "seen = 2") == 2


def test_what_a_notebook_does_to_modules_reaches_no_other(new_student: NewStudent) -> None:
    spoilt = """
        import builtins, json, numpy, sys, torch
        import labkit.wire
        numpy.sum = torch.sum = builtins.len = labkit.wire.dumps = json.dumps = None
        sys.modules["random"] = None
        seen = 1
        """
    with contextlib.suppress(DeathError):  # it may not live on without them
        new_student().run_cell(textwrap.dedent(spoilt), LONG)
    fresh = "import numpy, random, torch; seen = [int(numpy.sum([1, 2])), len([random.random()])]"
    assert run(new_student(), fresh) == [3, 1]
