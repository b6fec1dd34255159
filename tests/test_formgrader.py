"""An instructor in formgrader, with a real browser: grading, feedback, and a hostile class."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, Request, Route, expect

from autograder import formgrader, grade, nbgrader_config
from autograder.course import Course
from autograder.sample_class import Case
from tests import xss
from tests.browser import ROOT, Watch, watch
from tests.grading import LAB, NOTEBOOK, TOY, hand_in
from tests.jupyter import started

pytestmark = [pytest.mark.long(2), pytest.mark.needs("chromium", "sandbox")]

WRONG = "mutant forward of discounted_return"
QUESTION = "question-why-in-turn"
NAME = "<img src=x onerror=alert(1)>"
MINUTE_MS = 60_000
MODAL = ".modal.in"
HTML = [text for texts in xss.HTML.values() for text in texts]
# What a browser runs as soon as it reads it; most others wait for somebody to click.
AT_ONCE = ("<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", xss.HTML["request"][0])
RUN = "".join(AT_ONCE) + "<script>alert(1)</script>"
SHOWS = f"""
import sys
from IPython.display import HTML, SVG, Javascript, Latex, Markdown, display
for text in {HTML!r}:
    display(HTML(text))
display(Javascript("alert(1)"), Latex(r"$\\href{{javascript:alert(1)}}{{x}}$"))
display(SVG("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"))
display(Markdown("<script>alert(1)</script>"))
print("\\x1b[31m<img src=x onerror=alert(1)>\\x1b]8;;javascript:alert(1)\\x07", file=sys.stderr)
raise ValueError("\\x1b[1m<svg onload=alert(1)>")
"""
CONFIG = "import pathlib\n\npathlib.Path(__file__).with_name('RUN').touch()\nc = get_config()\n"


def hostile(notebook: bytes) -> dict[str, bytes]:
    """A perfect notebook that also holds all there is to hold against a browser."""
    tree = json.loads(notebook)

    def cell(kind: str, source: str, **fields: Any) -> dict[str, Any]:
        code = {"outputs": [], "execution_count": None} if kind == "code" else {}
        return {"cell_type": kind, "metadata": {}, "source": source} | code | fields

    picture = {'a"onerror="alert(1)': {"image/png": "AA=="}, "x.svg": {"image/svg+xml": "<svg>"}}
    tree["cells"] += [
        cell("code", SHOWS),
        cell("raw", AT_ONCE[0], metadata={"raw_mimetype": "text/html"}),
        cell("markdown", "![x](attachment:x.svg)", attachments=picture),
        cell("markdown", AT_ONCE[1], metadata={"tags": ['"><svg onload=alert(1)>']}),
        *(cell("markdown", text) for text in (*HTML, *xss.MARKDOWN)),
    ]
    for written in tree["cells"]:
        if written["metadata"].get("nbgrader", {}).get("grade_id") == QUESTION:
            written["source"] = f"# test-softmax\n\n[my plot](plot.html)\n\n{''.join(AT_ONCE)}"
    tree["metadata"]["language_info"]["pygments_lexer"] = AT_ONCE[0]
    tree["metadata"]["title"] = f"</title>{AT_ONCE[0]}"
    tree["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": {"x": AT_ONCE[0]}}
    return {
        NOTEBOOK: json.dumps(tree).encode(),
        "plot.html": b"<script>alert(1)</script>",
        "plot.svg": b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        "nbgrader_config.py": CONFIG.encode(),
    }


@dataclasses.dataclass
class Room:
    """A class that `grade` has graded, and its instructor's server.

    Attributes:
        out: what `grade` wrote.
        address: of formgrader, to be formatted with a path; lets whoever has it in.
        server: the server's process.
    """

    course: Course
    submissions: Path
    out: Path
    address: str = ""
    server: subprocess.Popen[str] = None  # type: ignore[assignment]

    def __call__(self, path: str = "") -> str:
        return self.address.format(f"formgrader{path}")

    def grade(self, **options: Any) -> None:
        """What the instructor's command does."""
        where = dict(submissions=self.submissions, out=self.out, course=self.course.root)
        assert grade.grade(grade.Options(lab=LAB, labs=TOY, **where, **options)) == 0

    def submission(self, student_id: str) -> str:
        """The page of a student's submission."""
        with self.course.gradebook() as gradebook:
            found = gradebook.find_submission_notebook(LAB, LAB, student_id)
            return self(f"/submissions/{found.id}/")


