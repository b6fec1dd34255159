"""Holds every lab, and the toy lab of the tests, to the same contract."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
import torch._dynamo  # torch itself does it when first needed: not within a call's time limit
from nbclient import NotebookClient
from safetensors.numpy import load_file

from autograder import build, discover, leaks, validate
from autograder.errors import LabError
from autograder.expected import Expected, ExpectedGroup
from autograder.judging import judge_choice, judge_exercise, judge_numeric, judge_outcome
from autograder.notebooks import prelude_code
from autograder.results import ExerciseResult
from autograder.sample_class.generate import as_cell
from autograder.sources import Source
from autograder.spec import Choice, Exercise, Item, Numeric, Outcome
from labkit.compare import compare, summarize
from labkit.probes import Mutates, Observation, Raises, Samples, observe

pytestmark = pytest.mark.long(3)

TOY = Path(__file__).parent / "toy" / "solutions"
SEEDS = range(20)
NOISE = np.random.default_rng(0)
LABS = [(name, root) for root in (discover.SOLUTIONS, TOY) for name in discover.lab_names(root)]
every_lab = pytest.mark.parametrize(("name", "root"), LABS, ids=[name for name, _ in LABS])
ASSERT_READY = """from labkit.session import current

not_ready = [name for name in current().names if not current().ready.get(name)]
assert not not_ready, not_ready"""


@lru_cache
def load(name: str, root: Path) -> discover.LoadedLab:
    return discover.load(name, root)


@lru_cache
def built(name: str, root: Path) -> build.Built:
    url = build.course_labs_url() if root == discover.SOLUTIONS else ""
    return build.build_lab(load(name, root), labs_url=url)


@lru_cache
def executed(name: str, root: Path) -> dict[str, dict[str, Any]]:
    """Run the instructor's notebook once; return the parameters that it trains, by file."""
    files = built(name, root)
    notebook = nbformat.reads(files.source.decode(), as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(ASSERT_READY, id="assert-ready"))
    kept = {key: value for key, value in os.environ.items() if key != "NBGRADER_EXECUTION"}
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        for file, data in files.student.items():
            (folder / file).write_bytes(data)
        client = NotebookClient(
            notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": text}}
        )
        client.execute(env=kept | {"OMP_NUM_THREADS": "1", "LABKIT_PROFILE": "cpu"})
        return {path.name: load_file(path) for path in folder.glob("*.safetensors")}


def every(kind: type[Item]) -> pytest.MarkDecorator:
    """Run a test on every item of a kind in every lab."""
    found = []
    for name, root in LABS:
        try:
            items = load(name, root).items
        except LabError:
            continue  # test_is_well_formed says why
        found += [
            pytest.param(load(name, root), item, id=f"{name}-{item.name}")
            for item in items
            if isinstance(item, kind)
        ]
    return pytest.mark.parametrize(("lab", "item"), found)


@lru_cache
def expecteds(lab: discover.LoadedLab) -> list[Expected]:
    """Hidden cases from 20 course seeds; the public ones are the same in every course."""
    first = Expected(lab, SEEDS[0])
    return [first, *(Expected(lab, seed, like=first) for seed in SEEDS[1:])]


class Candidate:
    """An answer, run once on every group of cases that it meets."""

    def __init__(self, item: Exercise, function: Callable[..., Any]) -> None:
        self.item, self.function = item, function
        self.seen: dict[int, tuple[ExpectedGroup, list[Observation]]] = {}

    def judged(self, expected: Expected) -> ExerciseResult:
        groups = expected.groups(self.item)
        seen = {group.group.name: self.on(group) for group in groups}
        return judge_exercise(self.item, expected, seen)

    def on(self, group: ExpectedGroup) -> list[Observation]:
        if id(group) not in self.seen:
            seconds = self.item.time_limit
            observed = [
                observe(self.function, group.probe, case, seconds=seconds) for case in group.cases
            ]
            self.seen[id(group)] = group, observed
        return self.seen[id(group)][1]

    def fails(self, expected: Expected) -> bool:
        """Whether a case is answered wrongly; what comes after the first such group is not run."""
        public_first = sorted(expected.groups(self.item), key=lambda each: not each.group.public)
        return any(
            compare(summarize(group.probe, got), right, self.item.tolerance) is not None
            for group in public_first
            for got, right in zip(self.on(group), group.right, strict=True)
        )


@every_lab
def test_is_well_formed(name: str, root: Path) -> None:
    validate.validate(discover.load(name, root))


@pytest.mark.parametrize("name", discover.lab_names(TOY))
def test_builds_the_same_bytes_again(name: str) -> None:
    assert build.build_lab(discover.load(name, TOY)).student == built(name, TOY).student


@pytest.mark.parametrize("name", discover.lab_names())
def test_generated_files_are_up_to_date(name: str) -> None:
    """Another process built them, so this says as well that building gives the same again."""
    assert build.differences(built(name, discover.SOLUTIONS), discover.LABS) == []


