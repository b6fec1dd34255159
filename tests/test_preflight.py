"""What is handed in becomes safe and complete, or is refused with a reason."""

from __future__ import annotations

import base64
import copy
import datetime
import json
from collections.abc import Callable
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat import NotebookNode
from nbgrader.utils import parse_utc

from autograder import preflight, reading
from autograder.collect import Files
from autograder.course import Course
from autograder.preflight import Prepared, prepare, rebuild
from autograder.sample_class import Case
from tests.grading import LAB, NOTEBOOK

ANSWER, TEST, QUESTION = "discounted_return", "test-discounted_return", "question-why-in-turn"
Tree = dict[str, Any]


@pytest.fixture(scope="module")
def release(toy_course: Course) -> NotebookNode:
    return toy_course.release(LAB)


@pytest.fixture
def perfect(toy_cases: dict[str, Case]) -> Tree:
    """A right notebook as JSON, to be broken."""
    tree: Tree = json.loads(toy_cases["perfect"].files[NOTEBOOK])
    for each in tree["cells"]:
        each["source"] = "".join(each["source"])
    return tree


def grade_id(cell: Tree) -> str:
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def place(tree: Tree | NotebookNode, name: str) -> int:
    (index,) = [i for i, cell in enumerate(tree["cells"]) if grade_id(cell) == name]
    return index


def cell(tree: Tree | NotebookNode, name: str) -> Tree:
    found: Tree = tree["cells"][place(tree, name)]
    return found


def packed(tree: Tree) -> Files:
    return Files({NOTEBOOK: json.dumps(tree).encode()})


def ids(notebook: NotebookNode) -> list[str]:
    return [grade_id(cell) for cell in notebook.cells if grade_id(cell)]


def metadata(notebook: NotebookNode) -> dict[str, Tree]:
    return {grade_id(cell): cell.metadata for cell in notebook.cells if grade_id(cell)}


def is_whole(prepared: Prepared, release: NotebookNode) -> bool:
    """Every cell of the release is there once, with its own metadata, locked ones as released."""
    notebook = prepared.notebook
    locked = [c for c in release.cells if grade_id(c) and not c.metadata.nbgrader.solution]
    return (
        sorted(ids(notebook)) == sorted(ids(release))
        and metadata(notebook) == metadata(release)
        and all(cell(notebook, grade_id(c))["source"] == c.source for c in locked)
    )


def test_a_good_submission_stays_as_it_is(release: NotebookNode, perfect: Tree) -> None:
    prepared = prepare(release, LAB, packed(perfect))
    assert prepared.status is None
    assert prepared.notes == ()
    assert [c["source"] for c in perfect["cells"]] == [c.source for c in prepared.notebook.cells]
    assert is_whole(prepared, release)


def without(*names: str) -> Callable[[Tree], None]:
    def edit(tree: Tree) -> None:
        tree["cells"] = [c for c in tree["cells"] if grade_id(c) not in names]

    return edit


def with_changed_test(tree: Tree) -> None:
    cell(tree, TEST)["source"] = "print('all tests passed')"


def with_forged_points(tree: Tree) -> None:
    cell(tree, TEST)["metadata"]["nbgrader"] |= {"points": 100, "solution": True, "locked": False}
    cell(tree, ANSWER)["metadata"]["nbgrader"] |= {"grade": True, "points": 50}


def with_an_answer_called_a_test(tree: Tree) -> None:
    cell(tree, ANSWER)["metadata"]["nbgrader"] = cell(tree, TEST)["metadata"]["nbgrader"]


def with_a_test_called_an_answer(tree: Tree) -> None:
    cell(tree, TEST)["metadata"]["nbgrader"] = cell(tree, ANSWER)["metadata"]["nbgrader"]


def with_a_test_twice(tree: Tree) -> None:
    copied = copy.deepcopy(cell(tree, TEST)) | {"source": "print('passed')"}
    tree["cells"] += [copied, copied]


def reversed_(tree: Tree) -> None:
    tree["cells"].reverse()


def with_hostile_outputs(tree: Tree) -> None:
    page = {"text/html": "<script>alert(1)</script>", "application/json": {"a": [1]}}
    for each in tree["cells"]:
        each["outputs"] = [{"output_type": "display_data", "data": page}, 7, {"output_type": "x"}]
        each["execution_count"] = "many"


