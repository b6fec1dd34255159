"""The sandbox against code that means harm: what it uses up, and what it says while it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from autograder import cgroups, lockdown
from autograder.student import DeathError, Student
from labkit.probes import Returns
from tests.sandboxed import LONG, NewStudent, run

pytestmark = pytest.mark.needs("sandbox")


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
