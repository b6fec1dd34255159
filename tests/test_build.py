"""Building: what it makes of a lab, and the one sentence it says about a lab that is not right."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

import labkit
from autograder import build, discover
from autograder.__main__ import main
from autograder.errors import LabError
from autograder.expected import Expected
from autograder.notebooks import start_code
from autograder.public_cases import settled
from autograder.sources import BEGIN
from labkit import wire

TOY = Path(__file__).parent / "toy" / "solutions"
LAB = "lab00_toy"


@pytest.fixture(scope="module")
def built() -> build.Built:
    return build.build_lab(discover.load(LAB, TOY))


@pytest.fixture(scope="module")
def student(built: build.Built) -> dict[str, Any]:
    notebook = nbformat.reads(built.student[f"{LAB}.ipynb"].decode(), as_version=4)
    return {cell.id: cell for cell in notebook.cells}


@pytest.fixture(scope="module")
def public(built: build.Built) -> dict[str, Any]:
    return dict(json.loads(built.student[build.PUBLIC_CASES]))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A lab that a test may spoil."""
    shutil.copytree(
        TOY / LAB, tmp_path / "solutions" / LAB, ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path / "solutions" / LAB


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def line_with(path: Path, text: str, nth: int = 0) -> int:
    lines = path.read_text("utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if text in line][nth]


def problem(lab: Path) -> LabError:
    with pytest.raises(LabError) as caught:
        build.build_lab(discover.load(lab.name, lab.parent), labs=lab.parent / "none")
    assert "\n" not in str(caught.value)
    return caught.value


# What is built


def test_the_instructor_has_answers_and_the_student_stubs(
    built: build.Built, student: dict[str, Any]
) -> None:
    source = {c.id: c for c in nbformat.reads(built.source.decode(), as_version=4).cells}
    assert source.keys() == student.keys()
    for name in ("discounted_return", "RunningMean", "fit_line"):
        assert BEGIN in source[name].source
        assert "raise NotImplementedError(" in student[name].source
    assert student["RunningMean"].source.count("raise NotImplementedError(") == 3
    assert student["discounted_return"].source.startswith("def discounted_return(rewards: Float")
    assert "``r_t``, shape" in student["discounted_return"].source
    assert source["effective_horizon"].source.splitlines()[1] == "effective_horizon = 10.0"
    assert student["effective_horizon"].source.startswith("effective_horizon = ...")
    assert student["best_temperature"].source.startswith("best_temperature = ...")
    assert "no state" in source["question-why-in-turn"].source
    assert "no state" not in student["question-why-in-turn"].source
    assert BEGIN not in built.student[f"{LAB}.ipynb"].decode()


def test_a_clinic_releases_its_mutant(student: dict[str, Any]) -> None:
    code = student["clip_norm"].source
    assert "max(0.0, max_norm" in code
    assert "min(1.0" not in code
    assert "released" not in student["clip_norm"].metadata


def test_cells_are_marked_for_nbgrader(student: dict[str, Any]) -> None:
    def flags(grade_id: str) -> tuple[Any, ...]:
        meta = student[grade_id].metadata.nbgrader
        assert meta.grade_id == grade_id
        return meta.grade, meta.solution, meta.locked, meta.get("points")

    assert flags("softmax") == (False, True, False, None)
    assert flags("test-softmax") == (True, False, True, 3)
    assert flags("question-why-in-turn") == (True, True, False, 2)
    assert flags("train-bandit") == (False, False, True, None)
    assert flags("test-bandit") == (True, False, True, 2)
    assert flags("cell-start") == flags("cell-imports") == (False, False, True, None)
    assert student["test-softmax"].source == 'labkit.check("softmax")'
    free = [cell for cell in student.values() if "nbgrader" not in cell.metadata]
    assert [cell.source for cell in free] == [
        "discounted_return(np.array([1.0, 2.0, 4.0]), gamma=0.5)"
    ]


def test_notebooks_hold_no_outputs_and_ids_that_stay(built: build.Built) -> None:
    for data in (built.source, built.student[f"{LAB}.ipynb"]):
        notebook = nbformat.reads(data.decode(), as_version=4)
        nbformat.validate(notebook)
        assert all(not cell.get("outputs") for cell in notebook.cells)
        ids = [cell.id for cell in notebook.cells]
        assert len(set(ids)) == len(ids)


def test_headers_say_what_an_exercise_takes(student: dict[str, Any]) -> None:
    headers = [c.source for c in student.values() if c.source.startswith("**")]
    assert headers[0] == (
        "**Exercise 1: `discounted_return`** · difficulty ●○○○○ · importance ●●●●● · "
        "about 5 min · 2 points"
    )
    assert headers[1].startswith("**Prediction 2: `effective_horizon`**")
    assert headers[-1] == "**Training 11: `bandit`** · 2 points"


def test_the_notebook_brings_what_signatures_name(student: dict[str, Any]) -> None:
    code = student["cell-imports"].source
    assert code.splitlines()[0] == "from collections.abc import Mapping"
    assert "Float = NDArray[np.float64]" in code
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    for grade_id in ("discounted_return", "RunningMean", "cell-23"):
        exec(student[grade_id].source, namespace)


def test_the_notebook_runs_top_down_whatever_its_author_imports(copy: Path) -> None:
    """A generated short name such as `Float` stands above the author's cells."""
    imports = "import numpy as np\nfrom numpy.typing import NDArray\nimport torch"
    cell = f"```{{code-cell}} python\n{imports}\n```\n\n## Returns"
    edit(copy / "lab.md", "## Returns", cell)
    made = build.build_lab(discover.load(LAB, copy.parent), labs=copy / "none")
    notebook = nbformat.reads(made.student[f"{LAB}.ipynb"].decode(), as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert any(imports == source for source in code)
    namespace: dict[str, Any] = {}
    for source in code:
        if source.startswith(("import ", "from ", "def ", "class ")):
            exec(source, namespace)
    assert {"Float", "discounted_return", "train_bandit"} <= namespace.keys()


def test_public_cases_hold_public_groups_alone(public: dict[str, Any]) -> None:
    by_name = {item["name"]: item for item in public["exercises"]}
    kinds = ("exercise", "numeric", "choice", "outcome")
    assert {item["kind"] for item in by_name.values()} == set(kinds)
    assert (public["lab"], public["title"], public["total"]) == (LAB, "A toy lab", 21)
    assert [item["name"] for item in public["exercises"]][:2] == [
        "discounted_return",
        "effective_horizon",
    ]
    text = json.dumps(public)
    for hidden in ("random episodes", "large logits", "another batch", "10.0", "flattens"):
        assert hidden not in text
    groups = {name: [g["name"] for g in item["groups"]] for name, item in by_name.items()
              if item["kind"] == "exercise"}  # fmt: skip
    assert groups["softmax"] == ["probabilities", "bad input"]
    assert by_name["effective_horizon"].keys() == {"name", "kind", "points", "form"}
    assert by_name["best_temperature"]["form"]["letters"] == ["A", "B", "C"]
    assert by_name["bandit"]["artifact"] == "bandit.safetensors"
    assert by_name["bandit"]["tensors"] == {"values": [5]}
    assert by_name["discounted_return"]["signature"] == "discounted_return(rewards, gamma)"


def test_public_values_are_data(public: dict[str, Any]) -> None:
    (item,) = (i for i in public["exercises"] if i["name"] == "discounted_return")
    (case,) = item["groups"][0]["cases"]
    assert wire.decode(case["input"])["rewards"].tolist() == [1.0, 2.0, 4.0]
    assert wire.decode(case["expected"]).value == 3.0
    wrong = {name: wire.decode(tree).value for name, tree in case["mutants"].items()}
    assert wrong == {"forward": 5.25, "undiscounted": 7.0, "discounts_now": 1.5}
    assert item["hints"].keys() == wrong.keys()


def test_a_mistake_that_only_hidden_cases_show_leaves_no_trace(public: dict[str, Any]) -> None:
    (softmax,) = (i for i in public["exercises"] if i["name"] == "softmax")
    assert softmax["hints"].keys() == {"multiplies", "accepts_zero"}
    assert "exp(2000)" not in json.dumps(public)


def test_an_exception_is_shipped_by_its_type_alone(copy: Path) -> None:
    edit(copy / "checks.py", 'old="gamma * ", new=""', 'old="gamma * ", new="1 // 0 * "')
    made = build.build_lab(discover.load(LAB, copy.parent), labs=copy / "none")
    public = made.student[build.PUBLIC_CASES].decode()
    assert "ZeroDivisionError" in public
    assert "by zero" not in public
    assert "1 // 0" not in public


def test_a_clinic_does_not_name_its_bug(public: dict[str, Any]) -> None:
    (clinic,) = (i for i in public["exercises"] if i["name"] == "clip_norm")
    assert "planted" in clinic["hints"]["always_scales"]
    assert "Leave short ones alone" not in json.dumps(public)


@pytest.fixture
def colab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[list[str]]]:
    """Run a first cell as Colab would, in a folder of ours; return the programs it started."""
    started: list[list[str]] = []
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    monkeypatch.setattr(subprocess, "run", lambda words, check: started.append([*map(str, words)]))
    monkeypatch.setattr(labkit, "start", lambda lab: None, raising=False)
    monkeypatch.chdir(tmp_path)

    def run(code: str) -> list[list[str]]:
        exec(code.replace("/content", str(tmp_path)), {})
        return started

    return run


def test_colab_takes_the_zip_that_was_uploaded(
    colab: Callable[[str], list[list[str]]], tmp_path: Path
) -> None:
    code = start_code(LAB, "")
    with pytest.raises(SystemExit, match=f"Upload {LAB}.zip"):
        colab(code)
    with zipfile.ZipFile(tmp_path / f"{LAB}.zip", "w") as archive:
        archive.writestr(f"top/{LAB}/{LAB}.ipynb", "{}")
        archive.writestr("top/pyproject.toml", "")
    (installed,) = colab(code)
    assert installed[1:] == ["-m", "pip", "install", "-q", str(tmp_path / "course" / "top")]
    assert Path.cwd() == tmp_path / "course" / "top" / LAB
    assert colab(code) == [installed], "what is fetched is not fetched again"


def test_colab_fetches_from_the_configured_address(
    colab: Callable[[str], list[list[str]]], tmp_path: Path
) -> None:
    folder = tmp_path / "course"
    with pytest.raises(StopIteration):  # nothing is really cloned here
        colab(start_code(LAB, "https://github.com/someone/labs/tree/autumn"))
    folder.mkdir()
    (folder / LAB).mkdir()
    (folder / LAB / f"{LAB}.ipynb").touch()
    (clone,) = colab(start_code(LAB, "https://github.com/someone/labs/tree/autumn"))
    options = ["-q", "--depth", "1", "--branch", "autumn"]
    assert clone == ["git", "clone", *options, "https://github.com/someone/labs", str(folder)]


def test_elsewhere_the_first_cell_only_starts_the_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    monkeypatch.setattr(labkit, "start", started.append, raising=False)
    namespace: dict[str, Any] = {}
    exec(start_code(LAB, "https://github.com/someone/labs"), namespace)
    assert started == [LAB]
    assert namespace.keys() - {"__builtins__"} == {"sys", "labkit"}


# What is said about a lab that is not right

MENDABLE = [
    (":exercise: value_loss", ":exercise: value_los", "`value_los` is not in checks"),
    ("total: 21", "total: 20", "the points add up to 21"),
    (":provided: arm_means, ", ":provided: arm_mean, ", "`arm_mean` is not defined"),
    (":provided: arm_means,", ":provided: softmax, arm_means,", "gives it away"),
    (":train: bandit", ":exercise: bandit", "no code of its own"),
    (":exercise: softmax", ":exercise: value_loss", "`value_loss` is there twice"),
    (":difficulty: 1", ":hardness: 1", "unknown option `:hardness:`"),
]


@pytest.mark.parametrize(("old", "new", "says"), MENDABLE, ids=[m[2] for m in MENDABLE])
def test_mistakes_in_lab_md_name_their_line(copy: Path, old: str, new: str, says: str) -> None:
    line = line_with(copy / "lab.md", old)
    edit(copy / "lab.md", old, new)
    error = problem(copy)
    assert says in error.message
    assert (error.path, error.line) == (copy / "lab.md", line)


def test_an_exercise_that_lab_md_lacks(copy: Path) -> None:
    edit(copy / "lab.md", "```{code-cell} python\n:exercise: softmax\n```\n", "")
    error = problem(copy)
    assert "`softmax` is not in lab.md: it needs a `:exercise: softmax` cell" in error.message
    assert error.line == line_with(copy / "checks.py", "SOFTMAX = Exercise(")


def test_an_outcome_that_lab_md_lacks(copy: Path) -> None:
    edit(copy / "lab.md", ":train: bandit", ":train: other")
    assert "needs a `:train: bandit` cell" in problem(copy).message


@pytest.mark.parametrize(
    ("old", "new", "says", "at"),
    [
        ('old="rewards[::-1]"', 'old="rewards[::-2]"', "does not contain", "Mutant(\n"),
        ('old=".mean()"', 'old="error"', "contains 3 times", 'Mutant("sums"'),
        ('hint="A mean, not a sum."', 'hint=" "', "`sums` of `value_loss` has no hint", '"sums"'),
        ('Mutant("greedy"', 'Mutant("shifted"', "two mutants called `shifted`", "SAMPLE_ACTION ="),
        ('clinic="always_scales"', 'clinic="other"', "is no mutant of it", "CLIP_NORM ="),
        ('"one batch", losses, public=True', '"one batch", losses', "no public group", "VALUE_"),
        ('"another batch"', '"one batch"', "two groups called 'one batch'", "VALUE_LOSS ="),
        ("probe=Trace()", "probe=Raises()", "a class is observed by `Trace`", "RUNNING_MEAN ="),
        ("probe=Mutates", "probe=Trace", "takes 1 positional argument", "probe=Trace("),
        ('    "best_temperature",', '    "effective_horizon",', "two exercises are called", None),
        ("Mistake(9.0", "Mistake(10.005", "too near the answer", "EFFECTIVE_HORIZON ="),
        ('"A": "A high', '"B": "A high', "about the wrong letters alone", "BEST_TEMPERATURE ="),
        ('artifact="bandit.', 'artifact="../bandit.', "a file named *.safetensors", "BANDIT ="),
        ("reference=fit_line", "reference=train_bandit", "a function of that name", "FIT_LINE ="),
        ("points=3,", "points=0,", "`softmax` needs points", "SOFTMAX ="),
        ("import torch\n", "import torch\nx = y\n", "NameError: name 'y'", "x = y"),
        ("import torch\n", "import torch\nx = (\n", "not Python", None),
    ],
)
def test_mistakes_in_checks_name_their_line(
    copy: Path, old: str, new: str, says: str, at: str | None
) -> None:
    edit(copy / "checks.py", old, new)
    error = problem(copy)
    assert says in error.message
    assert error.path == copy / "checks.py"
    if at is not None and not at.endswith("\n"):
        assert error.line == line_with(copy / "checks.py", at)
    assert error.line > 0


def test_global_generators_are_seeded_for_every_call(copy: Path) -> None:
    edit(copy / "reference.py", "return_ = 0.0\n", "return_ = float(np.random.random())\n")
    build.check_repeatable(Expected(discover.load(LAB, copy.parent), 0))


def test_a_reference_that_differs_each_time(copy: Path) -> None:
    edit(
        copy / "reference.py",
        "    return_ = 0.0\n",
        "    return_ = float(np.random.default_rng().random())\n",
    )
    error = problem(copy)
    assert "`discounted_return` gives something else when group 'by hand' is run again" in str(
        error
    )
    assert error.line == line_with(copy / "reference.py", "def discounted_return")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("yield dict(rewards=np.array([1.0, 2.0, 4.0])", "yield dict(rewards=range(3)", "travel"),
        ("yield dict(rewards=np.array([1.0, 2.0, 4.0])", "yield dict(reward=1.0", "TypeError"),
        (
            "    yield dict(rewards=np.array",
            "    if gone:\n        yield dict(rewards=np.array",
            "Na",
        ),
        (
            "    yield dict(rewards=np.array",
            "    yield from ()\n    return\n    dict(a=",
            "no cases",
        ),
    ],
)
def test_cases_that_cannot_be_used(copy: Path, old: str, new: str, says: str) -> None:
    edit(copy / "checks.py", old, new)
    error = problem(copy)
    assert says in error.message
    assert "group 'by hand' of `discounted_return`" in error.message
    assert error.line == line_with(copy / "checks.py", "def by_hand")


