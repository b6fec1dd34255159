"""nbgrader's export plugins for Canvas, Moodle and any other program that reads CSV.

They serve ``python -m autograder export`` and stock nbgrader alike, in a course directory::

    nbgrader export --exporter=autograder.exporters.CanvasExporter --assignment='["labNN_topic"]'

What goes out is nbgrader's final score: a person's judgement before the autograder's, extra credit
added, the late penalty taken off. Names and comments are written so that no spreadsheet takes one
for a formula; an identifier cannot be, since the LMS would no longer know it: a student whose
identifier is a formula is left out and named.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nbgrader.plugins import ExportPlugin
from traitlets import Bool, Unicode

from autograder.lms import POINTS_POSSIBLE, Match, Table, is_formula, match, named, number, written
from autograder.marks import ExportError, Mark, Marks, labs, read
from autograder.records import replace, safe_cell

CANVAS_IDS = ("SIS Login ID", "SIS User ID", "ID")
MOODLE_IDS = ("Username", "ID number", "Email address")
ASSIGNMENT = re.compile(r"(?P<title>.*) \((?P<id>\d+)\)")
KEPT = ("EX", "N/A")  # Canvas: excused, not assigned

Put = Callable[[list[str], Mark], None]


class LabExporter(ExportPlugin):  # type: ignore[misc]
    """Writes one lab's final scores to a file, whole or not at all."""

    default_file = "grades.csv"

    incomplete = Bool(False, help="export although answers are not graded yet").tag(config=True)

    def export(self, gradebook: Any) -> None:
        """Write the file, as ``nbgrader export`` asks for it."""
        try:
            notes = self.write(gradebook)
        except ExportError as error:
            self.parent.fail("%s", error)
        for note in notes:
            self.log.info("%s", note)

    def write(self, gradebook: Any) -> list[str]:
        """Write the file; return what whoever asked for it should know, a sentence each.

        Raises:
            ExportError: if the grades cannot be exported as asked.
        """
        names = [str(name) for name in self.assignment]
        if len(names) != 1:
            known = ", ".join(labs(gradebook)) or "none"
            raise ExportError(f"name one lab (--assignment='[\"labNN_topic\"]'); there is {known}")
        marks = self._chosen(read(gradebook, names[0]))
        notes: list[str] = []
        text = self.text(marks, notes)
        target = Path(self.to or self.default_file)
        try:
            if target.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            replace(target, text)
        except OSError as error:
            raise ExportError(f"{target} cannot be written: {error.strerror}") from None
        again = [mark for mark in marks.students if any(part.again for part in mark.parts)]
        if again:
            notes.append(f"graded by hand before the last autograding, look again: {named(again)}")
        return [f"{target} is written", *notes]

    def _chosen(self, marks: Marks) -> Marks:
        """The students who are asked for, once all their answers are graded."""
        wanted = {str(student) for student in self.student}
        students = [mark for mark in marks.students if not wanted or mark.student_id in wanted]
        waiting = [mark for mark in students if mark.open]
        if waiting and not self.incomplete:
            count = sum(mark.open for mark in waiting)
            answers = "1 answer is" if count == 1 else f"{count} answers are"
            raise ExportError(
                f"{answers} not graded yet ({named(waiting)}): grade them in formgrader first, or"
                " use the option `incomplete`"
            )
        return Marks(marks.lab, marks.max_score, marks.duedate, tuple(students))

    def text(self, marks: Marks, notes: list[str]) -> str:
        """Return the file; add to ``notes`` who is not in it as they should be."""
        raise NotImplementedError


class CsvExporter(LabExporter):
    """Everybody's result with the columns of nbgrader's own export.

    Unlike there, who handed in nothing has an empty score and not 0.
    """

    def text(self, marks: Marks, notes: list[str]) -> str:
        header = (
            *("assignment", "duedate", "timestamp", "student_id", "last_name", "first_name"),
            *("email", "raw_score", "late_submission_penalty", "score", "max_score"),
        )
        rows = [header]
        for mark in marks.students:
            who = (mark.student_id, mark.last_name, mark.first_name, mark.email)
            dates = (marks.duedate, mark.submitted)
            scores = ("", "", "")
            if mark.score is not None:
                scores = (number(mark.raw), number(mark.penalty), number(mark.score))
            shown = map(safe_cell, (marks.lab, *dates, *who))
            rows.append((*shown, *scores, number(marks.max_score)))  # type: ignore[arg-type]
        _note_missing(marks.students, notes)
        return written(rows)


