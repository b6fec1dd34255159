"""The benchmarks of grading, the pages that quote them, and the container image."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pyseccomp
import pytest

from autograder import discover, lockdown
from autograder.course import Course
from benchmarks import grading_scale, grading_throughput, recording
from benchmarks.classroom import classes, kept, processes, runs, sampling, stock
from benchmarks.grading import middle, slope
from book.figures import grading, journey
from tests import container

ROOT = discover.ROOT
GUIDE = ROOT / "book" / "instructor" / "guide"
SPEED = GUIDE / "4_speed_and_scale.md"
SECURITY = GUIDE / "4_security.md"


# -- classes -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench_course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course directory with the trivial lab released."""
    course = Course(tmp_path_factory.mktemp("bench") / "course")
    course.assign(classes.trivial_lab())
    return course


def test_a_class_answers_everything_and_no_two_are_the_same(
    bench_course: Course, tmp_path: Path
) -> None:
    classes.make_trivial(tmp_path, bench_course, 3, seconds=0.0)
    files = sorted(tmp_path.rglob("*.ipynb"))
    assert [path.parent.parent.name for path in files] == [
        "student0000",
        "student0001",
        "student0002",
    ]
    assert len({path.read_bytes() for path in files}) == 3
    sources = [cell.source for cell in nbformat.read(files[0], as_version=4).cells]
    assert not any("NotImplementedError" in source for source in sources)
    imports = "\n".join(sources)
    assert all(
        f"import {name}" in imports for name in ("numpy", "torch", "gymnasium", "transformers")
    )


def test_stock_gets_the_same_cells_but_for_the_tests(bench_course: Course) -> None:
    ours = classes.solved(bench_course, classes.trivial_lab())
    theirs = stock.with_asserts(ours)
    names: dict[str, Any] = {}
    for mine, other in zip(ours.cells, theirs.cells, strict=True):
        name = classes.grade_id(mine)
        assert dict(mine.metadata) == dict(other.metadata)
        if name.startswith("test-"):
            assert other.source == stock.TESTS[name.removeprefix("test-")]
        elif name not in stock.TESTS:
            assert mine.source == other.source
        if mine.cell_type == "code" and name and not name.startswith("cell-start"):
            exec(other.source, names)
    names["double"] = lambda number: number  # a wrong answer, so that an assert has work to do
    with pytest.raises(AssertionError):
        exec(stock.TESTS["double"], names)


def test_each_size_of_the_large_class_holds_the_same_mix() -> None:
    assert all(size % classes.MIX == 0 for size in (50, 100, 1000))


# -- measuring -----------------------------------------------------------------------------------

