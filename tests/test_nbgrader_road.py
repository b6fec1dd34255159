"""Stock nbgrader, configured by the course directory, grades as `grade` does; unconfigured it
gives nothing away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.utils import determine_grade

from autograder import nbgrader_config, shown
from autograder.course import Course, alembic_on_path
from autograder.markup import safe_html
from autograder.results import ExerciseResult, GroupResult, SubmissionResult
from autograder.sample_class import Case
from autograder.shown import safe_output, show, verdict
from tests.grading import LAB, NOTEBOOK, TOY, fetched_from_elsewhere, hand_in

pytestmark = [pytest.mark.long(1), pytest.mark.needs("sandbox")]

WRONG = "mutant forward of discounted_return"


def nbgrader(course: Course, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run nbgrader's own program as an instructor would, in the course directory."""
    scripts = str(Path(sys.executable).parent)
    return subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=course.root,
        env=os.environ | {"PATH": os.pathsep.join((scripts, os.environ.get("PATH", "")))},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def graded(
    tmp_path_factory: pytest.TempPathFactory, toy_course: Course, toy_cases: dict[str, Case]
) -> Course:
    """A class that stock ``nbgrader autograde`` and ``generate_feedback`` went over."""
    import shutil

    root = tmp_path_factory.mktemp("stock") / "course"
    shutil.copytree(toy_course.root, root)
    course = Course(root)
    path = nbgrader_config.write(root)
    path.write_text(path.read_text() + f'c.RefereeExecute.labs = "{TOY}"\n')
    hostile = json.loads(toy_cases["perfect"].files[NOTEBOOK])
    for cell in hostile["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "question-why-in-turn":
            cell["source"] = (
                "my reason, <img src=x onerror=alert(1)> $a<b$ and `c < d`"
                " ![seen](https://elsewhere.example/seen.png)\n\n$$\n\\sum_t r_t\n$$"
            )
    hostile["cells"].insert(
        0,
        {
            "cell_type": "code",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "id": "x",
            "source": "import sys\n"
            "from IPython.display import HTML, Javascript, display\n"
            "print('a word on stderr', file=sys.stderr)\n"
            "display(HTML('<b>bold</b><script>alert(2)</script>'), Javascript('alert(3)'))\n"
            "display(HTML('<img src=\"https://elsewhere.example/printed.png\">'))",
        },
    )
    submitted = root / "submitted"
    hand_in(submitted, "ada", toy_cases["perfect"].files | {NOTEBOOK: json.dumps(hostile).encode()})
    bob = hand_in(submitted, "bob", toy_cases[WRONG].files)
    secret = root.parent / "secret.txt"
    secret.write_text("the instructor's")
    (bob / "link.txt").symlink_to(secret)
    hand_in(submitted, "cy", toy_cases["deleted solution and test cell"].files)
    hand_in(submitted, "dan", toy_cases["duplicated cell"].files)
    hand_in(submitted, "eve", toy_cases["truncated JSON"].files)
    run = nbgrader(course, "autograde", LAB)
    assert run.stderr.count("There was an error processing assignment '") == 1, run.stderr
    assert "for student 'eve'" in run.stderr
    run = nbgrader(course, "generate_feedback", LAB)
    assert run.returncode == 0, run.stderr
    return course


@pytest.mark.parametrize(
    ("student_id", "case"),
    [
        ("ada", "perfect"),
        ("bob", WRONG),
        ("cy", "deleted solution and test cell"),
        ("dan", "duplicated cell"),
    ],
)
def test_stock_autograde_gives_the_right_scores(
    graded: Course, toy_cases: dict[str, Case], student_id: str, case: str
) -> None:
    scores = graded.scores(LAB)[student_id]
    expected = {name: points for name, (points, _) in toy_cases[case].scores.items()}
    assert {name: auto for name, (auto, _) in scores.items() if name in expected} == expected


def test_one_unreadable_notebook_costs_its_own_student_only(graded: Course) -> None:
    assert sorted(graded.scores(LAB)) == ["ada", "bob", "cy", "dan", "eve"]
    assert not any(auto for auto, _ in graded.scores(LAB)["eve"].values())
    assert not (graded.root / "autograded" / "eve" / LAB / NOTEBOOK).exists()


def test_submitted_links_are_not_followed(graded: Course) -> None:
    copies = [
        *graded.root.glob("autograded/bob/**/link.txt"),
        *graded.root.glob("feedback/bob/**/*"),
    ]
    assert [path.name for path in copies if path.suffix == ".txt"] == []
    assert not [path for path in copies if path.is_file() and b"instructor's" in path.read_bytes()]


def feedback(course: Course, student_id: str) -> str:
    return (course.root / "feedback" / student_id / LAB / f"{LAB}.html").read_text("utf-8")


def test_feedback_has_hints_and_nothing_of_the_tests(
    graded: Course, toy_cases: dict[str, Case]
) -> None:
    text = feedback(graded, "bob")
    assert "You discount the first reward most: start from the last one." in text
    assert "random episodes" in text
    for source in (TOY / LAB).glob("*.py"):
        secret = [
            line.strip()
            for line in source.read_text("utf-8").splitlines()
            if len(line.strip()) > 20 and line.strip() not in toy_text(toy_cases)
        ]
        assert [line for line in secret if line in text] == []


def toy_text(toy_cases: dict[str, Case]) -> str:
    """All that the student of the wrong answer wrote, or was given."""
    notebook = json.loads(toy_cases[WRONG].files[NOTEBOOK])
    return "".join("".join(cell["source"]) for cell in notebook["cells"])


def test_hidden_cases_leave_no_value_in_feedback(graded: Course, toy_lab: object) -> None:
    from autograder.referee import expected_of

    expected = expected_of(toy_lab, graded.seed)  # type: ignore[arg-type]
    text = feedback(graded, "bob")
    (exercise,) = [e for e in expected.lab.exercises if e.name == "discounted_return"]
    hidden = [group for group in expected.groups(exercise) if not group.group.public]
    numbers = [
        *(value for group in hidden for case in group.cases for value in case["rewards"]),
        *(right.value for group in hidden for right in group.right),
    ]
    assert numbers
    assert not [n for n in numbers if f"{n:.4f}"[:-1] in text or f"{n:.6g}" in text]


def test_what_a_student_wrote_runs_nowhere(graded: Course) -> None:
    text = feedback(graded, "ada")
    page = BeautifulSoup(text, "html.parser")
    assert "my reason" in text
    assert "a word on stderr" in text
    assert "<b>bold</b>" in text
    assert "<code>c &lt; d</code>" in text
    assert "alert" not in "".join(script.get_text() for script in page.find_all("script"))
    assert not [name for tag in page.find_all(True) for name in tag.attrs if name[:2] == "on"]


def test_feedback_asks_no_other_machine_for_anything(graded: Course) -> None:
    page = feedback(graded, "ada")
    assert fetched_from_elsewhere(page) == []
    assert "<mi>a</mi><mo>&lt;</mo><mi>b</mi>" in page  # formulas need no script
    assert '<math display="block"><mrow><munder><mo>∑</mo>' in page
    assert 'alt="seen"' in page


def test_a_page_that_fetches_something_is_seen() -> None:
    page = (
        '<link href="//a/x.css"><script src="https://b/x.js"></script><img src="data:image/png,">'
        "<style>/* url(c) */ @import '//d'; p { background: url(http://e) }</style><a href='https://f'>"
        '<i style="background:url(#g)"></i><img src=h.png>'
    )
    assert fetched_from_elsewhere(page) == ["//a/x.css", "https://b/x.js", "//d", "http://e"]


def test_a_written_answer_waits_for_a_person(graded: Course) -> None:
    question = "question-why-in-turn"
    with Gradebook(graded.db_url) as gradebook:
        grade = gradebook.find_grade(question, LAB, LAB, "ada")
        assert (grade.needs_manual_grade, grade.auto_score) == (True, None)
        grade.manual_score, grade.needs_manual_grade = 1.5, False
        gradebook.db.commit()
    assert graded.scores(LAB)["ada"][question] == (None, 1.5)


def test_formgraders_button_takes_the_same_road(graded: Course) -> None:
    """What formgrader calls, for one student at a time."""
    before = graded.scores(LAB)["bob"]
    with Gradebook(graded.db_url) as gradebook:
        gradebook.find_grade("test-softmax", LAB, LAB, "bob").auto_score = 0.5
        gradebook.db.commit()
    with alembic_on_path():
        api = NbGraderAPI(config=graded.config)
        assert api.autograde(LAB, "bob")["success"]
    assert graded.scores(LAB)["bob"] == before


def test_without_our_configuration_nobody_gets_marks(
    tmp_path: Path, toy_course: Course, toy_cases: dict[str, Case]
) -> None:
    """A test cell that runs under nbgrader's own executor raises, whatever the answer."""
    import shutil

    shutil.copytree(toy_course.root, tmp_path / "course")
    course = Course(tmp_path / "course")
    (course.root / nbgrader_config.FILE).unlink(missing_ok=True)
    hand_in(course.root / "submitted", "bob", toy_cases[WRONG].files)
    run = nbgrader(course, "autograde", LAB)
    scores = course.scores(LAB)["bob"]
    assert scores["discounted_return"][0] == 0.0, run.stderr


# -- the parts -----------------------------------------------------------------------------------


def test_cell(points: float = 3.0) -> NotebookNode:
    metadata = {"nbgrader": {"grade_id": "test-f", "grade": True, "points": points}}
    cell: NotebookNode = nbformat.v4.new_code_cell("check", metadata=metadata)  # type: ignore[no-untyped-call]
    return cell


@pytest.mark.parametrize("points", [0.0, 1e-9, 1 / 3, 0.67, 2.9999999999999996, 3.0])
def test_nbgrader_reads_the_score_that_the_referee_gave(points: float) -> None:
    cell = test_cell()
    cell.outputs = [verdict(ExerciseResult("f", points, 3.0, "wrong"))]
    assert determine_grade(cell) == (points, 3.0)


test_cell.__test__ = False  # type: ignore[attr-defined]


def test_a_test_cell_without_a_verdict_scores_nothing() -> None:
    """nbgrader gives full marks to a test cell without outputs."""
    notebook: NotebookNode = nbformat.v4.new_notebook(cells=[test_cell()])  # type: ignore[no-untyped-call]
    show(notebook, SubmissionResult(()), [])
    assert determine_grade(notebook.cells[0]) == (0.0, 3.0)


def test_a_verdict_shows_groups_and_escapes_messages() -> None:
    groups = (GroupResult("easy", 1.0, 2, 2), GroupResult("<hard>", 1.0, 0, 3, "<b> is wrong"))
    item = ExerciseResult("f", 1.5, 3.0, "wrong", hint="mind `<a>`", groups=groups)
    text = verdict(item).data["text/html"]
    assert "<td>easy</td><td>2 of 2</td>" in text
    assert "<td>&lt;hard&gt;</td><td>0 of 3</td><td>&lt;b&gt; is wrong</td>" in text
    assert "mind <code>&lt;a&gt;</code>" in text
    assert safe_html(text) == text


def test_outputs_are_what_a_notebook_may_show() -> None:
    assert safe_output({"output_type": "stream", "name": 3, "text": ["a", 4]}) == {
        "output_type": "stream",
        "name": "stdout",
        "text": "a",
    }
    data = {"text/plain": "1", "application/javascript": "x", "image/svg+xml": "<svg>", "x": 3}
    shown = safe_output({"output_type": "execute_result", "data": data, "metadata": {"a": 1}})
    assert shown == {"output_type": "display_data", "data": {"text/plain": "1"}, "metadata": {}}
    for nonsense in ({}, {"output_type": "update"}, {"output_type": "display_data", "data": 3}):
        assert safe_output(nonsense) is None
    long = safe_output({"output_type": "stream", "name": "stdout", "text": "x" * 10**6})
    assert long is not None
    assert len(long.text) < 101_000
    error = safe_output({"output_type": "error", "ename": None, "traceback": ["a"] * 999})
    assert error is not None
    assert (error.ename, len(error.traceback)) == ("", 200)


def test_a_score_that_is_not_the_referees_is_refused(
    course: Course, toy_cases: dict[str, Case], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """If nbgrader ever reads an output in another way, no wrong grade is recorded silently."""
    from autograder import preflight
    from autograder.collect import Files
    from autograder.judge import nothing
    from autograder.writer import RecordError, Writer
    from tests.grading import LAB as lab_name

    prepared = preflight.prepare(course.release(LAB), LAB, Files(toy_cases["perfect"].files))
    writer = Writer(course, lab_name, tmp_path / "out")
    from autograder import discover

    result = nothing(discover.load(LAB, TOY), "wrong", "no")
    monkeypatch.setattr(
        shown,
        "verdict",
        lambda item: nbformat.v4.new_output("stream", name="stdout", text="fine"),
    )
    with pytest.raises(RecordError, match=r"recorded 2\.0, but judged 0\.0"):
        writer.write("ada", prepared, result)
    assert "NBGRADER_EXECUTION" not in os.environ, "what comes next is taken for a graded notebook"
