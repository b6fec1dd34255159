"""Copies stand out however they are disguised; students who work alone do not."""

from __future__ import annotations

import functools
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
import safetensors.numpy

from autograder import kept, similarity
from autograder.alike import marked
from autograder.kept import Same
from autograder.similarity import MAX_EXPECTED, WORDING, Class, Comparison, Pair
from tests.honest import DOC, STUBS, renamed, stub, student

Answers = dict[str, str]
SIZE = 40


@functools.cache
def honest(seed: int, size: int = SIZE) -> tuple[Answers, ...]:
    """A class in which everybody works alone."""
    return tuple(student(1_000 * seed + number) for number in range(size))


def named(students: tuple[Answers, ...] | list[Answers]) -> dict[str, dict[str, str]]:
    return {
        name: {f"s{i:03}": answers[name] for i, answers in enumerate(students) if name in answers}
        for name in STUBS
    }


def a_class(students: tuple[Answers, ...] | list[Answers], **mistakes: list[str]) -> Class:
    stubs = {name: stub(name) for name in STUBS}
    return Class(named(students), stubs, ["import numpy as np"], mistakes)


def compare(students: tuple[Answers, ...] | list[Answers]) -> Comparison:
    return a_class(students).compare()


def with_copy(seed: int, disguise: Callable[[Answers], Answers]) -> Comparison:
    students = list(honest(seed))
    students[1] = disguise(students[0])
    return compare(students)


def pairs(comparison: Comparison) -> set[tuple[str, str]]:
    return {(pair.first, pair.second) for pair in comparison.pairs}


def helpers_apart(answers: Answers) -> Answers:
    """Other names, comments and spacing; and something above two of the answers."""
    changed = {name: renamed(text, 7) for name, text in answers.items()}
    for name, helper in (
        ("q_update", "def unused(a):\n    return a\n\n\n"),
        ("softmax", "X = 3\n"),
    ):
        changed[name] = helper + changed[name]
    return changed


@pytest.fixture(scope="module", autouse=True)
def lexed_once() -> Iterator[None]:
    """The same answers are compared many times; reading them takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "fingerprints", functools.cache(similarity.fingerprints))
        yield


# -- copies and those who work alone -------------------------------------------------------------

DISGUISES: dict[str, Callable[[Answers], Answers]] = {
    "letter for letter": dict,
    "other names, comments and spacing": lambda a: {k: renamed(v, 7) for k, v in a.items()},
    "helpers above": helpers_apart,
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("seed", range(3))
def test_a_copy_is_found_however_it_is_disguised(disguise: str, seed: int) -> None:
    assert pairs(with_copy(seed, DISGUISES[disguise])) == {("s000", "s001")}


@pytest.fixture(scope="module")
def likest() -> list[tuple[float, float]]:
    """Of 20 classes: `expected` of the likest honest pair, and of a copy under other names."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "MAX_EXPECTED", math.inf)
        for seed in range(20):
            chance = compare(honest(seed)).pairs[0].expected
            with_one = with_copy(seed, DISGUISES["other names, comments and spacing"]).pairs
            copied = [p.expected for p in with_one if (p.first, p.second) == ("s000", "s001")]
            found.append((chance, *copied))
    return found


def test_nobody_who_works_alone_is_named(likest: list[tuple[float, float]]) -> None:
    """Of 20 honest classes, the least likely pair was expected 0.046 times."""
    assert min(chance for chance, _ in likest) > 2 * MAX_EXPECTED


def test_whoever_copies_is_named(likest: list[tuple[float, float]]) -> None:
    """Of 20 copies under other names, the likeliest was expected 5e-5 times."""
    assert max(copied for _, copied in likest) < MAX_EXPECTED / 50


def test_expected_means_what_it_says(likest: list[tuple[float, float]]) -> None:
    """The least likely of all honest pairs is expected about once, whatever the class."""
    assert 0.3 < sorted(chance for chance, _ in likest)[10] < 3.0


def test_what_most_of_a_class_writes_is_no_sign() -> None:
    """Half of a class has the same answers, as after a lecture that showed them."""
    students = list(honest(0))
    for number in range(0, SIZE, 2):
        students[number] = students[0]
    assert compare(students).pairs == ()
    assert compare([students[0]] * SIZE).pairs == ()


def test_a_group_is_shown_by_as_few_pairs_as_join_it() -> None:
    students = list(honest(1, 80))
    for number in (1, 2, 3):
        students[number] = {name: renamed(text, number) for name, text in students[0].items()}
    students[11] = students[10]
    found = compare(students)
    assert found.groups == [["s000", "s001", "s002", "s003"], ["s010", "s011"]]
    assert len(found.pairs) == 6 + 1
    assert len(found.telling) == 3 + 1
    assert found.telling[0] == found.pairs[0]