PARENT = """
import os, sys, time
block = bytearray(b"x") * (64 << 20)
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(writer)
    os.read(reader, 1)  # until the parent has gone
    os._exit(0)
deadline = time.process_time() + 0.3
while time.process_time() < deadline:
    pass
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_tree_of_processes_is_seen_with_its_time_and_memory() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        found = processes.tree(parent.pid)
        pss = processes.memory(parent.pid, "Pss")
        private = processes.memory(parent.pid, "Private_Clean", "Private_Dirty")
        parent.communicate()
    assert [seen.parent for seen in found] == [os.getpid(), parent.pid]
    assert found[0].cpu_seconds >= 0.3 > found[1].cpu_seconds
    assert private < 32 << 20 <= pss < 64 << 20  # the block is shared by two
    assert processes.tree(parent.pid) == []
    assert processes.memory(parent.pid, "Pss") == 0


def seen(parent: int, *pids: int, command: str) -> processes.Seen:
    return processes.Seen(pids[0], parent, command, 0.0, pids)


def test_processes_have_roles_by_what_started_them() -> None:
    server = "python -c from autograder.zygote import main"
    found = [
        seen(0, 1, command="python -m autograder grade"),
        seen(1, 2, command="python -c from multiprocessing.resource_tracker import main"),
        seen(1, 10, command="python -c from multiprocessing.forkserver import main"),
        seen(10, 3, command="python -c from multiprocessing.forkserver import main"),
        seen(3, 4, command=server),  # waits for the first process of the namespace
        seen(4, 5, 1, command=server),
        seen(5, 6, 2, 1, command=server),
        seen(6, 7, 3, 2, command="sleep 100"),
        seen(1, 8, command=server),  # a server without a namespace, and its child
        seen(8, 9, command=server),
    ]
    assert processes.roles(found, 1) == {
        1: "writer", 2: "helper", 3: "referee", 4: "zygote", 5: "zygote", 6: "student",
        7: "student", 8: "zygote", 9: "student", 10: "helper",
    }  # fmt: skip


def test_time_is_told_by_what_the_stack_is_about() -> None:
    recording_ = ["x/autograder/writer.py", "x/site-packages/nbgrader/converters/base.py"]
    assert sampling.label([*recording_, "x/sqlalchemy/orm/session.py"]) == "gradebook"
    assert sampling.label([*recording_, "x/nbformat/v4/nbbase.py"]) == "autograde"
    assert sampling.label(["x/autograder/preflight.py", "x/nbformat/v4/nbbase.py"]) == "preflight"
    assert sampling.label(["x/sqlalchemy/orm/session.py"]) == "rest"


def test_samples_add_up_to_the_thread_s_own_time() -> None:
    import time

    with sampling.Sampler() as sampler:
        started = time.thread_time()
        while time.thread_time() - started < 0.2:
            pass
    assert 0.15 < sum(sampler.seconds.values()) < 0.3


def test_a_run_is_measured_with_all_that_it_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "if len(sys.argv) == 1: subprocess.run([sys.executable, __file__, 'x'], check=True)\n"
        "end = time.process_time() + 0.2\n"
        "while time.process_time() < end: pass\n"
    )
    script = tmp_path / "busy.py"
    script.write_text(code, "utf-8")
    run = runs.timed(
        [sys.executable, str(script)], folder=tmp_path, done=tmp_path / "x", size=1, words="busy"
    )
    assert run.cpu_seconds > 0.4
    assert run.seconds > 0.4
    script.write_text("raise SystemExit('no disk')", "utf-8")
    with pytest.raises(runs.FailedError, match="busy ended with code 1: no disk"):
        runs.timed(
            [sys.executable, str(script)], folder=tmp_path, done=tmp_path, size=1, words="busy"
        )


def test_a_part_is_measured_once_and_anew_for_another_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "HOME", tmp_path)
    made: list[int] = []

    def measure() -> int:
        made.append(1)
        return len(made)

    assert [kept.part("b", "p", measure) for _ in range(2)] == [1, 1]
    monkeypatch.setattr(kept, "engine", lambda: {"digest": "other"})
    assert kept.part("b", "p", measure) == 2
    kept.drop("b")
    assert kept.part("b", "p", measure) == 3


def test_start_and_end_cancel_in_the_cost_of_one_more() -> None:
    runs_ = [{"seconds": 5.0 + 0.25 * size} for size in (40, 160)]
    assert slope(runs_[0], runs_[1], (40, 160), "seconds") == pytest.approx(0.25)
    assert middle([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0}


def test_a_breakdown_adds_up_and_each_part_is_somebody_s() -> None:
    def profiled(size: int) -> dict[str, Any]:
        return {
            "cpu_seconds": 4.0 + 0.2 * size,
            "students": 0.1 * size,
            "roles": {"writer": 1.0, "referee": 2.0 + 0.01 * size, "zygote": 1.0},
            "writer": {"feedback": 0.03 * size, "preflight": 0.02 * size, "rest": 1.0},
        }

    parts = grading_throughput.breakdown(profiled(10), profiled(50), (10, 50))
    assert sum(parts.values()) == pytest.approx(200.0)
    assert parts["student's process"] == pytest.approx(100.0)
    assert parts["rest"] == pytest.approx(40.0)
    sides = grading_throughput.sides(parts)
    assert sides == {"nbgrader": 30.0, "student": 100.0, "grader": 70.0}


def test_growth_and_windows_of_a_run_in_two_pieces() -> None:
    def piece(first: int, last: int) -> dict[str, Any]:
        samples = [
            (0.5 * (n - first), n, {"writer": (100 + n) * 10**6}) for n in range(first, last)
        ]
        return {"samples": samples, "seconds": 0.5 * (last - first), "cpu_seconds": 1.0}

    pieces = [piece(0, 400), piece(400, 1001)]
    points = grading_scale.curve(pieces)
    flat = grading_scale.flatness(points, 1000)
    assert flat["grown by MB per 100 submissions"] == pytest.approx(100.0, rel=0.01)
    assert grading_scale.windows(points, 50) == pytest.approx([0.5] * 19)
    cost = grading_scale.cost(pieces, 1000)
    assert cost["seconds a submission at work"] == pytest.approx(0.5, rel=0.01)
    assert cost["pieces"] == 2


# -- pages ---------------------------------------------------------------------------------------


REPEATED = {"median": 2.0, "low": 1.0, "high": 4.0}
ROW: dict[str, Any] = {
    "seconds a submission": REPEATED,
    "CPU seconds a submission": REPEATED,
    "times stock": REPEATED,
    "times stock without start and end": 25.0,
    "seconds for start and end": 5.0,
    "seconds a submission without them": 0.2,
    "cores that others used": REPEATED,
}
COST = {
    "seconds": 900.0,
    "seconds a submission": 0.9,
    "seconds a submission at work": 0.8,
    "CPU seconds a submission": 1.6,
    "highest MB": 700.0,
}
MEASURED: dict[str, dict[str, Any]] = {
    "throughput": {
        "settings": {"submissions": 40, "repetitions": 3},
        "machine": {"cores used": 2, "processor": "chip", "engine": "abc"},
        "date": "2026-01-01",
        "methods": {"nbgrader autograde": ROW, "ours, 1 worker": ROW, "ours, 2 workers": ROW},
        "breakdown": {"student's process": 30.0, "referee": 8.0, "writer: feedback": 40.0},
        "added, CPU ms": {"nbgrader": 40.0, "student": 30.0, "grader": 8.0},
    },
    "child": {
        "machine": {"tier": "namespaces"},
        "ms": {"to be ready": {"median": 9.0, "90%": 12.0}},
        "idle": {"private MB": 5.0},
        "trivial": {"CPU ms in a bare Python": 3.0},
    },
    "memory": {
        "settings": {"submissions": 200},
        "memory": {"highest MB": 500.0},
        "curve seconds": [0.0, 1.0],
        "curve MB": [100.0, 500.0],
    },
    "workers": {
        "settings": {"submissions": 40},
        "methods": {"workers: 2": {"times as fast": REPEATED, "times as fast at work": REPEATED}},
    },
    "scale": {
        "settings": {"mix": 50},
        "methods": {
            "100": COST | {"submissions": 100},
            "1000": COST | {"submissions": 1000},
        },
        "largest class over the one before": {
            "CPU seconds a submission": 1.02,
            "seconds a submission": 0.95,
        },
        "memory": {"grown by MB per 100 submissions": 0.4, "MB in the last tenth": 650.0},
        "curve seconds a submission": [0.9, 0.8],
        "curve done": [0, 1000],
        "curve MB": [600.0, 650.0],
    },
    "faults": {
        "runs": 50,
        "students": 20,
        "faults": {"SIGKILL to the grader": 30, "SIGINT to the group": 40},
        "grades lost": 0,
        "grades doubled": 0,
    },
}


@pytest.fixture(params=["measured", "not measured"])
def are_measured(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[bool]:
    """Results as the benchmarks write them, or none."""
    monkeypatch.setattr(recording, "RESULTS", tmp_path)
    if request.param == "measured":
        for name, result in MEASURED.items():
            path = tmp_path / f"grading_{name}.json"
            path.write_text(json.dumps(result), encoding="utf-8")
    grading.results.cache_clear()
    yield request.param == "measured"
    grading.results.cache_clear()


def test_every_number_of_the_page_exists_and_is_used(are_measured: bool) -> None:
    used = set(re.findall(r"\{glue:text\}`(\w+)`", SPEED.read_text("utf-8")))
    numbers = grading.numbers()
    assert used == set(numbers) - {"g_tier"}
    assert any(text == "…" for text in numbers.values()) != are_measured
    assert ("Not measured" in grading.reservation().data) != are_measured


def test_every_figure_has_a_name_of_its_own_and_words_for_who_cannot_see_it(
    are_measured: bool,
) -> None:
    pages = (SPEED.read_text("utf-8"), SECURITY.read_text("utf-8"))
    drawn = {}
    for part in (grading, journey):
        for name in dir(part):
            if name.startswith("draw_"):
                assert f"{part.__name__.rpartition('.')[2]}.{name}()" in "".join(pages)
                drawn[name] = getattr(part, name)().data
    if not are_measured:
        assert sum("Not measured" in page for page in drawn.values()) == len(drawn) - 1
        return
    names = [re.search(r'svg class="([\w-]+)"', page)[1] for page in drawn.values()]
    assert len(names) == len(set(names)) == 5
    for page in drawn.values():
        assert len(re.search(r'aria-label="([^"]*)"', page)[1]) > 80
    assert "| 2.00 (1.00 to 4.00) |" in grading.throughput_table().data


def test_the_results_that_are_there_have_all_that_the_page_asks_for() -> None:
    grading.results.cache_clear()
    for name in grading.BENCHMARKS:
        if grading.measured(name):
            found = grading.results(name)
            assert MEASURED[name].keys() <= found.keys()
    assert all(grading.numbers().values())


def test_the_table_of_attacks_counts_both_sides_and_says_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "RESULTS", tmp_path)
    grading.results.cache_clear()
    assert "Not measured yet" in grading.attacks_table().data

    def attack(tries: str, goal: str, *stock_: str) -> dict[str, Any]:
        return {"tries": tries, "goal": goal, "ours": [], "stock": list(stock_)}

    attacks = [
        attack("returns a liar", "points gained", "gained points", "found a door open"),
        attack("waits", "points gained"),
        attack("reads the seed", "secret read", "read what is secret"),
    ]
    text = json.dumps({"attacks": attacks})
    (tmp_path / "grading_attacks.json").write_text(text, encoding="utf-8")
    assert grading.attacks_table().data.splitlines()[2:] == [
        "| points gained | 2 | 0 | 1 |",
        "| secret read | 1 | 0 | 1 |",
        "| all | 3 | 0 | 2 |",
    ]
    assert grading.attacks_list().data.splitlines()[2:4] == [
        "| returns a liar | nothing | gained points, found a door open |",
        "| waits | nothing | nothing |",
    ]
    grading.results.cache_clear()


# -- the container image -------------------------------------------------------------------------

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STEPS = re.findall(r"^([A-Z]+) (.*)$", re.sub(r"\\\n\s*", "", DOCKERFILE), re.MULTILINE)


def test_the_image_copies_what_exists_and_is_let_through_and_nothing_else() -> None:
    let_through = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line[0] == "!"
    }
    copied = [path for step, what in STEPS if step == "COPY" for path in what.split()[:-1]]
    assert all((ROOT / path).exists() for path in copied)
    assert set(copied) == let_through


def test_the_image_installs_the_course_s_own_list_and_everything_is_pinned() -> None:
    commands = " && ".join(what for step, what in STEPS if step == "RUN").split(" && ")
    pip = [command for command in commands if command.startswith("pip install")]
    assert pip == [
        "pip install --no-cache-dir -r requirements.txt",
        "pip install --no-cache-dir --no-deps -e . -e ./labs",
    ]
    apt = next(command for command in commands if "apt-get install" in command)
    assert all("=" in package for package in apt.split() if package.startswith("lib"))
    base = dict(STEPS)["FROM"]
    python = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-\w+", base)
    assert python
    oldest = re.search(
        r'requires-python = ">=([\d.]+)"', (ROOT / "pyproject.toml").read_text("utf-8")
    )
    assert oldest and python[1] == oldest[1]


def test_the_image_does_not_run_as_root_and_starts_the_autograder() -> None:
    steps = dict(STEPS)
    assert steps["USER"] == "1000" and "--uid 1000" in DOCKERFILE
    assert json.loads(steps["ENTRYPOINT"]) == ["python", "-m", "autograder"]
    last = [step for step, _ in STEPS]
    assert last.index("USER") > max(n for n, step in enumerate(last) if step == "RUN")


PROBE = """
import ctypes, json, pathlib, sys
import pyseccomp
from tests.container import compiled
flags = 0x10000000  # CLONE_NEWUSER
libc = ctypes.CDLL(None, use_errno=True)
for name in sys.argv[1:]:
    compiled(json.loads(pathlib.Path(name).read_text()), set()).load()