def with_an_id_of_its_own(tree: Tree) -> None:
    extra = copy.deepcopy(cell(tree, TEST))
    extra["metadata"]["nbgrader"]["grade_id"] = "test-bonus"
    tree["cells"].append(extra)


def with_an_old_schema(tree: Tree) -> None:
    cell(tree, ANSWER)["metadata"]["nbgrader"]["schema_version"] = 1


def with_markdown_for_code(tree: Tree) -> None:
    cell(tree, ANSWER)["cell_type"] = "markdown"


def with_strange_metadata(tree: Tree) -> None:
    cell(tree, ANSWER)["metadata"] |= {"tags": 7, "trusted": True}
    tree["metadata"] = {"kernelspec": {"name": "bash"}, "widgets": {"x": "y"}}
    tree["cells"][0]["metadata"] = "none"


@pytest.mark.parametrize(
    "edit",
    [
        without(TEST),
        without(ANSWER, TEST),
        without("cell-1", "cell-2"),
        with_changed_test,
        with_forged_points,
        with_an_answer_called_a_test,
        with_a_test_called_an_answer,
        with_a_test_twice,
        reversed_,
        with_hostile_outputs,
        with_an_id_of_its_own,
        with_an_old_schema,
        with_markdown_for_code,
        with_strange_metadata,
    ],
    ids=lambda edit: getattr(edit, "__name__", ""),
)
def test_the_release_is_the_truth_about_cells(
    release: NotebookNode, perfect: Tree, edit: Callable[[Tree], None]
) -> None:
    edit(perfect)
    prepared = prepare(release, LAB, packed(perfect))
    assert prepared.status is None
    assert is_whole(prepared, release)
    assert prepared.notebook.metadata.kernelspec == release.metadata.kernelspec
    assert set(prepared.notebook.metadata) <= {"kernelspec", "language_info"}
    assert not any(c.get("outputs") for c in prepared.notebook.cells)
    nbformat.validate(prepared.notebook)


def test_what_was_mended_is_said(release: NotebookNode, perfect: Tree) -> None:
    without(ANSWER, TEST)(perfect)
    cell(perfect, "test-softmax")["source"] = "pass"
    notes = prepare(release, LAB, packed(perfect)).notes
    assert notes == (
        f"cells were deleted and put back: {ANSWER}, {TEST}",
        "locked cells were changed and restored: test-softmax",
    )


def test_a_deleted_answer_does_not_come_back_as_a_stub(
    release: NotebookNode, perfect: Tree
) -> None:
    """The stub would replace an answer that stands in a cell of the student's own."""
    own = {"cell_type": "code", "metadata": {}, "source": cell(perfect, ANSWER)["source"]}
    perfect["cells"][place(perfect, ANSWER)] = own
    notebook = prepare(release, LAB, packed(perfect)).notebook
    assert cell(notebook, ANSWER)["source"] == preflight.DELETED
    sources = [c.source for c in notebook.cells]
    assert sources.index(own["source"]) < place(notebook, TEST)


def test_a_test_that_stands_before_its_answer_is_moved(
    release: NotebookNode, perfect: Tree
) -> None:
    test = perfect["cells"].pop(place(perfect, TEST))
    perfect["cells"].insert(0, test)
    notebook = prepare(release, LAB, packed(perfect)).notebook
    assert place(notebook, TEST) == place(notebook, ANSWER) + 1


def test_of_two_copies_the_last_that_was_touched_counts(
    release: NotebookNode, perfect: Tree
) -> None:
    answer = cell(perfect, ANSWER)
    first = answer | {"source": "def discounted_return(): return 'first'"}
    stub = answer | {"source": cell(release, ANSWER)["source"]}
    at = place(perfect, ANSWER)
    perfect["cells"][at : at + 1] = [first, answer, stub]
    prepared = prepare(release, LAB, packed(perfect))
    assert is_whole(prepared, release)
    sources = [c.source for c in prepared.notebook.cells]
    assert cell(prepared.notebook, ANSWER)["source"] == answer["source"]
    assert sources.index(first["source"]) < sources.index(answer["source"])
    assert stub["source"] not in sources
    assert prepared.notes == (f"the cell {ANSWER} is there 3 times: the last one counts",)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "an empty file"),
        (b" \n ", "an empty file"),
        (b'{"cells": [{"cell_type": "code", "sou', "not complete"),
        (b"PK\x03\x04 not a notebook", "not complete"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[1, 2]", "not a notebook"),
        (b'{"cells": "none"}', "not a notebook"),
        (b'{"cells": [7, null, {"cell_type": "code", "source": "1"}]}', "no cell of this lab"),
    ],
)
def test_what_is_no_notebook_is_malformed(release: NotebookNode, raw: bytes, said: str) -> None:
    prepared = prepare(release, LAB, Files({NOTEBOOK: raw}))
    assert prepared.status == "malformed"
    assert said in prepared.reason
    assert [c.source for c in prepared.notebook.cells] == [c.source for c in release.cells]