class LmsExporter(LabExporter):
    """What Canvas and Moodle have in common: a template filled in, or a table of one's own."""

    template = Unicode("", help="a file that the LMS exported, to fill in").tag(config=True)
    column = Unicode("", help="title of the column that takes the scores").tag(config=True)
    identify_by = Unicode("", help="title of the column that identifies students").tag(config=True)

    def text(self, marks: Marks, notes: list[str]) -> str:
        if self.template:
            return self.filled(Table.read(Path(self.template)), marks, notes)
        students = self._identified(marks.students, notes)
        _note_missing(students, notes)
        return self.own(Marks(marks.lab, marks.max_score, marks.duedate, students), notes)

    def filled(self, table: Table, marks: Marks, notes: list[str]) -> str:
        """Return the template with everybody's score in it."""
        raise NotImplementedError

    def own(self, marks: Marks, notes: list[str]) -> str:
        """Return a table for the LMS to read."""
        raise NotImplementedError

    def _identified(self, students: Sequence[Mark], notes: list[str]) -> tuple[Mark, ...]:
        """Students with an identifier that can go out as it is."""
        usable: list[Mark] = []
        left_out: list[Mark] = []
        for mark in students:
            identifier = self._identifier(mark)
            fine = identifier and not is_formula(identifier)
            (usable if fine else left_out).append(mark)
        if left_out:
            notes.append(
                f"left out, since {self._id_column()} is empty or begins like a formula: "
                f"{named(left_out)}"
            )
        return tuple(usable)

    def _id_column(self) -> str:
        raise NotImplementedError

    def _identifier(self, mark: Mark) -> str:
        return mark.email if self._id_column() == "Email address" else mark.student_id

    def _one_of(self, known: tuple[str, ...]) -> str:
        chosen = self.identify_by or known[0]
        if chosen not in known:
            raise ExportError(f"{chosen!r} does not identify students; {' or '.join(known)} does")
        return chosen

    def _matched(
        self, table: Table, columns: Sequence[int], marks: Marks, notes: list[str]
    ) -> Match:
        """Find the students in the template and say who could not be found."""
        if self.identify_by:
            columns = [_index(table, self.identify_by)]
        found = match(table, marks.students, columns)
        notes.append(f"{len(found.rows)} students were found by {found.column}")
        if found.absent:
            notes.append(f"graded, but not in {table.path}: {named(found.absent)}")
        if found.strangers:
            notes.append(f"in {table.path}, but not in the gradebook: {named(found.strangers)}")
        _note_missing(tuple(found.rows.values()), notes)
        return found


class CanvasExporter(LmsExporter):
    """A file for Canvas' *Grades, Import*.

    Canvas reads a header that begins with Student and ID and has Section as the last column about
    the student; then a column per assignment, called ``Title (id)``; a row "Points Possible". It
    finds a student by ID, else SIS User ID, else SIS Login ID, else by name, reads ``;`` as well as
    ``,`` and a decimal comma as well as a point, takes every cell that differs from its gradebook
    as a change, an empty one too, and leaves columns alone that are not there. So a template comes
    back with the columns about students and the lab's alone: an old one cannot undo what somebody
    graded elsewhere since; and a student without a score keeps what Canvas has.

    Source: Canvas LMS, ``lib/gradebook_importer.rb`` and ``lib/gradebook_exporter.rb``.
    """

    default_file = "canvas.csv"

    def own(self, marks: Marks, notes: list[str]) -> str:
        title = self.column or marks.lab
        identifier = self._id_column()
        header = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title]
        place = header.index(identifier)
        rows = [header, [f"    {POINTS_POSSIBLE}", "", "", "", "", number(marks.max_score)]]
        for mark in marks.students:
            if mark.score is None:
                continue
            row = [safe_cell(_sortable(mark)), "", "", "", "", number(mark.score)]
            row[place] = self._identifier(mark)
            rows.append(row)
        return written(rows)

    def filled(self, table: Table, marks: Marks, notes: list[str]) -> str:
        about = self._about_students(table)
        target = self._target(table, marks, about)
        found = self._matched(table, range(about), marks, notes)
        self._compare_points(table, marks, target, notes)
        rows = [list(row) for row in table.rows]
        kept = []
        for index, mark in found.rows.items():
            if mark.score is None:
                continue
            if rows[index][target].strip().upper() in KEPT:
                kept.append(mark)
            else:
                rows[index][target] = table.number(mark.score)
        if kept:
            notes.append(f"excused or not assigned in Canvas, left so: {named(kept)}")
        for row in rows:
            if not row[0].startswith("'"):  # as a template that was filled in before has it
                row[0] = safe_cell(row[0])
        return table.text([*range(about), target], rows)

    def _id_column(self) -> str:
        return self._one_of(CANVAS_IDS)

    @staticmethod
    def _about_students(table: Table) -> int:
        """How many columns, from the first one, are about the student."""
        header = [title.strip() for title in table.header]
        named_student = header[:1] == ["Student"] or header[:2] == ["LastName", "FirstName"]
        if not named_student or "ID" not in header or "Section" not in header:
            raise ExportError(
                f"{table.path} is not a gradebook that Canvas exported: its first columns are not"
                " Student, ID, ..., Section"
            )
        return header.index("Section") + 1

    def _target(self, table: Table, marks: Marks, about: int) -> int:
        """The column of the lab: the one that is named, else the one with the lab's name."""
        if self.column:
            return _index(table, self.column)
        titles = {}
        for index, title in enumerate(table.header[about:], about):
            if found := ASSIGNMENT.fullmatch(title.strip()):
                titles[index] = found["title"]
        same = [index for index, title in titles.items() if title == marks.lab]
        if len(same) == 1:
            return same[0]
        known = ", ".join(repr(table.header[index].strip()) for index in titles) or "none"
        raise ExportError(
            f"{table.path} has no assignment called {marks.lab}: name its column with --column;"
            f" there is {known}"
        )

    def _compare_points(self, table: Table, marks: Marks, target: int, notes: list[str]) -> None:
        row = next((row for row in table.rows if POINTS_POSSIBLE in row[0]), None)
        possible = row[target].replace(",", ".").strip() if row else ""
        try:
            differs = abs(float(possible) - marks.max_score) > 0.005  # Canvas shows two decimals
        except ValueError:
            return
        if differs:
            most = number(marks.max_score)
            notes.append(
                f"Canvas has this assignment at {possible} points, the lab is worth {most}"
            )