def test_a_reference_that_changes_its_input(copy: Path) -> None:
    edit(copy / "reference.py", "    return_ = 0.0\n", "    return_ = 0.0\n    rewards[0] = 7.0\n")
    assert "makes the reference change `rewards`" in problem(copy).message


def test_what_a_definition_needs_is_provided(copy: Path) -> None:
    edit(copy / "lab.md", ":provided: arm_means, train_bandit", ":provided: train_bandit")
    error = problem(copy)
    assert "`train_bandit` uses `arm_means`; the notebook lacks it" in error.message
    assert error.line == line_with(copy / "reference.py", "def train_bandit")


def test_no_exercise_uses_anothers_answer(copy: Path) -> None:
    edit(copy / "reference.py", "        return_ = float", "        softmax; return_ = float")
    assert "no exercise may use another's answer" in problem(copy).message


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lab.md", "By hand,", "Write `return_ = float(reward) + gamma * return_`. By hand,"),
        ("lab.md", "discounted_return(np.array", "error  =  value - target.detach()\n\nprint("),
        ("checks.py", "The first reward is not", "scale = min(1.0, max_norm / (norm + 1e-12)) is"),
    ],
)
def test_a_line_of_an_answer_does_not_reach_students(
    copy: Path, file: str, old: str, new: str
) -> None:
    edit(copy / file, old, new)
    error = problem(copy)
    assert "this line of the answer to" in error.message
    assert error.path == copy / "reference.py"
    lines = (copy / "reference.py").read_text().splitlines()
    assert " ".join(lines[error.line - 1].split()) in " ".join(new.split())


