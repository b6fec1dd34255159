"""The student's process: cells as in Jupyter, observations as plain data, limits that hold."""

from __future__ import annotations

import random
import signal
import socket
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from autograder.student import CellRun, Student
from labkit import probes, wire
from labkit.capture import MAX_OUTPUT_BYTES
from labkit.compare import Summary
from labkit.frames import Channel, ClosedError
from labkit.markers import Env
from labkit.probes import Mutates, Raises, Returns, Rewards
from labkit.runner import Interrupts
from labkit.wire import Opaque

LONG = 30.0  # seconds that no honest step here takes
NAMES_OF_IPYTHON = {"In", "Out", "exit", "quit", "open", "get_ipython"}


@pytest.fixture(scope="module")
def student() -> Iterator[Student]:
    files = {"data/notes.txt": b"read me"}
    student = Student(files, memory_limit=2048, cpu_seconds=600, isolate=False)
    yield student
    student.close()


def shown(run: CellRun, kind: str) -> list[dict[str, Any]]:
    return [output for output in run.outputs if output["output_type"] == kind]


def text(run: CellRun) -> str:
    return "".join(output["text"] for output in shown(run, "stream"))


def test_a_cell_shows_streams_in_order_and_its_value(student: Student) -> None:
    run = student.run_cell(
        "import sys\nprint('one')\nprint('two', file=sys.stderr)\nprint('three')\n6 * 7", LONG
    )
    streams = [(output["name"], output["text"]) for output in shown(run, "stream")]
    assert streams == [("stdout", "one\n"), ("stderr", "two\n"), ("stdout", "three\n")]
    (result,) = shown(run, "execute_result")
    assert result["data"] == {"text/plain": "42"}
    assert run.error == ""


def test_an_error_has_its_name_message_and_traceback(student: Student) -> None:
    run = student.run_cell("def broken():\n    return 1 / 0\nbroken()", LONG)
    (error,) = shown(run, "error")
    assert (run.error, run.message) == ("ZeroDivisionError", "division by zero")
    assert error["ename"] == "ZeroDivisionError"
    assert "broken" in "\n".join(error["traceback"])


def test_a_syntax_error_is_an_error(student: Student) -> None:
    assert student.run_cell("def f(:\n    pass", LONG).error == "SyntaxError"


def test_what_jupyter_can_do_works(student: Student) -> None:
    run = student.run_cell(
        "import asyncio\nawait asyncio.sleep(0)\n%time x = 3\n"
        "!echo from the shell\ny = !echo kept\n"
        "from IPython.display import HTML, display\ndisplay(HTML('<b>bold</b>'))\n(x, y[0]);\n",
        LONG,
    )
    assert run.error == ""
    assert "from the shell" in text(run)
    (display,) = shown(run, "display_data")
    assert display["data"]["text/html"] == "<b>bold</b>"
    assert shown(run, "execute_result") == []  # a semicolon hides the value
    assert student.read("y") == ["kept"] or type(student.read("y")) is Opaque


def test_a_figure_is_shown_as_a_picture(student: Student) -> None:
    run = student.run_cell("import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])", LONG)
    assert [list(output["data"]) for output in shown(run, "display_data")] == [
        ["text/plain", "image/png"]
    ]


def test_the_process_knows_that_it_is_graded_and_computes_on_one_thread(student: Student) -> None:
    student.run_cell(
        "import os\nmode = os.environ['NBGRADER_EXECUTION']\n"
        "threads = os.environ['OMP_NUM_THREADS']\nsecret = os.environ.get('PYTEST_VERSION')",
        LONG,
    )
    values = [student.read(name) for name in ("mode", "threads", "secret")]
    assert values == ["autograde", "1", None]


def test_what_notebooks_import_is_there_already(student: Student) -> None:
    """Imported once, before the fork; the names are as new, and luck is the same for everybody."""
    fresh = Student({}, memory_limit=2048, cpu_seconds=600, isolate=False)
    cell = """
        import random, sys
        import numpy as np, torch
        loaded = {"torch", "transformers", "gymnasium", "labkit.probes"} <= set(sys.modules)
        names = sorted(name for name in globals() if not name.startswith("_"))
        luck = [random.random(), np.random.rand(), torch.rand(()).item()]
        """
    fresh.run_cell(textwrap.dedent(cell), LONG)
    loaded, names, luck = (fresh.read(name) for name in ("loaded", "names", "luck"))
    fresh.close()
    assert loaded is True
    assert set(names) - {"random", "sys", "np", "torch", "loaded"} == NAMES_OF_IPYTHON
    seeded = torch.Generator().manual_seed(0)
    assert luck == [
        random.Random(0).random(),
        np.random.RandomState(0).rand(),
        torch.rand((), generator=seeded).item(),
    ]