def test_sizes_are_limited(
    release: NotebookNode, perfect: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, value, said in (
        ("MAX_CELLS", 3, "more than 3 cells"),
        ("MAX_SOURCE_CHARS", 50, "more than 50 characters"),
        ("MAX_NOTEBOOK_BYTES", 1 << 10, "larger than 0 MiB"),
        ("MAX_VALUES", 20, "more than 20 values"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(reading, limit, value)
            prepared = prepare(release, LAB, packed(perfect))
        assert prepared.status == "malformed"
        assert said in prepared.reason


def test_an_old_format_is_read(release: NotebookNode, perfect: Tree) -> None:
    answer = cell(perfect, ANSWER)
    old_cells = [
        {
            "cell_type": "code",
            "input": answer["source"].splitlines(True),
            "metadata": answer["metadata"],
        },
        {"cell_type": "heading", "level": 2, "source": "My notes", "metadata": {}},
    ]
    tree = {"nbformat": 3, "metadata": {}, "worksheets": [{"cells": old_cells}]}
    prepared = prepare(release, LAB, packed(tree))
    assert is_whole(prepared, release)
    assert cell(prepared.notebook, ANSWER)["source"] == answer["source"]
    assert "## My notes" in [c.source for c in prepared.notebook.cells]


@pytest.mark.parametrize(
    "edit",
    [
        {"nbformat": 3},
        {"nbformat": 4, "nbformat_minor": 0},
        {"nbformat": 5, "nbformat_minor": 99},
        {"nbformat": "four", "nbformat_minor": None},
        {"nbformat": 10**400},
        {"worksheets": []},
        {"worksheets": [{"cells": 7}, 3]},
        {"metadata": None, "orig_nbformat": [1]},
    ],
    ids=str,
)
def test_what_a_notebook_says_of_its_version_costs_nothing(
    release: NotebookNode, perfect: Tree, edit: Tree
) -> None:
    whole = prepare(release, LAB, packed(perfect))
    for each in perfect["cells"]:
        each.pop("id", None)  # version 4.5 brought them
    prepared = prepare(release, LAB, packed(perfect | edit))
    assert prepared.status is None
    assert prepared.raw == whole.raw


@pytest.mark.parametrize("worksheets", [7, [7], [{"cells": 7}], [{}], [{"cells": {}}]])
def test_strange_worksheets_are_malformed(release: NotebookNode, worksheets: Any) -> None:
    prepared = prepare(release, LAB, packed({"nbformat": 3, "worksheets": worksheets}))
    assert prepared.status == "malformed"


def test_json_that_is_odd_but_can_be_read(release: NotebookNode, perfect: Tree) -> None:
    """Numbers that JSON or Python does not know, a key twice, line ends within a text."""
    text = json.dumps(perfect)
    right = prepare(release, LAB, packed(perfect)).raw
    digits = "9" * 5000
    for odd in (
        text[:-1] + f', "metadata": {{"a": NaN, "b": -Infinity, "c": {digits}}}}}',
        '{"cells": [], ' + text[1:],
        text.replace("\\n", "\n").replace("\\t", "\t"),
        "\ufeff\ufeff" + text,
        text + "\0" * 4096,  # what a file system leaves after a crash
    ):
        prepared = prepare(release, LAB, Files({NOTEBOOK: odd.encode()}))
        assert prepared.status is None
        assert prepared.raw == right


def test_cells_without_ids_or_with_one_twice(release: NotebookNode, perfect: Tree) -> None:
    for number, each in enumerate(perfect["cells"]):
        each["id"] = ("same", None, 7, "x" * 999)[number % 4]
    prepared = prepare(release, LAB, packed(perfect))
    names = [c.id for c in prepared.notebook.cells]
    assert len(set(names)) == len(names)
    nbformat.validate(prepared.notebook)


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32", "latin-1"]
)
def test_encodings_of_json_are_read(release: NotebookNode, perfect: Tree, encoding: str) -> None:
    cell(perfect, QUESTION)["source"] = "naïve, über, ¿qué?"
    for each in perfect["cells"]:
        each["source"] = each["source"].encode("latin-1", "replace").decode("latin-1")
    raw = json.dumps(perfect, ensure_ascii=False).encode(encoding)
    prepared = prepare(release, LAB, Files({NOTEBOOK: raw}))
    assert prepared.status is None
    assert cell(prepared.notebook, QUESTION)["source"] == "naïve, über, ¿qué?"
    assert any("Latin-1" in note for note in prepared.notes) is (encoding == "latin-1")


def test_a_single_damaged_byte_spoils_no_other(release: NotebookNode, perfect: Tree) -> None:
    cell(perfect, QUESTION)["source"] = "über alles, naïve"
    raw = json.dumps(perfect, ensure_ascii=False).encode().replace("ï".encode(), b"\xef")
    prepared = prepare(release, LAB, Files({NOTEBOOK: raw}))
    assert cell(prepared.notebook, QUESTION)["source"] == "über alles, naïve"


def test_text_that_cannot_be_written_is_replaced(release: NotebookNode, perfect: Tree) -> None:
    cell(perfect, QUESTION)["source"] = "half a pair \ud800, a zero \0"
    prepared = prepare(release, LAB, packed(perfect))
    assert "half a pair ?, a zero �" in prepared.raw.decode()


def test_raw_cells_become_text(release: NotebookNode, perfect: Tree) -> None:
    """A browser would take a raw cell for HTML."""
    perfect["cells"].append(
        {"cell_type": "raw", "metadata": {"raw_mimetype": "text/html"}, "source": "<script>x"}
    )
    last = prepare(release, LAB, packed(perfect)).notebook.cells[-1]
    assert (last.cell_type, last.source, last.metadata) == ("markdown", "    <script>x\n", {})


def test_only_pictures_are_kept_as_attachments(release: NotebookNode, perfect: Tree) -> None:
    picture = base64.b64encode(b"\x89PNG").decode()
    cell(perfect, QUESTION)["attachments"] = {
        "a.png": {"image/png": picture},
        "b.svg": {"image/svg+xml": "<svg onload=alert(1)>"},
        "c.png": {"image/png": "not base64!"},
        "d.png": [],
    }
    answer = cell(prepare(release, LAB, packed(perfect)).notebook, QUESTION)
    assert answer["attachments"] == {"a.png": {"image/png": picture}}


def test_the_only_notebook_of_the_lab_is_taken_whatever_its_name(
    release: NotebookNode, perfect: Tree
) -> None:
    raw = json.dumps(perfect).encode()
    for name in ("lab (final).ipynb", f"deep/er/{NOTEBOOK}", "LAB.IPYNB"):
        other = json.dumps({"cells": [], "metadata": {}}).encode()
        prepared = prepare(release, LAB, Files({name: raw, "other.ipynb": other}))
        assert prepared.status is None
        assert prepared.notes == (f"the notebook is called {name}: it was taken as {NOTEBOOK}",)


def test_of_two_that_could_be_meant_none_is_taken(release: NotebookNode, perfect: Tree) -> None:
    raw = json.dumps(perfect).encode()
    prepared = prepare(release, LAB, Files({"a.ipynb": raw, "b.ipynb": raw + b" "}))
    assert prepared.status == "malformed"
    assert prepared.reason.endswith(f"none called {NOTEBOOK}: a.ipynb, b.ipynb")
    named = prepare(release, LAB, Files({"a.ipynb": raw, NOTEBOOK: raw}))
    assert (named.status, named.notes) == (None, ())
    copies = prepare(release, LAB, Files({"a.ipynb": raw, "b.ipynb": raw}))
    assert copies.status is None


@pytest.mark.parametrize("broken", [b"", b"{", b'{"cells": []}'])
def test_a_broken_notebook_of_the_right_name_does_not_hide_the_right_one(
    release: NotebookNode, perfect: Tree, broken: bytes
) -> None:
    right = json.dumps(perfect).encode()
    prepared = prepare(release, LAB, Files({NOTEBOOK: broken, "lab (1).ipynb": right}))
    assert prepared.status is None
    assert prepared.notes == (f"the notebook is called lab (1).ipynb: it was taken as {NOTEBOOK}",)
    assert prepare(release, LAB, Files({NOTEBOOK: broken})).status == "malformed"


def test_another_labs_notebook_is_malformed_and_no_notebook_is_missing(
    release: NotebookNode,
) -> None:
    other = json.dumps({"cells": [{"cell_type": "code", "source": "1", "metadata": {}}]}).encode()
    prepared = prepare(release, LAB, Files({"lab01.ipynb": other}))
    assert (prepared.status, prepared.reason) == (
        "malformed",
        f"there is no {NOTEBOOK}, and lab01.ipynb holds no cell of this lab",
    )
    for files, said in (
        ({}, "nothing was handed in"),
        ({"notes.txt": b"sorry"}, f"{NOTEBOOK} was not handed in, only notes.txt"),
        ({"lab01/lab01.ipynb": other}, f"{NOTEBOOK} was not handed in, only lab01/lab01.ipynb"),
    ):
        prepared = prepare(release, LAB, Files(dict(files)))
        assert (prepared.status, prepared.reason) == ("missing", said)


def test_locked_cells_that_were_moved_down_come_before_what_needs_them(
    release: NotebookNode, perfect: Tree
) -> None:
    """Answers and a student's own cells stay where they are."""
    locked = next(
        i
        for i, c in enumerate(release.cells)
        if c.cell_type == "code" and not c.metadata.nbgrader.solution
    )
    name = grade_id(release.cells[locked])
    own = {"cell_type": "code", "metadata": {}, "source": "mine = 1"}
    perfect["cells"].append(perfect["cells"].pop(place(perfect, name)))
    perfect["cells"].append(perfect["cells"].pop(place(perfect, ANSWER)))
    perfect["cells"].insert(0, own)
    prepared = prepare(release, LAB, packed(perfect))
    assert is_whole(prepared, release)
    assert f"locked cells were moved back up: {name}" in prepared.notes[0]
    order, now = ids(release), ids(prepared.notebook)
    after = order[order.index(name) + 1 :]
    assert all(now.index(name) < now.index(later) for later in after)
    assert prepared.notebook.cells[0].source == "mine = 1"
    assert now[-2:] == [ANSWER, TEST]
    again = rebuild(release, prepared.notebook.cells, notes := [])
    assert (again, notes) == (prepared.notebook, [])


def test_a_list_of_notes_ends_somewhere(release: NotebookNode, perfect: Tree) -> None:
    files = {f"bad\n{i}": b"" for i in range(400)}
    notes = prepare(release, LAB, Files(packed(perfect).content | files)).notes
    assert len(notes) == preflight.MAX_NOTES + 1
    assert notes[-1] == "and 380 more like these"


def test_side_files_keep_safe_names_only(release: NotebookNode, perfect: Tree) -> None:
    content = packed(perfect).content | {
        "bandit.safetensors": b"1",
        "data/points.csv": b"2",
        "data": b"a file where a folder is",
        "bad\nname.csv": b"3",
        ".hidden": b"4",
        "second.ipynb": b"5",
        "Ada's plots [v2], 50.5 (ü, हिन्दी)!.csv": b"6",
        "漢" * 90: b"7",  # 270 bytes: more than a file system takes
        "/".join(["d" * 199] * 6): b"8",
        "-rf": b"9",
        "a\u202ebvsc.exe": b"10",
        "CON": b"11",
        "DATA.csv": b"12",
        "data.csv": b"13",
    }
    prepared = prepare(release, LAB, Files(content))
    assert prepared.files == {
        "bandit.safetensors": b"1",
        "data": b"a file where a folder is",
        "Ada's plots [v2], 50.5 (ü, हिन्दी)!.csv": b"6",
        "CON": b"11",
        "DATA.csv": b"12",
        "data.csv": b"13",
    }
    assert len(prepared.notes) == 7
    assert all(note.isprintable() for note in prepared.notes)


NOON = "2026-03-01 12:00:00.000000 UTC"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("2026-03-01 12:00:00.5 UTC", "2026-03-01 12:00:00.500000 UTC"),
        ("2026-03-01 13:00:00 +0100", NOON),
        ("2026-03-01 08:30:00.000000 -03:30", NOON),
        ("2026-03-01 09:00:00 -03", NOON),
        ("2026-03-01 13:00:00 CET", NOON),
        ("2026-03-01 13:00:00 Europe/Berlin", NOON),
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01 12:00:00+00:00\n", NOON),
        ("2026-03-01 12:00", NOON),
        ("1970-01-01 00:00:00 UTC", None),
        ("0000-01-01 00:00:00 UTC", None),
        ("9999-12-31 23:59:59 -2359", None),
        ("2026-03-01 12:00:00 XYZ", None),
        ("2026-03-01 12:00:00 ../../etc/localtime", None),
        ("2026-03-01 12:00:00 /etc/localtime", None),
        ("2026-13-41 12:00:00 UTC", None),
        ("2026-03-01 12:00:00 +99999999999", None),
        ("12", None),
        ("noon", None),
        ("now", None),
        ("9" * 5000, None),
        ("2026-03-01 12:00:00 UTC" + " " * (10 << 20) + "x", None),
        ("\N{SNOWMAN}", None),
        ("٢٠٢٦-03-01 12:00:00 UTC", None),
        ("", None),
    ],
    ids=lambda text: str(text)[:40],
)
def test_a_timestamp_is_believed_if_it_can_be(
    release: NotebookNode, perfect: Tree, text: str, kept: str | None
) -> None:
    """A vague one, which a parser would complete with today's date, could make somebody late."""
    content = packed(perfect).content | {"timestamp.txt": text.encode()}
    prepared = prepare(release, LAB, Files(content))
    assert prepared.files.get("timestamp.txt") == (kept and kept.encode())
    assert bool(prepared.notes) is (kept is None)
    if kept:
        again = prepare(release, LAB, Files(content | prepared.files))
        assert again.files == prepared.files
        assert parse_utc(kept) == datetime.datetime.fromisoformat(kept.removesuffix(" UTC"))


