"""Makes the sample class from a lab's own declaration; what each student deserves is known.

A mutant's points are computed here, in this trusted process, by the judge alone; what a mishap is
worth is written down below. Grading must come to the same by its own road.
"""

from __future__ import annotations

import ast
import copy
import csv
import dataclasses
import io
import json
import multiprocessing
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import safetensors.numpy
from nbformat import NotebookNode
from tqdm import tqdm

from autograder import discover, judging, referee
from autograder.course import Course
from autograder.discover import LoadedLab
from autograder.expected import Expected
from autograder.mutate import mutated_definition
from autograder.records import grade_cells
from autograder.results import ExerciseResult, Status
from autograder.sample_class.people import student
from autograder.sources import BEGIN, END, Definition, Source, renamed
from autograder.spec import Choice, Exercise, Numeric, Outcome, Parameters, Trace

Score = tuple[float, Status]
Scores = dict[str, Score]
Edit = Callable[[NotebookNode], None]

STUB_BODY = re.compile(r"^(?P<indent> *)raise NotImplementedError\(.*\)$", re.MULTILINE)
CRASHES = {
    "endless loop": ("while True:\n    pass", "timeout"),
    "os._exit": ("import os\nos._exit(0)", "killed"),
    "4 GB allocation": ("block = bytearray(4 << 30)\nreturn len(block)", "memory"),
}
LOOKED_AT = "\n# I found nothing to mend."
COLUMNS = ("student_id", "lab", "case", "exercise", "points", "max_points", "status", "mistake")


@dataclasses.dataclass(frozen=True)
class Case:
    """One student's submission and what it deserves.

    Attributes:
        name: what is the matter with it.
        files: what is handed in, by path below the student's folder of the lab.
        scores: right points and status by exercise.
        mistakes: the mutant that is to be recognised, by exercise.
    """

    name: str
    files: dict[str, bytes]
    scores: Scores
    mistakes: dict[str, str] = dataclasses.field(default_factory=dict)


def generate(labs: Sequence[LoadedLab], out: Path, course: Path) -> None:
    """Write submissions, roster.csv and expected.csv: a student per mutant and per mishap.

    Labs don't know of each other: there is a process for each core, and it makes one at a time.

    Args:
        labs: for each of them everybody hands something in.
        out: gets ``submissions/<student>/<lab>/``; what was there is replaced.
        course: the course directory, whose seed draws the hidden cases.
    """
    folder = out / "submissions"
    if folder.exists():
        shutil.rmtree(folder)
    house = Course(course)
    places = [lab.name for lab in labs], [lab.path.parent for lab in labs], repeat(course)
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(min(len(labs), os.cpu_count() or 1), spawn) as pool,
        tqdm(total=2 * len(labs), desc="building labs, then submissions", unit="lab") as progress,
    ):
        for _ in pool.map(_build, *places):
            progress.update()
        for lab in labs:
            house.assign(lab)  # one process writes the gradebook
        handed_in = []
        for rows in pool.map(_hand_in, *places, repeat(folder)):
            handed_in += rows
            progress.update()
    _write_csv(out / "expected.csv", COLUMNS, handed_in)
    most = len({student_id for student_id, *_ in handed_in})
    people = sorted(map(student, range(most)), key=lambda person: person.student_id)
    roster = [dataclasses.astuple(person) for person in people]
    _write_csv(out / "roster.csv", ("student_id", "first_name", "last_name", "email"), roster)


def _build(name: str, root: Path, course: Path) -> None:
    """Build a lab into the course."""
    Course(course).source(discover.load(name, root))


def _hand_in(name: str, root: Path, course: Path, folder: Path) -> list[tuple[Any, ...]]:
    """Write everybody's submission of a lab that is assigned; return its rows of expected.csv."""
    lab = discover.load(name, root)
    points = {item.name: item.points for item in lab.items}
    rows: list[tuple[Any, ...]] = []
    for number, case in enumerate(_cases(lab, Course(course))):
        student_id = student(number).student_id
        target = folder / student_id / lab.name
        target.mkdir(parents=True)
        for path, raw in case.files.items():
            (target / path).write_bytes(raw)
        for exercise, (earned, status) in case.scores.items():
            mistake = case.mistakes.get(exercise, "")
            start = (student_id, lab.name, case.name, exercise)
            rows.append((*start, earned, points[exercise], status, mistake))
    return rows


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def cases(lab: LoadedLab, course: Course) -> Iterator[Case]:
    """Yield every student of a lab's sample class; the lab is assigned first."""
    course.assign(lab)
    yield from _cases(lab, course)


def _cases(lab: LoadedLab, course: Course) -> Iterator[Case]:
    answers = _Answers(lab, course)
    yield answers.as_handed_out("perfect")
    yield from _styles(answers)
    yield from _mutants(answers, referee.expected_of(lab, course.seed))
    yield from _wrong_predictions(answers)
    yield from _wrong_artifacts(answers)
    yield from _mishaps(answers)


