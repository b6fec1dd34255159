"""nbgrader's own road with three steps replaced: completing cells, running them, saving scores.

They are put in place by configuration (see `autograder.nbgrader_config`), so that `grade`, stock
``nbgrader autograde`` and formgrader's button take the same road.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
from pathlib import Path
from typing import Any, ClassVar

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool, Float, Integer, Unicode

from autograder import discover, preflight
from autograder.collect import read_folder
from autograder.course import Course
from autograder.judge import judge
from autograder.results import SubmissionResult
from autograder.shown import exercise_of, show

Resources = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Ahead:
    """A submission that was run and judged before nbgrader came to it.

    Attributes:
        notebook: as preflight prepared it.
    """

    notebook: NotebookNode
    result: SubmissionResult
    notes: tuple[str, ...] = ()


class RebuildCells(NbGraderPreprocessor):  # type: ignore[misc]
    """Makes the submitted notebook complete again, from the release (see `preflight`)."""

    course = Unicode(help="the course directory").tag(config=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        student, lab = resources["nbgrader"]["student"], resources["nbgrader"]["assignment"]
        ahead = RefereeExecute.ahead.get((student, lab))
        if ahead is not None and ahead.notebook == nb:
            return nb, resources
        notes: list[str] = []
        rebuilt = preflight.rebuild(Course(Path(self.course)).release(lab), nb.cells, notes)
        for note in notes:
            self.log.warning("%s: %s", student, note)
        RefereeExecute.mended[student, lab] = tuple(notes)
        return rebuilt, resources


class RefereeExecute(NbGraderPreprocessor):  # type: ignore[misc]
    """In place of ``Execute``: the referee runs the notebook in a sandbox and writes its verdicts.

    What `grade` has run ahead is taken from ``ahead``, by student and lab, and what had to be
    mended before from ``mended``.
    """

    ahead: ClassVar[dict[tuple[str, str], Ahead]] = {}
    mended: ClassVar[dict[tuple[str, str], tuple[str, ...]]] = {}

    course = Unicode(help="the course directory, which holds release/ and the seed").tag(
        config=True
    )
    labs = Unicode(str(discover.SOLUTIONS), help="the folder of the labs' sources").tag(config=True)
    time_limit = Float(None, allow_none=True, help="seconds per call").tag(config=True)
    memory_limit = Integer(2048, help="MiB per submission").tag(config=True)
    sandbox = Bool(True, help="False runs the submission as you, for your own only").tag(
        config=True
    )

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        student, lab = resources["nbgrader"]["student"], resources["nbgrader"]["assignment"]
        ahead = self.ahead.get((student, lab))
        if ahead is None or not _same_cells(ahead.notebook, nb):
            ahead = self._run(nb, lab, Path(resources["metadata"]["path"]))
            mended = self.mended.pop((student, lab), ())
            ahead = dataclasses.replace(ahead, notes=(*mended, *ahead.notes))
        show(nb, ahead.result, ahead.notes)
        resources["referee"] = {item.name: item.points for item in ahead.result.exercises}
        return nb, resources

    def _run(self, nb: NotebookNode, lab: str, folder: Path) -> Ahead:
        course = Course(Path(self.course))
        release = course.release(lab)
        handed_in = read_folder(folder)
        handed_in.content[f"{lab}.ipynb"] = nbformat.writes(nb).encode()  # type: ignore[no-untyped-call]
        prepared = preflight.prepare(release, lab, handed_in)
        result = judge(
            discover.load(lab, Path(self.labs)),
            release,
            prepared,
            course_seed=course.seed,
            time_limit=self.time_limit,
            memory_limit=self.memory_limit,
            isolate=self.sandbox,
        )
        return Ahead(nb, result, prepared.notes)


class SaveRefereeGrades(SaveAutoGrades):  # type: ignore[misc]
    """Records nbgrader's reading of the verdicts, and insists that it is the referee's score.

    nbgrader asks for another look at whatever a person has graded. Here the look holds while
    nothing changed that it was about; `remember` says what that was.
    """

    remembered: ClassVar[dict[tuple[str, str], str]] = {}

    @classmethod
    def remember(cls, student_id: str, lab: str, graded: Path) -> None:
        """Keep a student's notebook as it was graded last, before it is graded again.

        Args:
            graded: the folder that holds it, if there is one.
        """
        cls.remembered.pop((student_id, lab), None)
        with contextlib.suppress(FileNotFoundError):
            cls.remembered[student_id, lab] = (graded / f"{lab}.ipynb").read_text("utf-8")

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        told = resources["nbgrader"]
        self._last = self.remembered.pop((told["student"], told["assignment"]), None)
        self._nb = nb
        made: tuple[NotebookNode, Resources] = super().preprocess(nb, resources)
        return made

    def _add_score(self, cell: NotebookNode, resources: Resources) -> None:
        grade = self.gradebook.find_grade(
            cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        before, looked_at = grade.auto_score, not grade.needs_manual_grade
        super()._add_score(cell, resources)
        if grade.needs_manual_grade and looked_at and grade.auto_score == before:
            grade.needs_manual_grade = not self._as_before(cell)
            self.gradebook.db.commit()
        name, judged = exercise_of(cell), resources["referee"]
        if name is not None and grade.auto_score != judged.get(name, 0.0):
            raise RuntimeError(
                f"{name}: recorded {grade.auto_score}, but judged {judged.get(name)}"
            )

    def _as_before(self, cell: NotebookNode) -> bool:
        """Whether what a person looked at is the same: an answer, or for a test all the code."""
        if self._last is None:
            return False
        last = nbformat.reads(self._last, as_version=4)  # type: ignore[no-untyped-call]
        return _looked_at(last, cell) == _looked_at(self._nb, cell)


def _looked_at(nb: NotebookNode, graded: NotebookNode) -> list[tuple[str, float | None]]:
    """What a person who grades a cell goes by: sources, and the points that there are."""
    name = graded.metadata.nbgrader.grade_id
    return [
        (cell.source, cell.metadata.nbgrader.points if is_it else None)
        for cell in nb.cells
        if (is_it := cell.metadata.get("nbgrader", {}).get("grade_id") == name)
        or (cell.cell_type == graded.cell_type == "code")
    ]


def _same_cells(one: NotebookNode, other: NotebookNode) -> bool:
    """Whether the same would be run in both."""
    sources = [[(cell.cell_type, cell.source) for cell in nb.cells] for nb in (one, other)]
    return sources[0] == sources[1]


# -- around nbgrader's converters ----------------------------------------------------------------


def drop_links(*, assignment: str, student: str, notebooks: list[str]) -> None:
    """Remove links from a submission before nbgrader copies what they point to (a hook).

    A link that a student submitted may lead to any file that the instructor can read.
    """
    for folder in {os.path.dirname(notebook) for notebook in notebooks}:  # noqa: PTH120
        for parent, folders, files in os.walk(folder):
            for name in (*folders, *files):
                path = Path(parent, name)
                if stat.S_ISLNK(path.lstat().st_mode):
                    path.unlink()