def test_side_files_lie_beside_the_notebook(student: Student) -> None:
    student.run_cell("found = open('data/notes.txt').read()", LONG)
    assert student.read("found") == "read me"


def test_endless_output_is_cut(student: Student) -> None:
    line = "x" * 1000
    run = student.run_cell(f"for _ in range(20_000): print('{line}')", LONG)
    assert run.error == ""
    assert len(text(run)) < 1.1 * MAX_OUTPUT_BYTES
    assert text(run).count("cut here") == 1
    assert text(student.run_cell("print('the next cell')", LONG)) == "the next cell\n"


def test_a_cell_is_interrupted_at_its_limit(student: Student) -> None:
    run = student.run_cell("before = 1\nwhile True:\n    pass", 0.3)
    assert run.timed_out
    assert run.error == "TimeLimitError"
    assert student.read("before") == 1  # and the process lives on


def test_a_function_is_observed(student: Student) -> None:
    student.run_cell("def double(x, times=1):\n    return 2 * times * x", LONG)
    case = {"x": np.array([1.0, 2.0]), "times": 3}
    seen = student.observe("double", Returns(), case, LONG)
    assert seen is not None
    np.testing.assert_array_equal(seen.value, [6.0, 12.0])
    assert not seen.changed


def test_other_probes_arrive_as_they_are_declared(student: Student) -> None:
    student.run_cell("def add(x):\n    x += 1\n    if x[0] > 5: raise ValueError('large')", LONG)
    mutates = student.observe("add", Mutates(("x",)), {"x": np.zeros(2)}, LONG)
    raises = student.observe("add", Raises(), {"x": np.full(2, 9.0)}, LONG)
    assert mutates is not None and raises is not None
    np.testing.assert_array_equal(mutates.value["x after the call"], [1.0, 1.0])
    assert raises.value == {"raised": "ValueError"}


def test_an_exception_is_observed_with_its_line(student: Student) -> None:
    student.run_cell("def fails(x):\n    y = x\n    return y / 0", LONG)
    seen = student.observe("fails", Returns(), {"x": 1.0}, LONG)
    assert seen is not None and seen.error is not None
    assert (seen.error.type_name, seen.error.line) == ("ZeroDivisionError", 3)
    assert seen.error.source == "return y / 0"


@pytest.mark.parametrize("raised", ["KeyboardInterrupt", "SystemExit(0)", "GeneratorExit"])
def test_an_exception_beside_exception_ends_the_call_alone(student: Student, raised: str) -> None:
    student.run_cell(f"def leaves():\n    raise {raised}", LONG)
    seen = student.observe("leaves", Returns(), {}, LONG)
    assert seen is not None
    assert seen.timed_out or seen.error is not None
    assert student.run_cell("1", LONG).error == ""


def test_an_absent_name_is_seen_as_nothing(student: Student) -> None:
    assert student.observe("nowhere", Returns(), {}, LONG) is None
    assert student.read("nowhere") is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("object()", "object"),
        ("...", "ellipsis"),
        ("(x for x in [1])", "generator"),
        ("2**100", "int (too large or unusual)"),
    ],
)
def test_what_is_not_data_is_described(student: Student, answer: str, kind: str) -> None:
    student.run_cell(f"def odd():\n    return {answer}", LONG)
    seen = student.observe("odd", Returns(), {}, LONG)
    assert seen is not None
    assert type(seen.value) is Opaque
    assert seen.value.type_name == kind


def test_an_answer_too_large_to_send_is_described(student: Student) -> None:
    student.run_cell("import numpy as np\ndef large():\n    return np.zeros(3_000_000)", LONG)
    seen = student.observe("large", Returns(), {}, LONG)
    assert seen is not None
    assert type(seen.value) is Opaque