def test_a_timestamp_from_the_future_is_ignored(release: NotebookNode, perfect: Tree) -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=3)
    content = packed(perfect).content | {"timestamp.txt": f"{later:%Y-%m-%d %H:%M:%S}".encode()}
    assert prepare(release, LAB, Files(content)).files == {}


def test_untouched_cells_are_told(
    release: NotebookNode, perfect: Tree, toy_cases: dict[str, Case]
) -> None:
    answers = {grade_id(c) for c in release.cells if c.metadata.get("nbgrader", {}).get("solution")}
    stub = prepare(release, LAB, Files(toy_cases["empty stub"].files))
    assert preflight.untouched(release, stub.notebook) >= answers
    right = prepare(release, LAB, packed(perfect))
    assert not preflight.untouched(release, right.notebook) & answers


def test_the_digest_sees_every_byte_that_counts(release: NotebookNode, perfect: Tree) -> None:
    base = packed(perfect).content
    digest = prepare(release, LAB, Files(base | {"a.txt": b"1"})).digest
    assert prepare(release, LAB, Files(base | {"a.txt": b"2"})).digest != digest
    assert prepare(release, LAB, Files(base | {"b.txt": b"1"})).digest != digest
    perfect["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x"}]
    perfect["metadata"]["mine"] = True
    assert prepare(release, LAB, Files(packed(perfect).content | {"a.txt": b"1"})).digest == digest