@every_lab
def test_no_line_of_an_answer_reaches_students(name: str, root: Path) -> None:
    lab = load(name, root)
    files = {Path(file): data for file, data in built(name, root).student.items()}
    if root == discover.SOLUTIONS:
        paths = [*(discover.LABS / name).iterdir(), *(discover.LABS / "labkit").rglob("*.py")]
        files |= {path: path.read_bytes() for path in paths if path.is_file()}
    leaks.check_leaks(lab, files)
    answers = [item for item in lab.items if isinstance(item, Exercise)]
    assert all(leaks.secret_lines(lab, item) for item in answers), "nothing was looked for"


@every_lab
def test_instructor_notebook_executes(name: str, root: Path) -> None:
    artifacts = executed(name, root)
    for item in load(name, root).items:
        if isinstance(item, Outcome) and item.artifact is not None:
            assert judge_outcome(item, artifacts[item.artifact]).status == "ok", item.name


@every(Exercise)
def test_reference_passes(lab: discover.LoadedLab, item: Exercise) -> None:
    for expected in expecteds(lab)[:2]:  # what is right was observed of it: only chance can differ
        result = Candidate(item, item.reference).judged(expected)
        assert (result.status, result.points) == ("ok", item.points), result


@every(Exercise)
def test_variants_pass(lab: discover.LoadedLab, item: Exercise) -> None:
    assert item.variants, "no answer in another style shows that the cases are fair"
    for variant in item.variants:
        candidate = Candidate(item, variant)
        for expected in expecteds(lab):
            result = candidate.judged(expected)
            assert result.status == "ok", (variant.__name__, result)


@every(Exercise)
def test_answers_stand_alone_in_the_notebook(lab: discover.LoadedLab, item: Exercise) -> None:
    """As the sample class pastes them, with what the notebook itself brings and no more."""
    definitions = lab.source.definitions
    provided = [name for cell in lab.labfile.of_kind("provided") for name in cell.names]
    brought = [prelude_code(lab), *(definitions[name].text for name in provided)]
    texts = [definitions[item.name].text]
    for variant in item.variants:
        source = Source(Path(inspect.getfile(variant)))
        texts.append(as_cell(source.definitions[variant.__name__], item.name))
    for text in texts:
        namespace: dict[str, Any] = {}
        code = "\n\n".join([*brought, text])
        exec(compile(code, "<notebook>", "exec", dont_inherit=True), namespace)
        result = Candidate(item, namespace[item.name]).judged(expecteds(lab)[0])
        assert result.status == "ok", (text, result)


@every(Exercise)
def test_stub_earns_nothing(lab: discover.LoadedLab, item: Exercise) -> None:
    def stub(*_: Any, **__: Any) -> None:
        raise NotImplementedError("Write your code in place of this line.")

    result = Candidate(item, stub).judged(expecteds(lab)[0])
    assert (result.status, result.points, result.hint) == ("missing", 0.0, "")


@every(Exercise)
def test_every_mutant_fails_and_gets_its_own_hint(lab: discover.LoadedLab, item: Exercise) -> None:
    assert item.mutants, "no mutant shows that the cases can tell right from wrong"
    expected = expecteds(lab)[0]
    for mutant in item.mutants:
        shown = expected.mutant(item, mutant.name)
        names = [group.group.name for group in expected.groups(item)]
        seen = dict(zip(names, shown, strict=True))
        result = judge_exercise(item, expected, seen, summarized=True)
        assert result.status != "ok", mutant.name
        assert result.mistake == mutant.name, f"{mutant.name} is taken for {result.mistake}"
        assert result.hint == mutant.hint


@every(Exercise)
def test_every_mutant_is_told_apart_in_every_course(
    lab: discover.LoadedLab, item: Exercise
) -> None:
    """What some groups show, more groups can't undo: they are run until nothing is left open."""
    for expected in expecteds(lab)[1:]:
        cheap_first = sorted(expected.groups(item), key=lambda g: isinstance(g.probe, Samples))
        for mutant in item.mutants:
            seen: dict[str, tuple[Observation, ...]] = {}
            is_wrong, taken_for = False, ""
            for group in cheap_first:
                shown = expected.mutant_on(item, mutant.name, group)
                seen[group.group.name] = shown
                is_wrong |= differ(shown, group, item)
                taken_for = judge_exercise(item, expected, seen, summarized=True).mistake
                if is_wrong and taken_for == mutant.name:
                    break
            assert is_wrong, mutant.name
            assert taken_for == mutant.name, f"{mutant.name} is taken for {taken_for}"


def differ(shown: Sequence[Observation], group: ExpectedGroup, item: Exercise) -> bool:
    """Whether an answer that shows this on a group's cases is wrong on one of them."""
    pairs = zip(shown, group.right, strict=True)
    return any(compare(got, right, item.tolerance) is not None for got, right in pairs)