def test_provided_code_explains_what_it_explains() -> None:
    """Two who took over an example that everybody was given have copied nothing."""
    students = list(honest(2))
    example = student(99_999)
    students[0] = students[1] = {name: renamed(text, 3) for name, text in example.items()}
    assert pairs(compare(students)) == {("s000", "s001")}
    given = [text.replace(DOC, "") for text in example.values()]
    known = Class(named(students), {name: stub(name) for name in STUBS}, given, {})
    assert known.compare().pairs == ()


def test_the_wording_is_compared_too() -> None:
    students = list(honest(3))
    first, second = dict(students[0]), dict(students[1])
    for number, name in enumerate(STUBS):
        first[name] += f"\n    # zebra crossing {number}"
        second[name] += f"\n    # zebra crossing {number}"
    students[:2] = [first, second]
    code = a_class(students, s000=["softmax: overflows"], s001=["softmax: overflows"])
    said = code.said("s000", "s001")
    assert [f"# zebra crossing {number}" in said for number in range(6)] == [True] * 6
    assert "mistake: softmax: overflows" in said
    stubs = {name: stub(name) for name in STUBS}
    given = Class(named(students), stubs, ["# zebra crossing 3"], {})
    assert {"# zebra crossing 3", "# zebra crossing 4"} - set(given.said("s000", "s001")) == {
        "# zebra crossing 3"
    }
    similar = next(
        part
        for share in [_all_pairs(code)]
        for pair in share
        if (pair.first, pair.second) == ("s000", "s001")
        for part in pair.parts
        if part.name == WORDING
    )
    assert similar.as_alike == pytest.approx(2 / (SIZE * (SIZE - 1)))  # no other pair is as alike


def _all_pairs(code: Class) -> tuple[Pair, ...]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(similarity, "MAX_EXPECTED", math.inf)
        return code.compare().pairs


def test_few_students_are_not_judged() -> None:
    few = compare([honest(0)[0]] * (similarity.MIN_STUDENTS - 1))
    assert (few.pairs, few.reason) == ((), "fewer than 12 students handed in code")
    short = [{"softmax": "x = 1"}] * 20
    assert compare(short).reason == "nobody's answers are long enough to compare"


def test_the_result_depends_on_nothing_but_the_class() -> None:
    students = list(honest(4))
    students[1] = {name: renamed(text, 1) for name, text in students[0].items()}
    once, again = compare(students), compare(students)
    assert once == again
    shuffled = Random(1).sample(range(SIZE), SIZE)
    turned = compare([students[number] for number in shuffled])
    assert [p.expected for p in turned.pairs] == pytest.approx([p.expected for p in once.pairs])


# -- statistics ----------------------------------------------------------------------------------


def test_likeness_by_hand() -> None:
    """Of four students two have fingerprint 1, all have 2, and each one of its own."""
    features = [np.array(f, np.uint64) for f in ([1, 2, 10], [1, 2, 11], [2, 12], [2, 13])]
    jaccard, score = similarity.likeness(features)
    # 1 weighs log2(4/2) = 1 bit, 2 nothing, the own ones 2: shared 1 of 3 + 3 - 1 = 5
    assert jaccard[0, 1] == pytest.approx(1 / 5)
    assert score[0, 1] == pytest.approx(1 / 25, abs=1e-6)
    assert jaccard[0, 2] == jaccard[2, 3] == 0.0


def test_likeness_is_the_same_however_it_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    features = [np.flatnonzero(rng.random(300) < 0.1).astype(np.uint64) for _ in range(9)]
    jaccard, score = similarity.likeness(features)
    sets = [set(f.tolist()) for f in features]
    held = {x: sum(x in s for s in sets) for x in set[int]().union(*sets)}
    for i, j in itertools.combinations(range(9), 2):
        both = sum(math.log2(9 / held[x]) for x in sets[i] & sets[j])
        either = sum(math.log2(9 / held[x]) for x in sets[i] | sets[j])
        assert jaccard[i, j] == pytest.approx(both / either, abs=1e-3)
        assert score[i, j] == pytest.approx(both * (both / either) ** 2, abs=1e-2)
    monkeypatch.setattr(similarity, "BLOCK", 7)
    for whole, parted in zip((jaccard, score), similarity.likeness(features), strict=True):
        np.testing.assert_allclose(parted, whole, atol=2e-3)


def test_shares_count_ties_against_a_pair() -> None:
    shares = similarity.as_alike(np.array([0.0, 5.0, 2.0, 2.0]))
    assert shares.tolist() == [1.0, 0.25, 0.75, 0.75]