@pytest.fixture(scope="module")
def room(
    tmp_path_factory: pytest.TempPathFactory, toy_course: Course, toy_cases: dict[str, Case]
) -> Iterator[Room]:
    """Ada attacks, Bob errs, and what Eve's file was is in the folder that formgrader grades."""
    home = tmp_path_factory.mktemp("instructor")
    root = home / "a cöurse"
    shutil.copytree(toy_course.root, root)
    config = nbgrader_config.write(root)
    config.write_text(config.read_text() + f'c.RefereeExecute.labs = "{TOY}"\n')
    submissions = home / "submissions"
    perfect = toy_cases["perfect"].files
    hand_in(submissions, "ada", perfect | hostile(perfect[NOTEBOOK]))
    hand_in(submissions, "bob", toy_cases[WRONG].files)
    hand_in(root / "submitted", "eve", toy_cases["truncated JSON"].files)
    roster = home / "roster.csv"
    roster.write_text(f"student_id,first_name,last_name,email\nada,{NAME},{NAME},\nbob,,,\n")
    room = Room(Course(root), submissions, home / "out")
    room.grade(roster=roster, workers=2)
    command = [sys.executable, "-m", "autograder", "formgrader", "--course", str(root), "--"]
    with started(command, ROOT, home / "home") as (room.server, room.address):
        yield room


@dataclasses.dataclass
class Canary:
    """What a page did that no page may do."""

    watch: Watch
    sang: list[str] = dataclasses.field(default_factory=list)
    stopped: set[str] = dataclasses.field(default_factory=set)  # by a content policy

    @property
    def asked(self) -> list[str]:
        """What it asked other machines for."""
        said = (line.rpartition(" asked for ") for line in self.watch.outside)
        return [address for _, _, address in said if address not in self.stopped]

    @property
    def silent(self) -> bool:
        return not self.sang and not self.asked


@pytest.fixture
def looking(browser: Browser, room: Room) -> Iterator[Callable[..., tuple[Page, Canary]]]:
    """Makes pages with a canary; ``policy=False`` makes the browser forget content policies."""
    with contextlib.ExitStack() as stack:

        def make(*, policy: bool = True) -> tuple[Page, Canary]:
            context = browser.new_context(
                bypass_csp=not policy, viewport={"width": 1280, "height": 900}
            )
            stack.callback(context.close)
            page = context.new_page()
            canary = Canary(watch(page))

            def on_dialog(dialog: Dialog) -> None:
                canary.sang.append(f"{page.url}: {dialog.message}")
                dialog.dismiss()

            def on_failure(request: Request) -> None:
                if request.failure == "csp":
                    canary.stopped.add(request.url)

            page.on("dialog", on_dialog)
            page.on("requestfailed", on_failure)
            page.goto(room())  # with the token, as Jupyter opens it; from now on a cookie does
            return page, canary

        yield make


Looking = Callable[..., tuple[Page, Canary]]


def row(page: Page, student_id: str) -> Any:
    return page.get_by_role("row").filter(
        has=page.locator("td.student-id", has_text=re.compile(f"^{student_id}$"))
    )


def press(page: Page, student_id: str, what: str) -> str:
    """Press one of a student's buttons on the page of submissions; what the dialog says."""
    row(page, student_id).locator(f"td.{what} a").click()
    expect(page.locator(MODAL)).to_be_visible(timeout=MINUTE_MS)
    said = page.locator(MODAL).inner_text()
    page.locator(f"{MODAL} .modal-footer button").click()
    expect(page.locator(".modal")).to_have_count(0)
    return said


