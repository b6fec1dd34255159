"""The only writer of the gradebook: brings one judged submission after another into nbgrader."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from nbconvert.writers.files import FilesWriter
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import NbGraderException

from autograder.course import Course, CourseError, alembic_on_path, last_line, quiet
from autograder.nbgrader_road import Ahead, RefereeExecute, cells_digest
from autograder.preflight import Prepared
from autograder.results import SubmissionResult

PREPARED = "prepared"


class RecordError(RuntimeError):
    """nbgrader could not record one submission; the message is its own."""


class AutogradePrepared(Autograde):  # type: ignore[misc]
    """nbgrader's autograding of what preflight prepared, whatever lies in ``submitted/``."""

    @property
    def _input_directory(self) -> str:
        return PREPARED if self._sanitizing else str(self.coursedir.autograded_directory)


class Writer:
    """Records submissions of one lab, and generates their feedback.

    Args:
        course: holds the gradebook and nbgrader's folders.
        lab: the lab's name.
        out: where feedback goes, as ``feedback/<student>/<lab>.html``.
    """

    def __init__(self, course: Course, lab: str, out: Path) -> None:
        self.course, self.lab, self.out = course, lab, out
        config = course.config
        self._autograde = AutogradePrepared(coursedir=course.directory(lab), config=config)
        self._feedback = GenerateFeedback(coursedir=course.directory(lab), config=config)
        for converter in (self._autograde, self._feedback):
            _open(converter)

    def write(self, student_id: str, prepared: Prepared, result: SubmissionResult) -> None:
        """Record a judged submission and write its feedback.

        Raises:
            RecordError: if nbgrader refuses this submission.
            CourseError: if the gradebook is out of order.
        """
        self._lay_out(student_id, prepared)
        notes = (prepared.reason, *prepared.notes) if prepared.reason else prepared.notes
        RefereeExecute.ahead[student_id, self.lab] = Ahead(
            cells_digest(prepared.notebook), result, notes
        )
        self._convert(self._autograde, student_id)
        self._convert(self._feedback, student_id)
        made = self.course.root / "feedback" / student_id / self.lab / f"{self.lab}.html"
        target = self.out / "feedback" / student_id / f"{self.lab}.html"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, target)

    def commit(self) -> None:
        """Make everything written so far durable: grades, autograded notebooks and feedback.

        `write` may leave its changes uncommitted; what a caller tells others was recorded must
        have been committed first. Nothing is pending yet: `write` commits each submission itself.

        Raises:
            CourseError: if the gradebook cannot be written; what was written since the last
                commit is then not recorded.
        """

    def _convert(self, converter: Any, student_id: str) -> None:
        converter.coursedir.student_id = student_id
        before = Path.cwd()
        with alembic_on_path(), quiet() as errors:
            try:
                converter.init_notebooks()
                os.chdir(self.course.root)
                converter.convert_notebooks()
            except (NbGraderException, SystemExit) as error:
                said = last_line("\n".join(errors[:2]) or str(error))
                if "sqlalchemy" in "".join(errors) or "database" in str(error):
                    raise CourseError(f"the gradebook cannot be written: {said}") from None
                raise RecordError(said) from None
            finally:
                os.chdir(before)

    def _lay_out(self, student_id: str, prepared: Prepared) -> None:
        """Write what is graded into ``prepared/``, and into ``submitted/`` what is ours there.

        nbgrader's own commands and formgrader start from ``submitted/``. A submission that an
        instructor collected there is left as it is.
        """
        files = prepared.files | {f"{self.lab}.ipynb": prepared.raw}
        ours = self.course.root / PREPARED / student_id / self.lab
        theirs = self.course.root / "submitted" / student_id / self.lab
        mirror = not os.path.lexists(theirs) or (
            not theirs.is_symlink() and _tree(theirs) == _tree(ours)
        )
        for folder in (ours, theirs) if mirror else (ours,):
            if folder.exists():
                shutil.rmtree(folder)
            for name, raw in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(raw)


def _open(converter: Any) -> None:
    """Do once what ``converter.start()`` does every time: its templates take long to read."""
    converter.force = True
    converter.writer = FilesWriter(parent=converter, config=converter.config)  # type: ignore[no-untyped-call]
    converter.exporter = converter.exporter_class(parent=converter, config=converter.config)
    for preprocessor in converter.preprocessors:
        converter.exporter.register_preprocessor(preprocessor)


def _tree(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
