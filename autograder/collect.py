"""Finds what each student handed in: an nbgrader folder or exchange, or an LMS download.

Nothing here trusts a name, a size or a link: links and special files are never opened, paths
never leave their student, and what unpacks to more than the limits is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from autograder import discover, handed_in
from autograder.downloads import Name, original, read_name
from autograder.handed_in import (
    TIMESTAMP,
    CollectError,
    Files,
    RefusedError,
    bad_id,
    check_totals,
    normal,
    printable,
)
from autograder.listing import NOT_OPENED, OPENED, Item, items, read_folder
from autograder.roster import Student, read_roster
from autograder.unpack import Archive, read_zip

__all__ = [
    "STRANGER",
    "TIMESTAMP",
    "CollectError",
    "Files",
    "RefusedError",
    "Student",
    "Submission",
    "bad_id",
    "collect",
    "printable",
    "read_folder",
    "read_roster",
    "read_submission",
]

STRANGER = "not on the roster"

Part = tuple[Item, Name]
Attempt = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Submission:
    """One student's submission, not yet read.

    Attributes:
        student_id: as the gradebook will know the student.
        read: returns the files, or raises `RefusedError`; None if nothing was handed in.
        problem: why it is not read at all; empty if it can be.
        note: what the student should know, though it costs nothing.
    """

    student_id: str
    read: Callable[[], Files] | None
    problem: str = ""
    note: str = ""


def collect(
    directory: Path, lab: str, roster: dict[str, Student] | None = None
) -> list[Submission]:
    """Return one submission per student, sorted by id; of the roster also who has none.

    Of several attempts of one student the latest counts.

    Args:
        directory: holds ``<student>/<lab>/<lab>.ipynb`` and what else the student submitted; or
            is an nbgrader exchange, a course in it or its ``inbound``; or an LMS download: zips
            or notebooks named after their student; or is one zip of any of that.
        lab: the lab's name.
        roster: who is enrolled.

    Raises:
        CollectError: if there is no such directory or zip.
    """
    try:
        found = items(directory, lab)
    except RefusedError as error:
        raise CollectError(f"{directory}: {error}") from None
    except OSError as error:
        raise CollectError(f"{directory} cannot be read: {error.strerror or error}") from None
    parts = [(item, name) for item in found if (name := _name(item, lab)) is not None]
    students = _by_student(parts, roster or {})
    everybody = {*students, *(roster or ())}
    submissions: dict[str, Submission] = {}
    for student_id, theirs in students.items():
        submission = _submission(student_id, theirs, lab, everybody)
        if roster is not None and student_id not in roster:
            note = "; ".join(filter(None, (submission.note, STRANGER)))
            submission = dataclasses.replace(submission, note=note)
        submissions[submission.student_id] = submission
    for student_id in roster or ():
        submissions.setdefault(student_id, Submission(student_id, None))
    return [submissions[student_id] for student_id in sorted(submissions)]


# -- whose it is ---------------------------------------------------------------------------------


def _name(item: Item, lab: str) -> Name | None:
    """What an item's name says; None for what is no submission of this lab."""
    name = read_name(item.name, lab, is_folder=item.is_folder)
    if name is None or name.platform or item.is_folder or item.problem:
        return name
    return name if item.name.lower().endswith(OPENED) else None


def _by_student(parts: list[Part], roster: Mapping[str, Student]) -> dict[str, list[Part]]:
    """Group what was found by student id, as the roster knows it or else as it is written."""
    known = _known(roster)
    numbers: dict[str, set[str]] = defaultdict(set)
    for _, name in parts:
        numbers[name.students[0]].add(name.number)
    students: dict[str, list[Part]] = defaultdict(list)
    for item, name in parts:
        student_id = _on_roster(name, roster, known, is_folder=item.is_folder)
        if student_id is None:
            student_id = name.students[0]
            if len(numbers[student_id]) > 1 and name.number:  # two people with one name
                student_id = f"{student_id}_{name.number}"
        students[student_id].append((item, name))
    return students


def _known(roster: Mapping[str, Student]) -> dict[str, set[str]]:
    """Student ids by the folded names and numbers that the roster gives them."""
    known: dict[str, set[str]] = defaultdict(set)
    for student_id, student in roster.items():
        names = (student_id, f"{student.first_name} {student.last_name}", *student.known_as)
        for name in (*names, f"{student.last_name} {student.first_name}"):
            known[_folded(name)].add(student_id)
    known.pop("", None)
    return known


def _folded(name: str) -> str:
    """A name as Canvas writes it: in lower case, letters and digits alone."""
    return "".join(char for char in normal(name).casefold() if char.isalnum())


def _on_roster(
    name: Name, roster: Mapping[str, Student], known: Mapping[str, set[str]], *, is_folder: bool
) -> str | None:
    """The one student of the roster who is meant; None if there is none, or more than one."""
    enrolled = [student for student in name.students if student in roster]
    if enrolled:
        return max(enrolled, key=len)
    for alias in (name.number, *name.students):
        ids = known.get(_folded(alias), set())
        if alias and len(ids) == 1:
            return next(iter(ids))
    if not name.platform and not is_folder:  # ada_homework2.zip
        whole = name.students[0]
        starts = [i for i in roster if whole.startswith(i) and not whole[len(i)].isalnum()]
        return max(starts, key=len, default=None)
    return None


# -- which attempt -------------------------------------------------------------------------------