def test_a_summary_of_samples_cannot_be_handed_in(student: Student) -> None:
    student.run_cell(
        "from labkit.compare import Summary\nimport numpy as np\n"
        "def forged():\n    return [Summary(np.zeros(1), np.full(1, 1e9), 100)]",
        LONG,
    )
    seen = student.observe("forged", Returns(), {}, LONG)
    assert seen is not None
    assert seen.value == [Opaque(Summary.__name__, "")]


def test_a_call_is_stopped_at_its_limit_even_if_it_swallows_the_error(student: Student) -> None:
    student.run_cell(
        "def stubborn():\n    for _ in range(3):\n"
        "        try:\n            while True: pass\n        except BaseException: pass",
        LONG,
    )
    started = time.monotonic()
    seen = student.observe("stubborn", Returns(), {}, 0.2)
    assert seen is not None
    assert time.monotonic() - started < LONG
    assert student.run_cell("1", LONG).error == ""


def test_what_a_judged_call_prints_is_not_shown(student: Student) -> None:
    student.run_cell("def talks(x):\n    print(x)\n    return x", LONG)
    student.observe("talks", Returns(), {"x": "a hidden input"}, LONG)
    assert text(student.run_cell("print('later')", LONG)) == "later\n"


def test_a_fork_left_behind_answers_nothing(student: Student) -> None:
    student.run_cell("import os\npid = os.fork()", LONG)
    assert student.read("pid") > 0
    assert student.run_cell("1", LONG).error == ""


def test_files_that_cannot_be_laid_down_are_left_out() -> None:
    files = {"name": b"x", "name/inside": b"y", "last": b"z"}
    student = Student(files, memory_limit=2048, cpu_seconds=600, isolate=False)
    student.run_cell("import os\nseen = sorted(os.listdir('.'))", LONG)
    assert {"name", "last"} <= set(student.read("seen"))
    student.close()


def test_a_path_outside_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # the notebook's folder is made here
    files = {str(tmp_path / "absolute.txt"): b"x", "../escaped.txt": b"x", "kept.txt": b"x"}
    student = Student(files, memory_limit=2048, cpu_seconds=600, isolate=False)
    written = {path.name for path in tmp_path.rglob("*.txt")}
    student.close()
    assert written == {"kept.txt"}
    assert list(tmp_path.iterdir()) == []


class Recorded(Channel):
    """A channel on which an interrupt arrives while a frame is being sent."""

    def __init__(self, interrupts: Interrupts) -> None:
        self.interrupts = interrupts
        self.sent: list[Any] = []

    def send(self, value: Any, *, seconds: float | None = None) -> None:
        self.interrupts(signal.SIGINT, None)
        self.sent.append(value)


def test_an_interrupt_waits_until_a_frame_is_sent_whole() -> None:
    interrupts = Interrupts()
    channel = Recorded(interrupts)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupts.run(lambda: interrupts.send(channel, {"op": "output"}))
    finally:
        signal.signal(signal.SIGINT, before)
    assert channel.sent == [{"op": "output"}]


def test_an_interrupt_outside_of_the_students_code_is_nothing() -> None:
    interrupts = Interrupts()
    channel = Recorded(interrupts)
    interrupts.send(channel, {"op": "ready"})
    interrupts(signal.SIGINT, None)
    assert channel.sent == [{"op": "ready"}]


def channels(**options: int) -> tuple[Channel, socket.socket]:
    ours, theirs = socket.socketpair()
    return Channel(ours, **options), theirs


def test_a_frame_arrives_in_pieces() -> None:
    channel, other = channels()
    sent = {"op": "x", "data": np.arange(3)}
    sender, receiver = channels()
    sender.send(sent)
    raw = receiver.recv(1 << 16)
    other.sendall(raw[:7])
    with pytest.raises(TimeoutError):
        channel.receive(seconds=0.01)
    other.sendall(raw[7:])
    np.testing.assert_array_equal(channel.receive(seconds=LONG)["data"], [0, 1, 2])


def test_a_frame_that_is_too_long_is_refused_before_it_is_read() -> None:
    channel, other = channels(limit=100)
    other.sendall((101).to_bytes(4, "little"))
    with pytest.raises(wire.WireError, match="101 bytes"):
        channel.receive(seconds=LONG)