class _Answers:
    """The right notebook of a lab, its stubs, and the files that belong to it."""

    def __init__(self, lab: LoadedLab, course: Course) -> None:
        self.lab = lab
        self.release = course.release(lab.name)
        self.right = {
            cell.metadata.nbgrader.grade_id: _without_marks(cell.source)
            for cell in course.source(lab).cells
            if cell.metadata.get("nbgrader", {}).get("solution", False)
        }
        self.full: Scores = {item.name: (item.points, "ok") for item in lab.items}
        self.artifacts = {
            item.artifact: _safetensors(item.reference(**item.case))
            for item in lab.items
            if isinstance(item, Outcome) and item.artifact is not None
        }

    def nothing(self, status: Status) -> Scores:
        return dict.fromkeys(self.full, (0.0, status))

    def stub(self, name: str) -> str:
        return str(next(c.source for c in self.release.cells if _grade_id(c) == name))

    def perfect(self, case: str) -> Case:
        return self.with_sources(case, {}, {})

    def as_handed_out(self, case: str) -> Case:
        """The right notebook with every cell that the student got, examples included."""
        return Case(case, self.files(_filled(self.release, self.right)), dict(self.full))

    def with_sources(self, case: str, sources: dict[str, str], scores: Scores) -> Case:
        """The right notebook with other sources for some cells, and what they change."""
        notebook = self.notebook(self.right | sources)
        return Case(case, self.files(notebook), self.full | scores)

    def edited(self, case: str, edit: Edit, scores: Scores | None = None) -> Case:
        """The right notebook after an edit of its cells."""
        notebook = self.notebook(self.right)
        edit(notebook)
        return Case(case, self.files(notebook), self.full | (scores or {}))

    def notebook(self, sources: dict[str, str]) -> NotebookNode:
        """The release with these sources, without the examples, which take time and no points."""
        notebook = _filled(self.release, sources)
        notebook.cells = [
            cell for cell in notebook.cells if _grade_id(cell) or cell.cell_type != "code"
        ]
        return notebook

    def files(self, notebook: NotebookNode) -> dict[str, bytes]:
        text = nbformat.writes(notebook)  # type: ignore[no-untyped-call]
        return {f"{self.lab.name}.ipynb": text.encode()} | self.artifacts

    @property
    def functions(self) -> list[Exercise]:
        """Exercises that a student writes as a function from a stub, in the notebook's order."""
        order = [cell.exercise for cell in grade_cells(self.release)]
        plain = [
            item
            for item in self.lab.exercises
            if item.clinic is None
            and not isinstance(item.probe, Trace)
            and STUB_BODY.search(self.stub(item.name))
        ]
        return sorted(plain, key=lambda item: order.index(item.name))

    def with_body(self, name: str, body: str) -> str:
        """The stub of a function with ``body`` in it."""

        def indented(match: re.Match[str]) -> str:
            return "\n".join(match["indent"] + line for line in body.splitlines())

        return STUB_BODY.sub(indented, self.stub(name))


def _filled(release: NotebookNode, sources: dict[str, str]) -> NotebookNode:
    notebook = copy.deepcopy(release)
    for cell in notebook.cells:
        cell.source = sources.get(_grade_id(cell), cell.source)
    return notebook


def _grade_id(cell: NotebookNode) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def _without_marks(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if line.strip() not in (BEGIN, END))


def _safetensors(parameters: Parameters) -> bytes:
    arrays = {name: np.ascontiguousarray(value) for name, value in parameters.items()}
    return bytes(safetensors.numpy.save(arrays))


# -- right answers in another style --------------------------------------------------------------


def _styles(answers: _Answers) -> Iterator[Case]:
    path = answers.lab.path / "variants.py"
    if not path.is_file():
        return
    definitions = Source(path).definitions
    for index in range(max((len(item.variants) for item in answers.lab.exercises), default=0)):
        sources = {}
        for item in answers.lab.exercises:
            if item.variants:
                variant = item.variants[min(index, len(item.variants) - 1)].__name__
                sources[item.name] = as_cell(definitions[variant], item.name)
        yield answers.with_sources(f"another style {index + 1}", sources, {})


def as_cell(definition: Definition, name: str) -> str:
    """A variant as a student would write it: under the exercise's name, its imports on top.

    Importing torch takes longer than some calls may.
    """
    nodes = [n for n in ast.walk(definition.node) if isinstance(n, ast.Import | ast.ImportFrom)]
    imports = dict.fromkeys(["from typing import Any", *map(ast.unparse, nodes)])
    return "\n".join(imports) + "\n\n\n" + renamed(definition.text, definition.name, name)


# -- wrong answers -------------------------------------------------------------------------------


def _mutants(answers: _Answers, expected: Expected) -> Iterator[Case]:
    for item in answers.lab.exercises:
        definition = answers.lab.source.definitions[item.name]
        for mutant in item.mutants:
            result = judged_mutant(item, expected, mutant.name)
            source = mutated_definition(definition, mutant.old, mutant.new)
            if mutant.name == item.clinic:  # as handed out it counts as not tried
                source += LOOKED_AT
            case = answers.with_sources(
                f"mutant {mutant.name} of {item.name}",
                {item.name: source},
                {item.name: (result.points, result.status)},
            )
            yield dataclasses.replace(case, mistakes={item.name: mutant.name})