def _submission(
    student_id: str, parts: list[Part], lab: str, everybody: Collection[str]
) -> Submission:
    """Make one submission of everything that was found of a student."""
    if problem := bad_id(student_id):
        return Submission(_shown_id(student_id), None, problem)
    notes = []
    others = {item.owner for item, name in parts if name.when} & {*everybody} - {student_id}
    if others:
        notes.append(f"a folder in this name belongs to {', '.join(sorted(others))}: left out")
        parts = [(item, name) for item, name in parts if item.owner not in others]
        if not parts:
            return Submission(student_id, None, notes[0])
    attempts: dict[Attempt, list[Part]] = defaultdict(list)
    for item, name in parts:
        attempts[name.attempt].append((item, name))
    chosen = sorted(attempts[max(attempts)], key=lambda part: (part[1].order, part[0].name))
    if len(attempts) > 1:
        times = "twice" if len(attempts) == 2 else f"{len(attempts)} times"
        notes.append(f"handed in {times}: {printable(chosen[-1][0].name)} counts")
    if any(name.late for _, name in chosen):
        notes.append("marked as late by the learning platform")
    problem = next((item.problem for item, _ in chosen if item.problem), "")
    chosen = [part for part in chosen if not part[1].entry] or chosen
    nothing = problem or _only_others(chosen, lab)
    return Submission(
        student_id, None if nothing else lambda: _read(chosen, lab), problem, "; ".join(notes)
    )


def _only_others(parts: list[Part], lab: str) -> bool:
    """Whether a student's folder holds folders of other labs of the course, and nothing else."""
    others = set(discover.lab_names()) - {lab}
    return bool(parts) and all(item.below and item.below <= others for item, _ in parts)


def _shown_id(name: str) -> str:
    """An id that cannot be used as a row names it: printable, and another for each."""
    shown = printable(name, 80)
    if shown == name:
        return shown
    return f"{shown} #{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:6]}"


# -- what it holds -------------------------------------------------------------------------------


def read_submission(folder: Path, lab: str) -> Files:
    """Return what one student handed in, whether it lies there unpacked or as one zip.

    Raises:
        RefusedError: if it is not opened, with the reason.
    """
    files = read_folder(folder)
    content, notes = _narrowed(files.content, lab)
    return Files(content, (*files.notes, *notes))


def _read(parts: list[Part], lab: str) -> Files:
    """Read one attempt: a folder, or files that a learning platform put side by side."""
    content: dict[str, bytes] = {}
    notes: list[str] = []
    for item, name in parts:
        try:
            files = item.read()
        except OSError as error:
            raise RefusedError(f"it cannot be read: {error.strerror or error}") from None
        notes += files.notes
        if item.is_folder:
            content |= files.content
            if name.when:  # a student writes what is in the folder, nbgrader its name
                content[TIMESTAMP] = name.when.encode()
            elif name.platform:
                content.pop(TIMESTAMP, None)
            continue
        for raw in files.content.values():
            file = name.file
            if original(file) in (f"{lab}.ipynb", f"{lab}-submission.zip"):
                file = original(file)  # of copies the latest
            content[file] = raw
    check_totals(len(content), sum(map(len, content.values())))
    content, more = _narrowed(content, lab)
    notes += more
    if not content and notes:
        raise RefusedError("; ".join(notes[:3]))
    return Files(content, tuple(notes))


def _narrowed(content: dict[str, bytes], lab: str) -> tuple[dict[str, bytes], list[str]]:
    """The lab's folder; or everything, with what is in zips beside or instead of a notebook."""
    if below := _below(content, lab):
        return below | {k: v for k, v in content.items() if k == TIMESTAMP and k not in below}, []
    zips = {name: raw for name, raw in content.items() if name.lower().endswith(".zip")}
    if not zips:
        return content, _not_opened(content)
    if not any(name.lower().endswith(".ipynb") for name in content):
        return _latest_zip(zips, content, lab)
    content, notes = dict(content), []
    for name, raw in zips.items():
        try:
            inner = read_zip(raw)
        except RefusedError:
            continue  # a file of the student's like any other
        beside = {k: v for k, v in inner.content.items() if not k.lower().endswith(".ipynb")}
        added = {k: v for k, v in (_below(beside, lab) or beside).items() if k not in content}
        if added:
            content |= added
            notes.append(f"{printable(name)}: its files were put beside the notebook")
    check_totals(len(content), sum(map(len, content.values())))
    return content, notes


def _latest_zip(
    zips: dict[str, bytes], content: dict[str, bytes], lab: str
) -> tuple[dict[str, bytes], list[str]]:
    """What the one zip holds that a student handed in; of several the one with the latest file."""
    notes = []
    name = next(iter(zips))
    if len(zips) > 1:
        ages = {}
        for each, raw in zips.items():
            try:
                ages[each] = Archive(raw, handed_in.MAX_FILES).newest()
            except RefusedError as error:
                notes.append(f"{printable(each)}: {error}")
        if not ages:
            raise RefusedError("; ".join(notes[:3]))
        name = max(ages, key=lambda each: (ages[each], each))
        notes.append(f"{len(zips)} zips were handed in: {printable(name)} counts")
    inner = read_zip(zips[name])
    beside = {k: v for k, v in content.items() if k not in zips}
    return beside | (_below(inner.content, lab) or inner.content), [*notes, *inner.notes]


def _not_opened(content: Mapping[str, bytes]) -> list[str]:
    return [
        f"{printable(name)}: only zips are opened"
        for name in content
        if name.lower().endswith(NOT_OPENED)
    ]


def _below(content: dict[str, bytes], lab: str) -> dict[str, bytes]:
    prefix = f"{lab}/"
    return {name[len(prefix) :]: raw for name, raw in content.items() if name.startswith(prefix)}
