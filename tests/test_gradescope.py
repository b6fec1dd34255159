"""The Gradescope bundle: what is in it, and what it answers in a container that imitates theirs."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

import nbformat
import pytest
from packaging.requirements import Requirement

from autograder import bundle, discover, gradescope, gradescope_run, sandbox, zygote
from autograder.__main__ import main
from autograder.course import Course
from autograder.discover import LoadedLab
from autograder.errors import LabError
from autograder.grade import Options, grade
from autograder.leaks import check_leaks
from autograder.records import Journal
from autograder.results import SubmissionResult
from autograder.sample_class import Case
from tests.grading import LAB, NOTEBOOK, TOY, hand_in

pytestmark = pytest.mark.long(1)

SETTINGS: dict[str, object] = {
    "lab": LAB,
    "timeout": 600.0,
    "memory_limit": 2048,
    "visibility": "after_due_date",
    "isolate": True,
}
METADATA = {"id": 1, "assignment": {"title": "Toy", "total_points": "50.0"}, "users": []}
KEYS = {
    *("score", "execution_time", "output", "output_format", "test_output_format"),
    *("test_name_format", "visibility", "stdout_visibility", "extra_data", "tests", "leaderboard"),
}
TEST_KEYS = {
    *("score", "max_score", "status", "name", "name_format", "number", "output"),
    *("output_format", "tags", "visibility", "extra_data"),
}
FORMATS = {"text", "html", "simple_format", "md", "ansi"}
VISIBILITIES = {"hidden", "after_due_date", "after_published", "visible"}


class Container:
    """A folder that imitates ``/autograder``, with the bundle unpacked as Gradescope does."""

    def __init__(self, home: Path, content: bytes) -> None:
        self.root, self.home = home / "autograder", home / "home"
        with zipfile.ZipFile(BytesIO(content)) as archive:
            archive.extractall(self.root / "source")
        script = shutil.copy(self.root / "source" / "run_autograder", self.root)
        Path(script).chmod(0o755)
        shutil.copytree(self.root / "source" / "public", self.home / "public")
        (self.root / "submission_metadata.json").write_text(json.dumps(METADATA))

    def hand_in(self, files: dict[str, bytes]) -> None:
        shutil.rmtree(self.root / "submission", ignore_errors=True)
        shutil.rmtree(self.root / "results", ignore_errors=True)
        for name, raw in files.items():
            path = self.root / "submission" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw)
        (self.root / "submission").mkdir(exist_ok=True)

    def grade(self, files: dict[str, bytes]) -> dict[str, Any]:
        """Grade in this process."""
        self.hand_in(files)
        assert gradescope_run.main(self.root) == 0
        return self.results()

    def run(self, files: dict[str, bytes], **environment: str) -> dict[str, Any]:
        """Grade as Gradescope does, by the script."""
        self.hand_in(files)
        own = {
            "AUTOGRADER_ROOT": str(self.root),
            "AUTOGRADER_HOME": str(self.home),
            "AUTOGRADER_PYTHON": sys.executable,
        }
        script = [str(self.root / "run_autograder")]
        subprocess.run(
            script, cwd="/", env=os.environ | own | environment, check=False, timeout=300
        )
        return self.results()

    def results(self) -> dict[str, Any]:
        """What was written, if it keeps to Gradescope's specification."""
        text = (self.root / "results" / "results.json").read_text("utf-8")
        tree: dict[str, Any] = json.loads(text, parse_constant=refuse)
        check_results(tree)
        return tree


def refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def check_results(tree: dict[str, Any]) -> None:
    """Hold a ``results.json`` to what Gradescope's "Autograder Specifications" says of one."""
    assert set(tree) <= KEYS
    assert "score" in tree or tree["tests"]
    assert tree.get("output_format", "text") in FORMATS
    assert tree.get("stdout_visibility", "hidden") == "hidden"
    assert tree.get("execution_time", 0.0) >= 0.0
    for test in tree.get("tests", []):
        assert set(test) <= TEST_KEYS
        assert 0.0 <= test["score"] <= test["max_score"]
        assert test["status"] == ("passed" if test["score"] == test["max_score"] else "failed")
        assert {test["name_format"], test["output_format"]} <= FORMATS
        assert test["visibility"] in VISIBILITIES
        assert type(test["name"]) is str and type(test["output"]) is str
    for text in (tree.get("output", ""), *(test["output"] for test in tree.get("tests", []))):
        assert all(char.isprintable() or char in "\n\t" for char in text)