found = {}
for what in ("bpf", "keyctl", "io_uring_setup", "userfaultfd"):
    ctypes.set_errno(0)
    libc.syscall(pyseccomp.resolve_syscall(pyseccomp.system_arch(), what), -1, 0, 0, 0)
    found[what] = ctypes.get_errno()
found["vsock"] = 0 if libc.socket(40, 1, 0) >= 0 else ctypes.get_errno()
found["unix"] = 0 if libc.socket(1, 1, 0) >= 0 else ctypes.get_errno()
found["unshare"] = 0 if libc.unshare(flags) == 0 else ctypes.get_errno()
print(json.dumps(found))
"""


def test_the_profile_refuses_what_nobody_needs_and_allows_namespaces() -> None:
    def probed(*profiles: str) -> dict[str, int]:
        answer = subprocess.run(
            [sys.executable, "-c", PROBE, *profiles],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        )
        found: dict[str, int] = json.loads(answer.stdout)
        return found

    found, bare = probed("container-seccomp.json"), probed()
    refused = ("bpf", "keyctl", "io_uring_setup", "userfaultfd", "vsock")
    assert {found[name] for name in refused} == {errno.EPERM}
    assert found["unix"] == 0
    assert found["unshare"] == bare["unshare"]  # whatever this machine allows


def test_the_profile_names_calls_that_exist_and_none_of_the_sandbox_s_own() -> None:
    profile = json.loads((ROOT / "container-seccomp.json").read_text("utf-8"))
    names = [name for rule in profile["syscalls"] for name in rule["names"]]
    assert len(names) == len(set(names))
    arches = [pyseccomp.system_arch(), pyseccomp.Arch.X86]
    for name in names:
        assert any(pyseccomp.resolve_syscall(arch, name) >= 0 for arch in arches), name
    used = set(re.findall(r"libc\.(\w+)\(", Path(lockdown.__file__).read_text("utf-8")))
    assert {"unshare", "mount", "pivot_root", "umount2", "setns"} <= used
    assert not used & set(names)
    assert container.CAPABILITIES.keys().isdisjoint(container.OTHERS)


def test_the_page_names_the_flags_that_the_image_needs() -> None:
    page = SECURITY.read_text("utf-8")
    for flag in ("seccomp=container-seccomp.json", "systempaths=unconfined", "unmask=ALL"):
        assert flag in page
    assert "was not built" in page


# -- attacks -------------------------------------------------------------------------------------


def test_what_one_attack_leaves_in_a_session_is_not_the_nexts() -> None:
    """A key stays in the keyring that a session's processes share, until each has its own."""
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import ctypes\n"
            "from tests.hostile import room\n"
            "search = (room.KEYCTL, 10, room.SESSION_KEYRING, b'user', b'exam', 0)\n"
            "seen = lambda: ctypes.CDLL(None).syscall(*search) > 0\n"
            "with room.key_in_keyring('secret'):\n"
            "    before = seen()\n"
            "    room.begin_session()\n"
            "    print(before, seen())\n",
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert said.stdout.split() == ["True", "False"]
