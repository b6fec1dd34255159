"""What several students handed in alike: rows for the class report, and a page of pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from autograder import kept, pages
from autograder.records import Record
from autograder.similarity import MAX_EXPECTED, WORDING, Class, Comparison, Pair, Span

if TYPE_CHECKING:
    from autograder.course import Course

PAGE = "similarity.html"
MOST_PAIRS = 50
MOST_PARTS = 12  # of a pair are shown side by side
MOST_SAID = 30  # names and comments that a pair shares
MOST_SHOWN = 6_000  # characters of one answer
NO_COURSE = "The course directory was not read, so what students handed in was not compared."


@dataclasses.dataclass(frozen=True)
class Alike:
    """What comparing came to.

    Attributes:
        same: identical notebooks, files and long answers.
        comparison: None if nothing could be compared.
        reason: why something is left out; empty if nothing is.
        page: what to write beside the report; empty if there is no pair to show.
    """

    same: tuple[kept.Same, ...] = ()
    comparison: Comparison | None = None
    reason: str = ""
    page: str = ""

    @property
    def shown(self) -> list[Pair]:
        """The pairs on the page, the least likely first."""
        return self.comparison.telling[:MOST_PAIRS] if self.comparison else []


def of_class(course: Course | None, lab: str, records: Sequence[Record]) -> Alike:
    """Compare what the course keeps of the students whose notebook could be run."""
    from autograder.course import CourseError
    from autograder.staging import PREPARED

    if course is None:
        return Alike(reason=NO_COURSE)
    ran = sorted(record.student_id for record in records if record.status == "ok")
    try:
        release = course.release(lab)
    except CourseError as error:
        return Alike(reason=f"{error}; similarity is left out")
    found = kept.read(course.root / PREPARED, release, lab, ran)
    reasons = []
    if found.absent:
        everybody = len(found.absent) == len(ran)
        who = "all" if everybody else f"{len(found.absent)} of {len(ran)}"
        reasons.append(
            f"Of {who} students the submitted notebook is no longer in {course.root / PREPARED}: "
            "their code was not compared."
        )
        if everybody:
            return Alike(reason=reasons[0])
    mistakes = {
        record.student_id: [
            f"{item.name}: {item.mistake or item.message}"
            for item in record.exercises
            if item.status == "wrong" and (item.mistake or item.message)
        ]
        for record in records
    }
    code = Class(found.answers, found.stubs, found.provided, mistakes, found.prose)
    comparison = code.compare()
    if comparison.reason:
        reasons.append(f"Code was not compared: {comparison.reason}.")
    alike = Alike(found.same, comparison, " ".join(reasons))
    if not alike.shown:
        return alike
    return dataclasses.replace(alike, page=_page(lab, alike, code))


def _page(lab: str, alike: Alike, code: Class) -> str:
    comparison = alike.comparison
    assert comparison is not None
    shown = alike.shown
    return pages.render(
        "similarity.html",
        title=f"Similar submissions: {lab}",
        students=comparison.students,
        most=MOST_PAIRS,
        limit=f"{MAX_EXPECTED:g}",
        pairs=[_pair(number, pair, code) for number, pair in enumerate(shown, 1)],
        more=len(comparison.pairs) - len(shown),
    )


def _pair(number: int, pair: Pair, code: Class) -> dict[str, object]:
    told = [part for part in pair.parts if part.share > 0]
    sides = [part for part in told if part.name != WORDING][:MOST_PARTS]
    said = code.said(pair.first, pair.second)
    return {
        "number": number,
        "first": pair.first,
        "second": pair.second,
        "expected": rarity(pair),
        "parts": told,
        "said": [word[:120] for word in said[:MOST_SAID]],
        "unsaid": len(said[MOST_SAID:]),
        "sides": [
            {
                "name": part.name,
                "texts": [
                    marked(text, spans) for text, spans in code.marked(part.name, *_names(pair))
                ],
            }
            for part in sides
        ],
    }


def _names(pair: Pair) -> tuple[str, str]:
    return pair.first, pair.second


def rarity(pair: Pair) -> str:
    """Say how rare such a pair is among students who work alone."""
    if pair.expected < 1e-9:
        return "less than once in a billion classes"
    classes = round(1 / pair.expected)
    digits = len(str(classes)) - 2
    return f"once in {classes if digits <= 0 else round(classes, -digits):,} classes"


def marked(text: str, spans: Sequence[Span]) -> Markup:
    """Return code as HTML in which ``spans`` are marked, and what cannot be seen is shown."""
    parts, done = [], 0
    for start, end in [(max(start, 0), end) for start, end in spans]:
        if start >= MOST_SHOWN:
            break
        parts.append(escape(_seen(text[done:start])))
        parts.append(Markup("<mark>{}</mark>").format(_seen(text[max(done, start) : end])))
        done = max(done, end)
    parts.append(escape(_seen(text[done : max(done, MOST_SHOWN)])))
    if len(text) > max(done, MOST_SHOWN):
        parts.append(escape("\n…"))
    return Markup("").join(parts)


def _seen(text: str) -> str:
    """Tabs as spaces; control characters, and those that turn text around, as their numbers."""
    return "".join(
        c if c.isprintable() or c == "\n" else f"⟨U+{ord(c):04X}⟩" for c in text.expandtabs(4)
    )