def test_expected_pairs_by_hand() -> None:
    """Two exercises: P(sum > x) = exp(-x) (1 + x) with x = ln 4 + ln 2."""
    shares = [np.array([0.25, 0.5, 0.75, 1.0]), np.array([0.5, 1.0, 1.0, 1.0])]
    x = math.log(8)
    assert similarity.expected_pairs(shares)[0] == pytest.approx(4 * (1 + x) / 8)
    assert similarity.expected_pairs(shares)[3] == 4.0


@pytest.mark.parametrize("num_exercises", [2, 5])
def test_expected_is_what_chance_yields(num_exercises: int) -> None:
    """Of pairs whose shares are independent, k are as unlikely as `expected` k says."""
    rng = np.random.default_rng(num_exercises)
    shares = [similarity.as_alike(rng.random(20_000)) for _ in range(num_exercises)]
    expected = np.sort(similarity.expected_pairs(shares))
    for count in (100, 1_000, 10_000):
        assert expected[count] == pytest.approx(count, rel=4 / count**0.5 + 0.03)


def test_habits_are_taken_off() -> None:
    """Pairs that are alike in everything for no reason but habit: their bulk says so."""
    rng = np.random.default_rng(0)
    habit = rng.random(20_000)
    alike = [similarity.as_alike(habit + 0.5 * rng.random(20_000)) for _ in range(6)]
    expected = np.sort(similarity.expected_pairs(alike))
    assert expected[0] > MAX_EXPECTED
    assert expected[200] > 50


# -- fingerprints and marks ----------------------------------------------------------------------


def test_names_comments_and_spaces_do_not_count() -> None:
    one = similarity.fingerprints("total = 0  # start\nfor r in rewards:\n    total += g * r\n")
    other = similarity.fingerprints("x=0\nfor y in z:\n\n    x+=w*y # done")
    assert one.filtered == other.filtered
    np.testing.assert_array_equal(one.kept, other.kept)
    assert len(one.kept) < len(one.grams)


def test_every_process_takes_the_same_fingerprints() -> None:
    """Unlike `hash`, by which copydetect would choose others at each run."""
    kept = similarity.fingerprints("rows = [v * 2 for v in xs if v > bound]").kept
    assert kept.tolist() == [1735478520415851572, 2621625730357899336, 2717174988975687306]


def test_spans_mark_the_code_that_is_alike() -> None:
    text = "first = something(1)\nrow = [q * 2 for q in table if q > limit]\nlast = 7\n"
    other = "rows = [v * 2 for v in xs if v > bound]"
    one, two = similarity.fingerprints(text), similarity.fingerprints(other)
    (span,) = one.spans(np.intersect1d(one.grams, two.grams))
    assert text[slice(*span)].strip().startswith("row = [q * 2 for q in table if q > limit]")
    assert one.spans(np.zeros(0, np.uint64)) == []


@pytest.mark.parametrize("seed", range(3))
def test_marks_never_change_a_text(seed: int) -> None:
    students = list(honest(5))
    students[1] = {name: renamed(text, seed) for name, text in students[0].items()}
    code = a_class(students)
    for name in STUBS:
        for text, spans in code.marked(name, "s000", "s001"):
            shown = marked(text, spans)
            assert shown.striptags().split() == text.split()
            assert all(0 <= start < end <= len(text) + 1 for start, end in spans)
            assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def test_written_answers_are_compared_by_their_letters() -> None:
    text = "Because *SARSA* learns what it does,\nand it explores."
    one = similarity.prose_fingerprints(text)
    other = similarity.prose_fingerprints("because sarsa learns — what it does! And")
    (span,) = one.spans(np.intersect1d(one.grams, other.grams))
    assert text[slice(*span)].split() == text.removesuffix("it explores.").split()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "'''",
        "def (:\n\t",
        "%matplotlib inline\n!ls",
        "\ud800",
        "\u202e x = 1",
        "é" * 40,
    ],
)
def test_what_is_no_code_has_fingerprints_too(text: str) -> None:
    for made in (similarity.fingerprints(text), similarity.prose_fingerprints(text)):
        assert len(made.kept) <= len(made.grams)
        made.spans(made.grams)


def test_hostile_code_is_only_text() -> None:
    text = "<i>x = '</pre><script>alert(1)</script>'\n\u202edef f(): \x1b[31m pass\u2066"
    shown = marked(text, [(7, 23)])
    assert re.findall(r"<[^>]+>", shown) == ["<mark>", "</mark>"]
    assert "⟨U+202E⟩" in shown
    assert "⟨U+001B⟩" in shown
    assert not {"\u202e", "\u2066", "\x1b"} & set(shown)


def test_a_huge_answer_is_cut() -> None:
    made = similarity.fingerprints("x = [1, 2, 3]\n" * 100_000)
    assert len(made.text) <= similarity.MAX_CHARS
    assert len(marked("y" * 50_000, [(10, 40_000)])) < 45_000


