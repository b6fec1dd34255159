"""What the names in a download of submissions say: whose work it is, and which attempt.

The patterns are those of the programs that make the names: nbgrader's exchange, Canvas
(``doejane_LATE_12345_67890_lab.ipynb``: name, the student's number, the file's), Moodle
(``Jane Doe_12345_assignsubmission_file_``, a folder or the start of a file's name) and Blackboard
(``Lab 2_jdoe_attempt_2026-03-01-12-30-00_lab.ipynb``). A platform writes the front of a name and
the student the rest, so that each pattern is matched as far to the left as it can be.
"""

from __future__ import annotations

import dataclasses
import datetime
import re

from autograder.handed_in import normal

EXCHANGE = re.compile(
    r"(?P<name>.+)\+(?P<lab>[^+]+)\+"
    r"(?P<when>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?(?: [^+ ]+| \+\d+)?)(?:\+[\w=-]+)?"
)
CANVAS = re.compile(
    r"(?P<name>.+?)(?P<late>_LATE)?_(?P<number>\d+)_(?:(?P<order>\d+)(?:_(?P<file>.+)|\.\w+)"
    r"|(?P<entry>(?:text|link)\.html))",
    re.IGNORECASE,
)
CANVAS_ANONYMOUS = re.compile(
    r"(?P<late>LATE_)?(?P<name>anon_[0-9a-z]+)_(?P<order>\d+)_(?P<file>.+)", re.IGNORECASE
)
MOODLE = re.compile(
    r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_(?P<kind>[a-z]+)_?(?P<file>.*)"
)
BLACKBOARD = re.compile(
    r"(?P<front>.+?)_attempt_(?P<when>\d{4}(?:-\d\d){5})(?:_(?P<file>.+)|\.txt)"
)
MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[ T](?P<time>\d\d:\d\d(?::\d\d)?)(?:\.(?P<fraction>\d{1,6}))?"
    r"(?: ?Z| ?(?P<sign>[+-])(?P<hours>[01]\d|2[0-3]):?(?P<minutes>[0-5]\d)?"
    r"| (?P<zone>[A-Za-z][A-Za-z_/]{0,39}))?",
    re.ASCII,
)
COPY = re.compile(r"(?:-(\d+)| ?\((\d+)\))?$")  # a platform or a browser counts copies


@dataclasses.dataclass(frozen=True)
class Name:
    """What the name of a folder or file in a download says.

    Attributes:
        students: whose it is; where the name leaves that open the likeliest comes first.
        attempt: parts of one attempt share it; a later attempt's is larger.
        file: what the student called the file; empty for a folder.
        number: the platform's own number of the student.
        order: a later file's is larger.
        when: an attempt's moment as nbgrader's exchange wrote it.
        late: Canvas says that it came late.
        platform: a learning platform or the exchange gave the name.
        entry: text that the platform adds, no file of the student's.
    """

    students: tuple[str, ...]
    attempt: tuple[str | int, ...] = ()
    file: str = ""
    number: str = ""
    order: int = 0
    when: str = ""
    late: bool = False
    platform: bool = False
    entry: bool = False


def read_name(name: str, lab: str, *, is_folder: bool) -> Name | None:
    """Return what ``name`` says, or None if it is in an exchange and of another assignment."""
    if is_folder and (found := EXCHANGE.fullmatch(name)):
        if found["lab"] != lab:
            return None
        when = found["when"]
        attempt = ((moment(when) or datetime.datetime.min).isoformat("T", "microseconds"), name)
        return Name((normal(found["name"]),), attempt, when=when, platform=True)
    named = _of_platform(name)
    if named is not None and (not is_folder or not named.file or lab in named.file):
        return dataclasses.replace(named, file="") if is_folder else named
    return _plain(name, lab, is_folder=is_folder)


def moment(text: str) -> datetime.datetime | None:
    """Return the moment of a timestamp in UTC without a zone, as nbgrader has it; None for others.

    nbgrader's own `parse_utc` takes ``+0100`` for a hundred seconds, and completes what is vague
    with today's date.
    """
    from dateutil.tz import gettz  # type: ignore[import-untyped]

    found = MOMENT.fullmatch(text)
    if found is None:
        return None
    zone: datetime.tzinfo | None = datetime.UTC
    if found["sign"]:
        offset = datetime.timedelta(hours=int(found["hours"]), minutes=int(found["minutes"] or 0))
        zone = datetime.timezone(offset if found["sign"] == "+" else -offset)
    elif found["zone"]:
        zone = gettz(found["zone"])
    if zone is None:
        return None
    try:
        local = datetime.datetime.fromisoformat(f"{found['day']} {found['time']}")
        fraction = datetime.timedelta(microseconds=int((found["fraction"] or "").ljust(6, "0")))
        utc = (local + fraction).replace(tzinfo=zone).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None
    return utc.replace(tzinfo=None)


def original(file: str) -> str:
    """Return a file's name without the number that a platform or a browser gives to copies."""
    stem, dot, suffix = file.rpartition(".")
    return COPY.sub("", stem) + dot + suffix if dot else COPY.sub("", file)


def _of_platform(name: str) -> Name | None:
    if found := MOODLE.fullmatch(name):
        return Name(
            (normal(found["name"]),),
            file=found["file"],
            number=found["number"],
            platform=True,
            entry=found["kind"] != "file",
        )
    if found := BLACKBOARD.fullmatch(name):
        parts = found["front"].split("_")  # the assignment's name, then the student's
        students = tuple(normal("_".join(parts[i:])) for i in reversed(range(len(parts))))
        file = found["file"] or ""
        return Name(students, (found["when"],), file or name, platform=True, entry=not file)
    if found := CANVAS_ANONYMOUS.fullmatch(name) or CANVAS.fullmatch(name):
        groups = found.groupdict()
        file, entry = groups["file"] or "", groups.get("entry") or ""
        return Name(
            _fronts(name, found),
            file=file or entry or name,
            number=groups.get("number") or "",
            order=int(groups["order"] or 0),
            late=bool(groups["late"]),
            platform=True,
            entry=bool(entry),
        )
    return None


def _fronts(name: str, found: re.Match[str]) -> tuple[str, ...]:
    """Canvas's name of a student, and longer ones should the name itself hold numbers."""
    longer = [normal(name[: m.start()]) for m in re.finditer(r"(?=_\d+_\d+[_.])", name)]
    return tuple(dict.fromkeys((normal(found["name"]), *longer)))


def _plain(name: str, lab: str, *, is_folder: bool) -> Name:
    """A name that a person or `labkit.submit` gave: the student's id, perhaps with the lab's."""
    stem = name if is_folder else name.rpartition(".")[0] or name
    handed_in = re.compile(rf"[_\-. ]+{re.escape(lab)}([_-]submission)?([_\- ]*\(?(\d+)\)?)?$")
    found = handed_in.search(stem)
    copy = int(found[3] or 0) if found else 0
    student = stem[: found.start()] if found and found.start() else stem
    suffix = name.lower().rpartition(".")[2]
    kind = 3 if is_folder else ("ipynb", "zip").index(suffix) if suffix in ("ipynb", "zip") else 0
    return Name((normal(student),), (copy, kind), "" if is_folder else name)
