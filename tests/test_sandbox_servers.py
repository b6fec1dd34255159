"""The fork server, and that nothing is shared between students or left behind by one."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from autograder import sandbox
from autograder.student import DeathError, Student
from autograder.survivor import Survivor
from tests.sandboxed import LONG, ROOT, NewStudent, run, sleepers

pytestmark = pytest.mark.needs("sandbox")


# -- what it leaves behind -----------------------------------------------------------------------


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
        from tests.sandboxed import sleepers
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