def scores(tree: dict[str, Any]) -> dict[str, float]:
    return {test["name"]: test["score"] for test in tree["tests"]}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, toy_course: Course) -> Course:
    """A course of this module's own: making a bundle releases the lab afresh."""
    root = tmp_path_factory.mktemp("gradescope") / "course"
    shutil.copytree(toy_course.root, root)
    return Course(root)


@pytest.fixture(scope="module")
def files(toy_lab: LoadedLab, course: Course) -> dict[str, bytes]:
    """A bundle's files."""
    return gradescope.contents(toy_lab, course, SETTINGS)


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> Container:
    """A container of the bundle."""
    return Container(tmp_path_factory.mktemp("container"), bundle.packed(files))


def hostile(perfect: Case, root: Path) -> dict[str, bytes]:
    """The right notebook, but one answer looks for the others and for the seed."""
    body = f'''
def discounted_return(rewards, gamma):
    import os
    found = []
    for path in ("{root}/source/gradescope.json", "{root}/source/solutions/{LAB}/reference.py"):
        try:
            found.append(open(path).read())
        except OSError:
            pass
    found += [str(files) for _, _, files in os.walk("{root}/source")]
    for place in ("{root}/results/results.json", "/autograder/results/results.json"):
        try:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            open(place, "w").write('{{"score": 1000}}')
        except OSError:
            pass
    raise RuntimeError("FOUND" + "".join(found) if found else "nothing \\ud800\\0 <b>there</b>")
'''
    notebook = nbformat.reads(perfect.files[NOTEBOOK].decode(), as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader", {}).get("grade_id") == "discounted_return":
            cell.source = body
    text: str = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
    return perfect.files | {NOTEBOOK: text.encode()}


# -- what is in it -------------------------------------------------------------------------------


def test_a_bundle_holds_one_lab_and_what_grades_it(files: dict[str, bytes], course: Course) -> None:
    assert {"setup.sh", "run_autograder"} <= set(files)
    tops = {name.partition("/")[0] for name in files}
    assert tops == {
        *("autograder", "public", "release", "solutions"),
        *("gradescope.json", "requirements.txt", "run_autograder", "setup.sh"),
    }
    solutions = {name.split("/")[1] for name in files if name.startswith("solutions/")}
    assert solutions == {"__init__.py", LAB}
    assert not [name for name in files if Path(name).name.startswith("test_")]
    assert json.loads(files["gradescope.json"]) == SETTINGS | {"seed": course.seed}
    lab = discover.load(LAB, TOY)
    readable = {Path(n): raw for n, raw in files.items() if n.startswith(("public", "release"))}
    check_leaks(lab, readable)
    answers = f"solutions/{LAB}/reference.py"
    with pytest.raises(LabError):
        check_leaks(lab, readable | {Path(answers): files[answers]})


def test_what_is_installed_there_is_pinned_as_here(files: dict[str, bytes]) -> None:
    pins = (discover.ROOT / "requirements.txt").read_text("utf-8").splitlines()
    wanted = files["requirements.txt"].decode().splitlines()
    assert set(wanted) <= set(pins) and len(wanted) == len(set(wanted))
    names = {line.partition("==")[0] for line in wanted}
    assert {"torch", "transformers", "gymnasium", "ipython", "nbformat"} <= names
    assert not names & {"nbgrader", "jupyter-book", "pytest", "jupyterlab", "distributed"}
    forked = {name.partition(".")[0] for name in zygote.IMPORTS}
    assert (
        not forked - importable(files["requirements.txt"].decode()) - set(sys.stdlib_module_names)
    )
    for script in ("setup.sh", "run_autograder"):
        subprocess.run(["bash", "-n"], input=files[script], check=True)


@pytest.fixture
def toy_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line finds the toy lab, and no other."""
    monkeypatch.setattr(gradescope.discover, "load", functools.partial(discover.load, root=TOY))


@pytest.mark.usefixtures("toy_by_name")
def test_the_command_writes_a_file_for_its_owner_alone(
    files: dict[str, bytes],
    course: Course,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "new" / "bundle.zip"
    arguments = ["export", "gradescope", LAB, "--course", str(course.root), "--to", str(target)]
    index = "https://example.org/cpu"
    more = ["--visibility", "after_due_date", "--extra-index-url", index]
    assert main([*arguments, *more]) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in target.parent.iterdir()] == ["bundle.zip"]
    said = capsys.readouterr()
    assert "give it to nobody else" in said.out and "WARNING" not in said.err
    with zipfile.ZipFile(target) as archive:
        made = {name: archive.read(name) for name in archive.namelist()}
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
    assert made.pop("requirements.txt").decode().startswith(f"--extra-index-url {index}\n")
    assert made == {name: raw for name, raw in files.items() if name != "requirements.txt"}
    assert main([*arguments, "--unsafe-no-sandbox"]) == 0
    assert "whoever looks can read the answers" in capsys.readouterr().err


@pytest.mark.usefixtures("toy_by_name")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lab09_none"], "there is no lab 'lab09_none'"),
        ([LAB, "--timeout", "5"], "a timeout of 5 s is not between 60 and 2400"),
        ([LAB, "--timeout", "nan"], "a timeout of nan s is not between"),
        ([LAB, "--memory-limit", "1"], "1 MiB of memory are not enough"),
        ([LAB, "--to", "/proc/no/x.zip"], "/proc/no/x.zip cannot be written"),
    ],
)
def test_what_cannot_be_bundled_is_one_sentence(
    arguments: list[str],
    said: str,
    course: Course,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "x.zip"
    options = ["--course", str(course.root), "--to", str(target)]
    assert main(["export", "gradescope", arguments[0], *options, *arguments[1:]]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


# -- what it answers -----------------------------------------------------------------------------


def importable(requirements: str) -> set[str]:
    """Top-level names of these distributions and of all that they require."""
    todo = [Requirement(line) for line in requirements.splitlines()]
    found: set[str] = set()
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop().name).lower()
        if name in found:
            continue
        found.add(name)
        for text in importlib.metadata.requires(name) or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                todo.append(wanted)
    provided = importlib.metadata.packages_distributions().items()
    return {
        top
        for top, names in provided
        if any(re.sub(r"[-_.]+", "-", name).lower() in found for name in names)
    }


REFUSING = '''"""Refuses to import what the bundle's requirements do not bring."""
import sys

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in {strangers!r}:
            raise ImportError(name + " is not among the requirements")

sys.meta_path.insert(0, Refusing())
'''


@pytest.mark.needs("sandbox")
def test_the_script_grades_as_grade_does_and_gives_nothing_away(
    container: Container,
    course: Course,
    toy_cases: dict[str, Case],
    files: dict[str, bytes],
    tmp_path: Path,
) -> None:
    """With packages that the requirements do not bring out of reach."""
    brought = importable(files["requirements.txt"].decode())
    strangers = set(importlib.metadata.packages_distributions()) - brought
    hook = container.home / "public" / "sitecustomize.py"
    hook.write_text(REFUSING.format(strangers=strangers - {"autograder", "solutions", "labkit"}))
    attack = hostile(toy_cases["perfect"], container.root)
    partly = toy_cases["two right and one crashing"]
    attacked = container.run(attack)
    hook.unlink()
    graded = container.grade(partly.files)
    mode = (container.root / "source").stat().st_mode
    assert stat.S_IMODE(mode) == 0o700
    hand_in(tmp_path / "in", "eve", attack)
    hand_in(tmp_path / "in", "dan", partly.files)
    paths = {"submissions": tmp_path / "in", "out": tmp_path / "out", "course": course.root}
    assert grade(Options(lab=LAB, labs=TOY, workers=2, **paths)) == 0
    records = Journal(tmp_path / "out" / "results.jsonl").read()
    for student, tree in (("eve", attacked), ("dan", graded)):
        assert scores(tree) == {item.name: item.points for item in records[student].exercises}
        order = [name for name in records[student].order if name in scores(tree)]
        assert [test["name"] for test in tree["tests"]] == order
        assert tree["extra_data"]["sandbox"] == records[student].tier
    assert scores(attacked)["discounted_return"] == 0.0
    text = json.dumps(attacked)
    assert "RuntimeError in line" in text and "FOUND" not in text
    assert (
        str(course.seed) not in text and "Traceback" not in text and str(container.root) not in text
    )


@pytest.mark.needs("sandbox")
def test_every_form_of_the_same_answers_has_the_same_points(
    container: Container, toy_cases: dict[str, Case], capsys: pytest.CaptureFixture[str]
) -> None:
    perfect = toy_cases["perfect"]
    packed = bundle.packed({f"{LAB}/{name}": raw for name, raw in perfect.files.items()})
    renamed = {name: raw for name, raw in perfect.files.items() if name != NOTEBOOK}
    renamed |= {"homework (3).ipynb": perfect.files[NOTEBOOK], "timestamp.txt": b"2026-01-01"}
    full = {name: points for name, (points, _) in perfect.scores.items()}
    for form in ({f"{LAB}-submission.zip": packed}, renamed):
        tree = container.grade(form)
        assert scores(tree) == full
        assert all(test["status"] == "passed" for test in tree["tests"])
        assert {test["visibility"] for test in tree["tests"]} == {"after_due_date"}
        assert "1 written question, worth 2 points: graded by a person" in tree["output"]
    assert "it was taken as" in tree["output"]
    assert "WARNING: the assignment has 50 points on Gradescope" in capsys.readouterr().out


@pytest.mark.needs("sandbox")
@pytest.mark.parametrize(
    ("submitted", "status", "said"),
    [
        ({}, "missing", "nothing was handed in"),
        ({NOTEBOOK: b'{"cells": ['}, "malformed", "its JSON breaks off"),
        ({"bomb.zip": b"PK\x05\x06 no zip"}, "rejected", "the zip"),
        ({NOTEBOOK: b"\xff\x00"}, "malformed", "the notebook"),
    ],
)
def test_what_cannot_be_run_says_why(
    submitted: dict[str, bytes], status: str, said: str, container: Container
) -> None:
    tree = container.grade(submitted)
    assert sum(scores(tree).values()) == 0.0
    assert said in tree["output"]
    assert set(tree["extra_data"]["status"].values()) == {status}


def test_a_wrong_answer_gets_its_hint(container: Container, toy_cases: dict[str, Case]) -> None:
    case = toy_cases["mutant forward of discounted_return"]
    tree = container.grade(case.files)
    test = next(test for test in tree["tests"] if test["name"] == "discounted_return")
    assert test["output"].startswith("wrong\nHint: You discount the first reward most")
    assert "✗ by hand: 0 of 1; the return value is" in test["output"]
    assert test["output"].endswith("✗ random episodes: 0 of 2; the return value is wrong")


# -- when it cannot ------------------------------------------------------------------------------


def test_without_a_sandbox_nothing_is_graded(
    container: Container,
    toy_cases: dict[str, Case],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sandbox, "available", lambda: "This machine cannot: do that.")
    tree = container.grade(toy_cases["perfect"].files)
    assert tree["score"] == 0.0 and "tests" not in tree
    assert tree["output"].startswith("NOTHING WAS GRADED: this container cannot isolate your code")
    assert capsys.readouterr().out == "This machine cannot: do that.\n"


def test_when_the_grader_fails_the_student_reads_nothing_of_it(
    container: Container,
    toy_cases: dict[str, Case],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: object, **__: object) -> NoReturn:
        raise RuntimeError("secret")

    monkeypatch.setattr(sandbox, "available", lambda: sandbox.NAMESPACES)
    monkeypatch.setattr(gradescope_run, "judge", fails)
    tree = container.grade(toy_cases["perfect"].files)
    assert tree["output"].startswith("NOTHING WAS GRADED: the grader failed (RuntimeError)")
    assert "secret" not in json.dumps(tree) and "secret" in capsys.readouterr().err


def test_results_come_before_gradescope_ends_the_container(
    container: Container, toy_cases: dict[str, Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = []
    alarms = []

    def slow(*_: object, total_limit: float, **__: object) -> SubmissionResult:
        limits.append(total_limit)
        with contextlib.suppress(Exception):  # nothing that forgives errors may keep it
            os.kill(os.getpid(), signal.SIGALRM)
        raise AssertionError("unreachable")

    monkeypatch.setattr(sandbox, "available", lambda: sandbox.NAMESPACES)
    monkeypatch.setattr(gradescope_run, "judge", slow)
    monkeypatch.setattr(signal, "setitimer", lambda _, seconds: alarms.append(seconds))
    tree = container.grade(toy_cases["perfect"].files)
    assert tree["output"].startswith("NOTHING WAS GRADED: the time of 600 s ran out")
    assert alarms == [600.0 - gradescope_run.SPARE_SECONDS, 0.0]
    assert 0.5 * 600.0 < limits[0] < 0.8 * 600.0


def test_a_grader_that_is_killed_leaves_results(
    container: Container, toy_cases: dict[str, Case]
) -> None:
    tree = container.run(toy_cases["perfect"].files, AUTOGRADER_PYTHON="/bin/false")
    assert tree["score"] == 0.0
    assert tree["output"].startswith("NOTHING WAS GRADED: the grader was stopped")