class MoodleExporter(LmsExporter):
    """A file for Moodle's *Grades, Import, CSV file*, or an assignment's grading worksheet.

    The import maps columns as the teacher chooses, and students by user name, ID number or e-mail
    address; one row whose student it does not know stops it, and an empty or ``-`` score removes
    what was there: so only rows with a score are written. Whatever the site's language, it reads a
    decimal point; it takes commas as separators unless told otherwise.

    With a template, the worksheet that an assignment offers under *Download grading worksheet* is
    filled in: the columns Grade and, where it is empty, Feedback comments.

    Source: Moodle, ``grade/import/csv/classes/load_data.php``, ``unformat_float`` in
    ``lib/moodlelib.php``, ``mod/assign/feedback/offline/importgradeslib.php``.
    """

    default_file = "moodle.csv"

    def own(self, marks: Marks, notes: list[str]) -> str:
        title = self.column or marks.lab
        rows = [[self._id_column(), "First name", "Last name", title, f"{title} feedback"]]
        for mark in marks.students:
            if mark.score is not None:
                names = [safe_cell(mark.first_name), safe_cell(mark.last_name)]
                scores = [number(mark.score), _summary(mark)]
                rows.append([self._identifier(mark), *names, *scores])
        return written(rows)

    def filled(self, table: Table, marks: Marks, notes: list[str]) -> str:
        target = _index(table, self.column or "Grade")
        found = self._matched(table, range(target), marks, notes)
        comments = next((i for i, t in enumerate(table.header) if t == "Feedback comments"), None)
        rows = [list(row) for row in table.rows]
        for index, mark in found.rows.items():
            if mark.score is None:
                continue
            rows[index][target] = table.number(mark.score)
            if comments is not None and not rows[index][comments]:
                rows[index][comments] = _summary(mark)
        return table.text(range(len(table.header)), rows)

    def _id_column(self) -> str:
        return self._one_of(MOODLE_IDS)


def _index(table: Table, title: str) -> int:
    """The place of a column.

    Raises:
        ExportError: if there is none of that title, or several.
    """
    places = [i for i, found in enumerate(table.header) if found.strip() == title.strip()]
    if len(places) == 1:
        return places[0]
    count = "no column" if not places else f"{len(places)} columns"
    known = ", ".join(repr(found.strip()) for found in table.header)
    raise ExportError(f"{table.path} has {count} called {title!r}; there is {known}")


def _note_missing(students: Sequence[Mark], notes: list[str]) -> None:
    missing = [mark for mark in students if mark.score is None]
    if missing:
        notes.append(f"without a score, since nothing was handed in: {named(missing)}")


def _sortable(mark: Mark) -> str:
    """A name as Canvas sorts it."""
    return ", ".join(filter(None, (mark.last_name, mark.first_name))) or mark.student_id


def _summary(mark: Mark) -> str:
    """What a student has for each part, in one field; comments are the instructor's."""
    lines = []
    for part in mark.parts:
        score = "not graded" if part.score is None else number(part.score)
        comment = f" ({part.comment})" if part.comment else ""
        lines.append(f"{part.name} {score}/{number(part.max_score)}{comment}")
    if mark.penalty:
        lines.append(f"late -{number(mark.penalty)}")
    return safe_cell("; ".join(lines))