def test_lines_that_a_clinic_releases_are_no_leak(copy: Path) -> None:
    edit(
        copy / "lab.md", "This function", "`norm = float(np.sqrt((gradient * gradient).sum()))` and"
    )
    build.build_lab(discover.load(LAB, copy.parent), labs=copy / "none")


# The command


def command(*arguments: object) -> int:
    return main(["build", *map(str, arguments)])


def test_check_sees_a_changed_byte_and_a_missing_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--solutions", TOY, "--labs", tmp_path / "labs", "--course", tmp_path / "course"]
    assert command(*folders, "--check") == 1
    assert not (tmp_path / "labs").exists()
    assert command(*folders) == 0
    assert (tmp_path / "course" / "nbgrader_config.py").is_file()
    assert command(*folders, "--check") == 0
    notebook = tmp_path / "labs" / LAB / f"{LAB}.ipynb"
    notebook.write_bytes(notebook.read_bytes() + b"\n")
    (tmp_path / "labs" / "lab77_gone").mkdir()
    capsys.readouterr()
    assert command(*folders, "--check") == 1
    said = capsys.readouterr().err
    assert f"{LAB}.ipynb is not what its source gives" in said
    assert "lab77_gone" in said
    assert "public_cases.json" not in said
    assert notebook.read_bytes().endswith(b"\n\n"), "--check writes nothing"
    assert command(*folders) == 0
    assert command(*folders, LAB, "--check") == 0