cell_like = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "markdown", "raw", "heading", "other", 3, None]),
        "source": st.one_of(st.text(), st.lists(st.text()), st.integers(), st.none()),
        "metadata": st.one_of(
            st.none(),
            st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
            st.fixed_dictionaries(
                {
                    "nbgrader": st.one_of(
                        st.text(max_size=3),
                        st.fixed_dictionaries(
                            {
                                "grade_id": st.sampled_from(
                                    [ANSWER, TEST, QUESTION, "cell-1", "x", "", 4, None]
                                ),
                                "points": st.sampled_from([1e9, "many", None]),
                            }
                        ),
                    )
                }
            ),
        ),
        "attachments": st.one_of(st.none(), st.text(max_size=3), st.lists(st.integers())),
        "level": st.sampled_from([1, 99, -1, "x", True]),
    }
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cells=st.lists(st.one_of(cell_like, st.integers(), st.none()), max_size=8))
def test_whatever_comes_is_whole_afterwards(release: NotebookNode, cells: list[Any]) -> None:
    prepared = prepare(release, LAB, packed({"cells": cells}))
    assert prepared.status in (None, "malformed")
    assert is_whole(prepared, release)
    again = rebuild(release, prepared.notebook.cells, notes := [])
    assert again == prepared.notebook
    assert notes == []
