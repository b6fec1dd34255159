"""The only writer of the gradebook: brings one judged submission after another into nbgrader."""

from __future__ import annotations

import errno
import os
import shutil
from functools import partial
from pathlib import Path

from nbgrader.converters.base import NbGraderException

from autograder.converters import AutogradePrepared, FeedbackFromMemory, OneByOne
from autograder.course import Course, CourseError, last_line, quiet
from autograder.gradebook import Lookup, OneSession
from autograder.nbgrader_road import Ahead, RefereeExecute, SaveRefereeGrades
from autograder.preflight import Prepared
from autograder.results import SubmissionResult
from autograder.staging import PREPARED, Staging, replace_folder

# What is wrong with the machine, not with one student's files.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


class RecordError(RuntimeError):
    """nbgrader could not record one submission; the message is its own."""


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
        self._feedback = FeedbackFromMemory(coursedir=course.directory(lab), config=config)
        self._gradebook = OneSession(course.db_url, course.shown_url, Lookup)
        self._waiting = Staging()
        self._clear()

    @property
    def _converters(self) -> tuple[OneByOne, OneByOne]:
        return self._autograde, self._feedback

    def write(self, student_id: str, prepared: Prepared, result: SubmissionResult) -> None:
        """Record a judged submission and make its feedback; both wait for `commit`.

        Raises:
            RecordError: if this submission cannot be recorded; the others are not touched.
            CourseError: if the gradebook or the disk is out of order; nothing that waited is
                recorded.
        """
        notes = (prepared.reason, *prepared.notes) if prepared.reason else prepared.notes
        RefereeExecute.ahead[student_id, self.lab] = Ahead(prepared.notebook, result, notes)
        SaveRefereeGrades.remember(student_id, self.lab, self._autograde.place(student_id))
        for converter in self._converters:
            self._waiting.folder(converter.waiting(student_id), converter.place(student_id))
        try:
            with self._gradebook.part(), quiet() as errors:
                self._lay_out(student_id, prepared)
                self._autograde.notebook = prepared.notebook
                self._convert(self._autograde, student_id, errors)
                self._feedback.notebook = self._autograde.notebook
                self._convert(self._feedback, student_id, errors)
                page = self.out / "feedback" / student_id / f"{self.lab}.html"
                self._waiting.file(self._feedback.page.encode(), page)
        except CourseError:
            self._clear()
            raise
        except (RecordError, OSError) as error:
            for converter in self._converters:
                self._waiting.drop(converter.place(student_id))
            if isinstance(error, RecordError):
                raise
            if error.errno in OF_THE_DISK:
                self._gradebook.close()
                self._clear()
                raise _not_written(error) from None
            raise RecordError(str(error)) from None
        finally:
            RefereeExecute.ahead.pop((student_id, self.lab), None)

    def commit(self) -> None:
        """Make everything written so far durable: grades, graded notebooks and feedback.

        What a caller tells others was recorded must have been committed first. The gradebook
        comes first and the files follow: a crash in between leaves whole files, some of them
        still of the grade before.

        Raises:
            CourseError: if that cannot be done; what was written since the last commit may then
                not be recorded.
        """
        try:
            self._waiting.to_disk()
            self._gradebook.commit()
            self._waiting.publish()
            self._waiting.to_disk()
        except OSError as error:
            self._gradebook.close()
            raise _not_written(error) from None
        finally:
            self._clear()

    def _clear(self) -> None:
        """Remove what did not reach its place, now or in a run that was killed."""
        self._waiting.forget()
        for converter in self._converters:
            shutil.rmtree(converter.waiting(".").parents[1], ignore_errors=True)

    def _convert(self, converter: OneByOne, student_id: str, errors: list[str]) -> None:
        converter.coursedir.student_id = student_id
        converter.before_hook = partial(self._waiting.show, converter.place(student_id))
        converter.trouble = None
        before = Path.cwd()
        try:
            converter.init_notebooks()
            os.chdir(self.course.root)
            converter.convert_notebooks()
        except (NbGraderException, SystemExit) as error:
            if converter.trouble is not None:
                raise converter.trouble from None
            raise RecordError(last_line("\n".join(errors[:2]) or str(error))) from None
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
        last = _tree(ours)
        mirror = not os.path.lexists(theirs) or (
            not theirs.is_symlink() and _tree(theirs) in (last, files)
        )
        for folder in (theirs, ours) if mirror else (ours,):
            if folder == ours and last == files:
                continue
            new = self._autograde.waiting(student_id).with_name(f"{self.lab}.new")
            shutil.rmtree(new, ignore_errors=True)
            for name, raw in files.items():
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(raw)
            replace_folder(folder, new)


def _not_written(error: OSError) -> CourseError:
    where = f" ({error.filename})" if error.filename else ""
    return CourseError(f"the results cannot be written: {error.strerror}{where}")


def _tree(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        return {}
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