def test_a_frame_of_nonsense_is_refused() -> None:
    channel, other = channels()
    other.sendall((4).to_bytes(4, "little") + b"{]}[")
    with pytest.raises(wire.WireError):
        channel.receive(seconds=LONG)


def test_no_time_at_all_is_enough_for_what_is_there_already() -> None:
    channel, other = channels()
    with pytest.raises(TimeoutError):
        channel.receive(seconds=0.0)
    Channel(other).send("one")
    Channel(other).send("two")
    assert channel.receive(seconds=LONG) == "one"
    assert channel.receive(seconds=0.0) == "two"


def test_a_hung_up_channel_says_so() -> None:
    channel, other = channels()
    other.close()
    with pytest.raises(ClosedError):
        channel.receive(seconds=LONG)
    with pytest.raises(ClosedError):
        channel.send("anybody there?")


def test_who_does_not_listen_is_not_waited_for() -> None:
    channel, _other = channels()
    with pytest.raises(TimeoutError):
        channel.send("x" * (8 << 20), seconds=0.05)


# -- environments that stay at the grader's ------------------------------------------------------

WALK = """
import gymnasium
def walk(env):
    obs, info = env.reset(seed=5)
    terminated = truncated = False
    while not (terminated or truncated):
        obs, reward, terminated, truncated, info = env.step(1 if obs % 12 < 11 else 2)
    return obs
"""
WALK_CASE = {"env": Env("CliffWalking-v1", {"max_episode_steps": 30}, seed=1)}


def walk(env: Any) -> Any:
    names: dict[str, Any] = {}
    exec(WALK, names)
    return names["walk"](env)


def test_what_an_environment_pays_is_what_the_graders_own_pays(student: Student) -> None:
    student.run_cell(WALK, LONG)
    got = student.observe("walk", Rewards(), WALK_CASE, LONG)
    expected = probes.observe(walk, Rewards(), WALK_CASE)
    assert got is not None
    assert expected.value["env"][0].sum() < 0.0
    assert [list(rewards) for rewards in got.value["env"]] == [
        list(rewards) for rewards in expected.value["env"]
    ]


@pytest.mark.parametrize(
    "cheat",
    [
        "type(env).step = lambda self, action: (0, 1e9, True, False, {})",
        "import gymnasium; gymnasium.Wrapper.step = lambda self, a: (0, 1e9, True, False, {})",
        "env.episodes[:] = [[1e9]]",
        "from labkit import trusted; trusted.Recorder.paid = lambda self: [1e9]",
        "from labkit import markers; markers.asking = lambda question: {'error': '', 'value': 1}",
    ],
)
def test_rewards_that_a_student_makes_up_count_nothing(student: Student, cheat: str) -> None:
    fresh = Student({}, memory_limit=2048, cpu_seconds=600, isolate=False)
    fresh.run_cell(f"def lazy(env):\n    env.reset()\n    env.step(0)\n    {cheat}", LONG)
    got = fresh.observe("lazy", Rewards(), WALK_CASE, LONG)
    fresh.close()
    assert got is not None
    assert [list(rewards) for rewards in got.value["env"]] == [[-1.0]]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("env.step('up')", "ValueError: 'up' is not in Discrete(4)"),
        ("env.step(7)", "ValueError: 7 is not in Discrete(4)"),
        ("env._ask({'env': 9, 'method': 'step', 'argument': 0})['error'] and 1 / 0", "division"),
    ],
)
def test_a_wrong_action_is_an_error_of_the_students(student: Student, step: str, said: str) -> None:
    student.run_cell(f"def act(env):\n    env.reset()\n    env = env.env\n    {step}", LONG)
    got = student.observe("act", Rewards(), WALK_CASE, LONG)
    assert got is not None
    assert got.error is not None
    assert said in got.error.message
    assert student.read("act") is not None  # it is still there to answer


def test_an_answer_that_comes_after_an_interrupt_is_dropped(student: Student) -> None:
    code = "def spin(env):\n    env.reset()\n    while True:\n        env.step(0)"
    student.run_cell(code, LONG)
    late = student.observe("spin", Rewards(), WALK_CASE, 0.3)
    assert late is not None
    assert late.timed_out
    student.run_cell("ahead = 3", LONG)
    assert student.read("ahead") == 3