def test_the_graded_class_is_shown(room: Room, looking: Looking) -> None:
    page, canary = looking()
    page.goto(room())
    listed = page.get_by_role("row").filter(has_text=LAB)
    expect(listed.locator("td.num-submissions")).to_have_text("3")
    listed.locator("td.num-submissions a").click()
    expect(row(page, "ada").locator("td.score")).to_have_text("19 / 21")
    expect(row(page, "bob").locator("td.score")).to_have_text("17 / 21")
    expect(row(page, "eve").locator("td.status")).to_have_text("needs autograding")
    with (room.out / "grades.csv").open() as table:
        points = [
            float(line["points"] or 0)
            for line in csv.DictReader(table)
            if line["student_id"] == "bob"
        ]
    assert sum(points) == 17
    page.get_by_role("link", name="Manage Students").click()
    expect(page.get_by_role("row").filter(has_text="ada")).to_have_count(1)
    page.get_by_role("link", name="Manual Grading").click()
    page.locator("td.name a").click()
    page.locator("td.name a").click()
    expect(page.locator("td.score")).to_have_count(2)
    assert canary.silent
    assert canary.watch.errors == []


def test_a_button_grades_as_grade_does_and_the_server_goes_on(room: Room, looking: Looking) -> None:
    before = room.course.scores(LAB)["bob"]
    with room.course.gradebook() as gradebook:
        gradebook.find_grade("test-softmax", LAB, LAB, "bob").auto_score = 0.5
        gradebook.db.commit()
    page, _ = looking()
    page.goto(room(f"/manage_submissions/{LAB}"))
    expect(row(page, "bob").locator("td.score")).to_have_text("14.5 / 21")
    first = page.evaluate(
        """async ([one, other]) => {
          const post = {method: "POST", headers: {"X-CSRFToken": getCookie("_xsrf")}};
          const graded = fetch(one, post).then(answer => answer.json());
          const answered = fetch(other).then(() => "answered");
          const first = await Promise.race([graded, answered]);
          return [first, (await graded).success];
        }""",
        [f"/formgrader/api/submission/{LAB}/bob/autograde", "/formgrader/api/status"],
    )
    assert first == ["answered", True]
    assert room.course.scores(LAB)["bob"] == before
    assert "Successfully autograded" in press(page, "bob", "autograde")
    expect(row(page, "bob").locator("td.score")).to_have_text("17 / 21")


def test_a_file_that_is_no_notebook_is_an_error_in_words(room: Room, looking: Looking) -> None:
    page, _ = looking()
    page.goto(room(f"/manage_submissions/{LAB}"))
    said = press(page, "eve", "autograde")
    assert "There was an error autograding" in said
    assert "Traceback" in said
    assert "eve" in said
    expect(row(page, "eve").locator("td.status")).to_have_text("needs autograding")


def save(page: Page, field: str, value: str) -> None:
    """Write into a field of a submission's page and wait until it is saved."""
    with page.expect_response(lambda answer: answer.request.method == "PUT") as answer:
        page.locator(field).fill(value)
        page.locator(field).blur()
    assert answer.value.ok


def test_a_person_grades_and_it_stays(room: Room, looking: Looking) -> None:
    page, canary = looking()
    page.goto(room.submission("bob"))
    expect(page.locator(f"#{QUESTION}")).to_have_class(re.compile("needs_manual_grade"))
    answer = page.locator(".nbgrader_cell", has=page.locator(f"#{QUESTION}"))
    answer.get_by_text("Model answer").click()
    expect(answer.locator("details")).to_contain_text("No arm's reward depends on when")
    save(page, f"#{QUESTION}", "1.5")
    save(page, f"#{QUESTION}_extra_credit", "0.5")
    save(page, f"#{QUESTION}-comment", "Good, and **why**? $a<b$")
    save(page, "#test-softmax", "2")
    room.grade(regrade=True)
    scores = room.course.scores(LAB)["bob"]
    assert (scores[QUESTION], scores["softmax"]) == ((None, 2.0), (3.0, 2.0))
    page.goto(room(f"/manage_submissions/{LAB}"))
    assert "Successfully autograded" in press(page, "bob", "autograde")
    expect(row(page, "bob").locator("td.score")).to_have_text("18 / 21")
    expect(row(page, "bob").locator("td.status")).to_have_text("graded")
    assert "Successfully generated feedback" in press(page, "bob", "generate-feedback")
    page.goto((room.course.root / "feedback/bob" / LAB / f"{LAB}.html").as_uri())
    expect(page.locator(".panel-footer")).to_contain_text("Good, and why? a<b")
    expect(page.locator("#toc")).to_contain_text("Written response (Score: 2.0 / 2.0)")
    assert canary.silent
    assert canary.watch.errors == []