def judged_mutant(item: Exercise, expected: Expected, mutant: str) -> ExerciseResult:
    """Return what a mutant deserves; after a case that hangs, none of the others is run."""
    seen: dict[str, list[Any]] = {}
    for group, shown in zip(expected.groups(item), expected.mutant(item, mutant), strict=True):
        hangs = next((i for i, got in enumerate(shown) if got.timed_out), None)
        seen[group.group.name] = list(shown if hangs is None else shown[: hangs + 1])
        if hangs is not None:
            break
    return judging.judge_exercise(item, expected, seen, summarized=True)


def _wrong_predictions(answers: _Answers) -> Iterator[Case]:
    """One student who makes the first mistake of every prediction and choice."""
    sources: dict[str, str] = {}
    mistakes: dict[str, str] = {}
    for item in answers.lab.items:
        if isinstance(item, Numeric) and item.mistakes:
            value = item.mistakes[0].value
            sources[item.name], mistakes[item.name] = f"{item.name} = {value!r}", f"{value:g}"
        elif isinstance(item, Choice):
            letter = min(item.why)
            sources[item.name], mistakes[item.name] = f"{item.name} = {letter!r}", letter
    if sources:
        wrong: Scores = dict.fromkeys(sources, (0.0, "wrong"))
        case = answers.with_sources("wrong predictions", sources, wrong)
        yield dataclasses.replace(case, mistakes=mistakes)


def _wrong_artifacts(answers: _Answers) -> Iterator[Case]:
    for item in answers.lab.items:
        if isinstance(item, Outcome) and item.artifact is not None:
            for wrong in item.wrong:
                made = wrong.make()
                result = judging.judge_outcome(item, made)
                case = answers.perfect(f"wrong outcome {wrong.name} of {item.name}")
                case.files[item.artifact] = _safetensors(made)
                case.scores[item.name] = result.points, result.status
                yield case
            missing = answers.perfect(f"no file for {item.name}")
            del missing.files[item.artifact]
            missing.scores[item.name] = 0.0, "missing"
            yield missing


# -- mishaps -------------------------------------------------------------------------------------


def _mishaps(answers: _Answers) -> Iterator[Case]:
    first, second, third = (item.name for item in answers.functions[:3])
    lab = f"{answers.lab.name}.ipynb"
    untouched = Case("empty stub", answers.files(answers.release), answers.nothing("missing"))
    for artifact in answers.artifacts:
        del untouched.files[artifact]
    yield untouched
    syntax = answers.right[first].replace(":", "", 1)
    yield answers.with_sources("syntax error", {first: syntax}, {first: (0.0, "error")})
    for name, (body, status) in CRASHES.items():
        yield answers.with_sources(
            name,
            {first: answers.with_body(first, body)},
            {first: (0.0, status)},  # type: ignore[dict-item]
        )
    yield answers.edited("deleted test cell", _delete(f"test-{first}"))
    yield answers.edited(
        "deleted solution and test cell",
        _delete(first, f"test-{first}"),
        {first: (0.0, "missing")},
    )
    yield answers.edited("duplicated cell", _duplicate(first))
    perfect = answers.perfect("")
    whole = perfect.files[lab]
    for name, raw in (("truncated JSON", whole[: len(whole) * 2 // 3]), ("empty file", b"")):
        yield Case(name, perfect.files | {lab: raw}, answers.nothing("malformed"))
    renamed_files = {name: raw for name, raw in perfect.files.items() if name != lab}
    renamed_files["my solution (final).ipynb"] = whole
    yield Case("wrong notebook name", renamed_files, dict(answers.full))
    yield Case("nothing submitted", {}, answers.nothing("missing"))
    some = {first: answers.right[first], second: answers.right[second]}
    some[third] = answers.with_body(third, "raise IndexError('out of range')")
    partly = Case(
        "two right and one crashing",
        {lab: answers.files(answers.notebook(some))[lab]},
        answers.nothing("missing")
        | {first: answers.full[first], second: answers.full[second], third: (0.0, "error")},
    )
    yield partly


def _delete(*grade_ids: str) -> Edit:
    def edit(notebook: NotebookNode) -> None:
        notebook.cells = [cell for cell in notebook.cells if _grade_id(cell) not in grade_ids]

    return edit


def _duplicate(grade_id: str) -> Edit:
    def edit(notebook: NotebookNode) -> None:
        index = next(i for i, cell in enumerate(notebook.cells) if _grade_id(cell) == grade_id)
        notebook.cells.insert(index + 1, json.loads(json.dumps(notebook.cells[index])))
        notebook.cells[index + 1] = nbformat.from_dict(notebook.cells[index + 1])  # type: ignore[no-untyped-call]
        notebook.cells[index + 1].id = "pasted"

    return edit
