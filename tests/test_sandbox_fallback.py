"""The sandbox where it cannot be had whole: ordinary users, kernels that refuse, other systems."""

from __future__ import annotations

import ast
import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from autograder import fork_server, sandbox
from tests.sandboxed import ROOT

pytestmark = [pytest.mark.long(1), pytest.mark.needs("sandbox")]


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