def test_feedback_for_all_says_what_waits(room: Room, looking: Looking) -> None:
    page, _ = looking()
    page.goto(room())
    page.locator("td.generate-feedback a").click()
    expect(page.locator(MODAL)).to_contain_text("Successfully generated", timeout=MINUTE_MS)
    feedback = (room.course.root / "feedback/ada" / LAB / f"{LAB}.html").read_text("utf-8")
    assert "not graded yet, 2.0 points" in feedback
    assert "<code>softmax</code></a> (Score: 3.0 / 3.0)" in feedback


def test_a_gradebook_that_was_busy_is_said_and_not_for_ever(room: Room, looking: Looking) -> None:
    page, _ = looking()
    page.goto(room.submission("ada"))
    page.route("**/api/grade/*", lambda route: route.fulfill(status=500))
    page.locator("#test-softmax").fill("1")
    page.locator("#test-softmax").blur()
    expect(page.locator("#statusmessage")).to_contain_text("NOT SAVED")
    page.unroute("**/api/grade/*")
    save(page, "#test-softmax", "")
    expect(page.locator("#statusmessage")).to_be_hidden()


def test_no_field_takes_what_would_be_lost(room: Room, looking: Looking) -> None:
    """nbgrader puts what it fetches in place of what was typed before."""
    page, _ = looking()
    held: list[Route] = []
    page.route("**/api/grades*", lambda route: held.append(route))
    with page.expect_response("**/api/comments*"):
        page.goto(room.submission("ada"))
    field, buttons = page.locator("#test-softmax"), page.locator(".scoring-buttons button")
    field.press("1")
    expect(field).to_have_value("")
    expect(page.locator(f"#{QUESTION}-comment")).not_to_be_editable()
    expect(buttons.locator("visible=true").first).to_be_disabled()
    held[0].fulfill(status=500)
    expect(page.locator("#statusmessage")).to_contain_text("NOT LOADED")
    page.unroute("**/api/grades*")
    page.reload()
    save(page, "#test-softmax", "1")
    save(page, "#test-softmax", "")


# -- what a hostile notebook may do --------------------------------------------------------------


def look_at(page: Page, address: str) -> str:
    """Open a page and wait until it has loaded and done what it does; where it is then."""
    page.goto(address)
    page.wait_for_load_state("networkidle")
    return page.url.partition("?")[0]


@pytest.mark.parametrize("policy", [True, False], ids=["with a policy", "without one"])
def test_a_hostile_notebook_acts_nowhere(room: Room, looking: Looking, policy: bool) -> None:
    page, canary = looking(policy=policy)
    submission = room.submission("ada")
    feedback = (room.out / "feedback/ada" / f"{LAB}.html").as_uri()
    report = (room.out / "report.html").as_uri()
    for address in (submission, feedback, report, room(f"/manage_submissions/{LAB}")):
        assert look_at(page, address) == address.partition("?")[0]
        assert page.locator("[onerror], [onload], iframe, base").count() == 0
    page.goto(submission)
    expect(page.locator("body")).to_contain_text("raise ValueError")
    assert (
        page.locator("input[id=test-softmax]").count() == page.locator("[id=test-softmax]").count()
    )
    assert page.locator("a[href$='plot.html'], a[href*='formgrader?path']").count() == 0
    assert page.locator("#notebook-container .rendered_html [class*=credit]").count() == 0
    page.evaluate("toggle_name(true)")
    expect(page.locator(".live-notebook a.name-shown")).to_have_text(f"{NAME}, {NAME}")
    assert canary.silent


def raw_page(route: Route) -> None:
    """The server's answer, with the attacks in it as if nothing had cleaned them."""
    answer = route.fetch()
    route.fulfill(
        response=answer, body=answer.text().replace("</body>", f"{''.join(AT_ONCE)}{RUN}</body>")
    )