# -- what the course keeps -----------------------------------------------------------------------

RELEASE = {
    "cells": [
        {"cell_type": "code", "metadata": {}, "source": "import numpy as np"},
        {
            "cell_type": "code",
            "metadata": {"nbgrader": {"grade_id": "softmax", "solution": True}},
            "source": stub("softmax"),
        },
        {
            "cell_type": "markdown",
            "metadata": {"nbgrader": {"grade_id": "why", "solution": True, "grade": True}},
            "source": "*Write here.*",
        },
        {
            "cell_type": "code",
            "metadata": {"nbgrader": {"grade_id": "test-softmax", "solution": False}},
            "source": 'labkit.check("softmax")',
        },
    ]
}


def keep(folder: Path, who: str, sources: dict[str, str], *own: str, **files: bytes) -> None:
    cells = []
    for cell in RELEASE["cells"]:
        name = cell["metadata"].get("nbgrader", {}).get("grade_id", "")
        cells.append(cell | {"source": sources.get(name, cell["source"])})
    cells += [{"cell_type": "code", "metadata": {}, "source": text} for text in own]
    home = folder / who / "lab"
    home.mkdir(parents=True)
    (home / "lab.ipynb").write_text(json.dumps({"cells": cells}))
    for name, raw in files.items():
        (home / f"{name}.safetensors").write_bytes(raw)


def read(folder: Path, *students: str) -> kept.Kept:
    import nbformat

    return kept.read(folder, nbformat.from_dict(RELEASE), "lab", students)


def test_only_what_a_student_wrote_is_read(tmp_path: Path) -> None:
    keep(tmp_path, "ada", {"softmax": "def softmax(): 1", "why": "Because."}, "print(1)", " ")
    keep(tmp_path, "bob", {})
    found = read(tmp_path, "ada", "bob", "gone")
    assert found.answers == {
        "softmax": {"ada": "def softmax(): 1"},
        "why": {"ada": "Because."},
        kept.OWN_CELLS: {"ada": "print(1)"},
    }
    assert found.prose == {"why"}
    assert found.provided == ["import numpy as np", 'labkit.check("softmax")']
    assert found.absent == ("gone",)
    assert found.same == ()


def test_identical_files_are_found_whatever_their_order(tmp_path: Path) -> None:
    arrays = {name: np.full(2, number, np.float32) for number, name in enumerate("bcdefghi", 1)}
    arrays["a"] = np.arange(6.0).reshape(2, 3)
    plain = safetensors.numpy.save(arrays)
    noted = safetensors.numpy.save(arrays, metadata={"by": "someone"})
    other = safetensors.numpy.save(arrays | {"b": np.zeros(2, np.float32)})
    reshaped = safetensors.numpy.save(arrays | {"a": arrays["a"].reshape(3, 2)})
    header: dict[str, dict[str, object]] = {}
    buffer = b""
    for name in sorted(arrays, key=lambda name: plain.index(arrays[name].tobytes()), reverse=True):
        raw = arrays[name].tobytes()
        kind = {"<f8": "F64", "<f4": "F32"}[arrays[name].dtype.str]
        ends = [len(buffer), len(buffer) + len(raw)]
        header[name] = {"dtype": kind, "shape": arrays[name].shape, "data_offsets": ends}
        buffer += raw
    head = json.dumps(header).encode()
    shuffled = len(head).to_bytes(8, "little") + head + buffer
    files = dict(a=plain, b=plain, c=noted, d=shuffled, e=other, f=reshaped, g=b"no tensors")
    for who, raw in files.items():
        keep(tmp_path, who, {"softmax": who}, agent=raw)
    assert read(tmp_path, *files).same == (
        Same("agent.safetensors, every byte", ("a", "b")),
        Same("agent.safetensors, every number", ("a", "b", "c", "d")),
    )


def test_identical_notebooks_and_long_answers_are_found_once(tmp_path: Path) -> None:
    long = {"softmax": stub("softmax").replace("raise", "x = 1\n" * 100 + "    raise")}
    short = {"softmax": "def softmax():\n    return 1"}
    keep(tmp_path, "ada", long)
    keep(tmp_path, "bob", long)
    keep(tmp_path, "cy", long, "my = 'own'")
    keep(tmp_path, "dan", short, "1")
    keep(tmp_path, "eve", short, "2")
    keep(tmp_path, "untouched", {})
    keep(tmp_path, "untouched too", {})
    everybody = sorted(path.name for path in tmp_path.iterdir())
    assert read(tmp_path, *everybody).same == (
        Same(kept.NOTEBOOK, ("ada", "bob")),
        Same("softmax, letter for letter", ("ada", "bob", "cy")),
    )