def test_building_leaves_a_students_own_files_alone(tmp_path: Path) -> None:
    folders = ["--solutions", TOY, "--labs", tmp_path / "labs", "--course", tmp_path / "course"]
    assert command(*folders) == 0
    mine = tmp_path / "labs" / LAB / "bandit.safetensors"
    mine.write_bytes(b"trained")
    assert command(*folders) == 0
    assert mine.read_bytes() == b"trained"


def test_an_unknown_lab_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("lab99_nothing", "--solutions", TOY) == 1
    said = capsys.readouterr().err
    assert said == "there is no lab 'lab99_nothing'; there is lab00_toy\n"
    assert command("toy", "--solutions", TOY) == 1
    assert "labs are called labNN_topic" in capsys.readouterr().err


def test_a_lab_without_a_file_says_which(copy: Path) -> None:
    (copy / "lab.md").unlink()
    with pytest.raises(LabError, match=r"has no lab\.md"):
        discover.load(LAB, copy.parent)


# Other processors


def test_float_noise_does_not_change_a_committed_file(public: dict[str, Any]) -> None:
    def with_value(value: float) -> dict[str, Any]:
        changed: dict[str, Any] = json.loads(json.dumps(public))
        changed["exercises"][0]["groups"][0]["cases"][0]["expected"]["v"]["value"] = value
        return changed

    old = json.dumps(with_value(3.0)).encode()
    assert settled(with_value(3.0 + 1e-14), old) == with_value(3.0)
    assert settled(with_value(3.0 + 1e-6), old) == with_value(3.0 + 1e-6)
    assert settled(with_value(3.0), b"{") == with_value(3.0)
    assert settled(with_value(3.0), None) == with_value(3.0)


def test_array_noise_is_told_from_a_change(public: dict[str, Any]) -> None:
    import numpy as np

    def tree(scale: float) -> dict[str, Any]:
        return {"x": wire.encode(np.array([1.0, 2.0]) * scale), "n": wire.encode(np.arange(2))}

    old = json.dumps(tree(1.0)).encode()
    assert settled(tree(1.0 + 1e-15), old) == tree(1.0)
    assert settled(tree(1.0 + 1e-7), old) == tree(1.0 + 1e-7)
    other = tree(1.0) | {"n": wire.encode(np.arange(1, 3))}
    assert settled(other, old) == other