def test_what_came_through_would_still_not_run(room: Room, looking: Looking) -> None:
    """The content policy alone; without it, the same page does all that it shouldn't."""
    pages = (room.submission("ada"), room(f"/manage_submissions/{LAB}"))
    for address in pages:
        page, canary = looking()
        page.route(address.partition("?")[0] + "*", raw_page)
        look_at(page, address)
        assert canary.silent
        assert (
            len([error for error in canary.watch.errors if "Content Security Policy" in error]) >= 4
        )
        page, canary = looking(policy=False)
        page.route(address.partition("?")[0] + "*", raw_page)
        look_at(page, address)
        assert len(canary.sang) >= 3
        assert canary.asked


def test_feedback_and_what_came_through_would_still_not_run(
    room: Room, looking: Looking, tmp_path: Path
) -> None:
    text = (room.out / "feedback/ada" / f"{LAB}.html").read_text("utf-8")
    weak = tmp_path / "weak.html"
    weak.write_text(text.replace("</body>", f"{RUN}</body>", 1), "utf-8")
    page, canary = looking()
    look_at(page, weak.as_uri())
    assert canary.silent
    page, canary = looking(policy=False)
    look_at(page, weak.as_uri())
    assert len(canary.sang) >= 3


def test_a_submitted_file_is_downloaded_and_never_opened(room: Room, looking: Looking) -> None:
    page, canary = looking()
    page.goto(room())
    for name in ("plot.html", "plot.svg"):
        answer = page.request.get(room.submission("ada").partition("?")[0] + name)
        assert answer.ok
        assert answer.headers["content-disposition"] == "attachment"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert canary.silent


def test_no_link_runs_a_submitted_configuration(room: Room, looking: Looking) -> None:
    """nbgrader reads, and so runs, the configuration of the folder that ``path`` names."""
    page, _ = looking()
    page.goto(room())
    for folder in ("autograded", "submitted"):
        where = room.course.root / folder / "ada" / LAB
        assert (where / "nbgrader_config.py").is_file()
        page.goto(f"{room().partition('?')[0]}?path={folder}/ada/{LAB}")
        assert page.url.endswith("/manage_assignments")
        assert not (where / "RUN").exists()
    expect(page.get_by_role("row").filter(has_text=LAB)).to_have_count(1)


def test_a_submission_can_be_read_live_and_not_run(room: Room, looking: Looking) -> None:
    page, canary = looking(policy=False)
    page.goto(room.address.format(f"lab/tree/autograded/ada/{LAB}/{NOTEBOOK}"))
    expect(page.locator(".jp-Notebook .jp-RenderedHTMLCommon").first).to_be_visible(
        timeout=MINUTE_MS
    )
    assert page.request.get(room.address.format("api/kernelspecs")).json()["kernelspecs"] == {}
    assert page.request.get(room.address.format("api/terminals")).status == 404
    assert canary.silent


# -- starting and stopping -----------------------------------------------------------------------


def test_it_opens_on_formgrader(room: Room, looking: Looking) -> None:
    page, _ = looking()
    page.goto(room.address.format(""))
    expect(page).to_have_url(re.compile("/formgrader/manage_assignments$"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "is no course yet: grade a class first"),
        ("postgresql://nobody@127.0.0.1:1/none", "cannot be opened"),
        ("gibberish", "is not of the form"),
    ],
)
def test_a_gradebook_that_is_not_there_is_a_sentence(
    url: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import argparse

    if url is not None:
        (tmp_path / "release").mkdir()
    assert formgrader.run(argparse.Namespace(course=tmp_path, db_url=url, jupyter=[])) == 2
    error = capsys.readouterr().err
    assert error.startswith("formgrader: ")
    assert said in error
    assert error.count("\n") == 1


def children(pid: int) -> list[int]:
    """Every process below one."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            found += [child, *children(child)]
    return found


def test_ctrl_c_ends_it_and_all_that_it_started(room: Room) -> None:
    """The last test: its server is gone afterwards."""
    below = [os.pidfd_open(pid) for pid in children(room.server.pid)]
    assert below, "a button was pressed before: something runs beside the server"
    room.server.send_signal(signal.SIGINT)
    assert room.server.wait(timeout=30) == 0
    for process in below:
        assert select.select([process], [], [], 30)[0], "it goes on without its server"
        os.close(process)