@every(Exercise)
def test_every_group_catches_a_mistake(lab: discover.LoadedLab, item: Exercise) -> None:
    expected = expecteds(lab)[0]
    for group in expected.groups(item):
        shown = [expected.mutant_on(item, mutant.name, group) for mutant in item.mutants]
        caught = any(differ(each, group, item) for each in shown)
        assert caught, f"group {group.group.name!r} lets every mutant pass"


def zeros(value: Any) -> Any:
    """The same structure, every number zero."""
    return mapped(value, lambda x: x * 0)


def transposed(value: Any) -> Any:
    return mapped(value, lambda x: x.T if getattr(x, "ndim", 0) == 2 else x)


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {key: mapped(part, change) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(mapped(part, change) for part in value)
    if isinstance(value, slice):
        return slice(*(mapped(x, change) for x in (value.start, value.stop, value.step)))
    if isinstance(value, np.ndarray | np.generic | torch.Tensor | int | float):
        return type(value)(change(value)) if isinstance(value, bool) else change(value)
    return value


def echo(*_: Any, **arguments: Any) -> Any:
    """Return the first argument that is data, and change nothing."""
    return next((v for v in arguments.values() if isinstance(v, np.ndarray | torch.Tensor)), 0)


def nothing(*_: Any, **__: Any) -> None:
    pass


def noise(*_: Any, **arguments: Any) -> float:
    """Return a large random number, and fill every array with such numbers."""
    for value in arguments.values():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            value[...] = NOISE.normal(scale=1e6, size=value.shape)
    return float(NOISE.normal(scale=1e6))


def changed_answers(expected: Expected, item: Exercise) -> Iterator[tuple[str, ExerciseResult]]:
    groups = expected.groups(item)
    reals = [g for g in groups if not isinstance(g.probe, Samples | Mutates | Raises)]
    changes: dict[str, Callable[[Any], Any]] = {"zeros": zeros}
    if any(transposed_differs(right.value) for g in reals for right in g.right):
        changes["transposed"] = transposed
    if reals and sum(len(g.right) for g in reals) > 1:
        first = reals[0].right[0].value
        changes["constant"] = lambda value: first
    if reals:  # of the other groups, what is right: these alone have to tell
        for name, change in changes.items():
            seen = {
                g.group.name: [
                    Observation(change(right.value)) if g in reals else right for right in g.right
                ]
                for g in groups
            }
            yield name, judge_exercise(item, expected, seen, summarized=True)


def transposed_differs(value: Any) -> bool:
    found = []
    mapped(value, lambda x: found.append(getattr(x, "ndim", 0) == 2) or x)
    return any(found)


@every(Exercise)
def test_trivial_candidates_fail(lab: discover.LoadedLab, item: Exercise) -> None:
    for expected in expecteds(lab):
        for name, result in changed_answers(expected, item):
            assert result.status != "ok", name
    for function in () if isinstance(item.reference, type) else (echo, nothing, noise):
        candidate = Candidate(item, function)
        assert all(map(candidate.fails, expecteds(lab))), function.__name__


@every(Outcome)
def test_outcome_tells_right_from_wrong(lab: discover.LoadedLab, item: Outcome) -> None:
    if item.artifact is not None:
        found = executed(lab.name, lab.path.parent)[item.artifact]
    else:
        found = item.reference(**item.case)
    right = {name: np.asarray(value) for name, value in found.items()}
    assert judge_outcome(item, right).points == item.points
    assert item.wrong, "no wrong parameters show that the gates close"
    tried = [judge_outcome(item, dict(wrong.make())) for wrong in item.wrong]
    for wrong, result in zip(item.wrong, tried, strict=True):
        assert result.points < item.points, wrong.name
        assert result.hint or not result.groups, wrong.name
    tried.append(judge_outcome(item, zeros(right)))
    assert tried[-1].points < item.points
    for gate in item.gates:
        closed = [g for result in tried for g in result.groups if g.name == gate.name and not g.ok]
        assert closed, f"gate {gate.name!r} lets every wrong outcome pass"
    assert judge_outcome(item, None).status == "missing"
    assert judge_outcome(item, mapped(right, lambda x: x * np.nan)).points == 0.0


@every(Numeric)
def test_numeric_tells_right_from_wrong(lab: discover.LoadedLab, item: Numeric) -> None:
    assert judge_numeric(item, item.answer).points == item.points
    for mistake in item.mistakes:
        assert judge_numeric(item, mistake.value).hint == mistake.hint
    for wrong in (item.answer + 3 * item.tolerance, -item.answer - item.tolerance, 1e9, "1", None):
        assert judge_numeric(item, wrong).points == 0.0


@every(Choice)
def test_choice_tells_right_from_wrong(lab: discover.LoadedLab, item: Choice) -> None:
    assert judge_choice(item, item.answer).points == item.points
    for letter, why in item.why.items():
        result = judge_choice(item, letter.lower())
        assert (result.points, result.hint, result.mistake) == (0.0, why, letter)
    for wrong in ("", "Z", item.answer * 2, 1, None, ...):
        assert judge_choice(item, wrong).points == 0.0
