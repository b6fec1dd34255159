"""What `labkit.submit` says and writes, for whole submissions and for damaged ones."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
from nbclient import NotebookClient

import labkit
from autograder import __main__ as program
from autograder import build, discover, handed_in, reading, referee
from labkit import artifacts, session, submitting, validation
from labkit.artifacts import ArtifactError
from labkit.submitting import Problem, hand_in, validate

TOY = Path(__file__).parent / "toy" / "solutions"
NAME = "lab00_toy"
NOTEBOOK = f"{NAME}.ipynb"
ARTIFACT = "bandit.safetensors"

Cells = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def built() -> build.Built:
    return build.build_lab(discover.load(NAME, TOY))


@pytest.fixture(scope="module")
def public(built: build.Built) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(built.student[build.PUBLIC_CASES])
    return content


@pytest.fixture
def files(built: build.Built) -> dict[str, bytes]:
    """A whole submission: the instructor's notebook and an artifact."""
    return {NOTEBOOK: built.source, ARTIFACT: _artifact()}


@pytest.fixture
def lab(
    tmp_path: Path, public: Any, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> session.Session:
    """The same in a folder, started."""
    folder = tmp_path / NAME
    folder.mkdir()
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    started = session.Session(NAME, folder, public)
    monkeypatch.setattr(session, "_current", started)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    return started


def _artifact(**tensors: Any) -> bytes:
    from safetensors.numpy import save

    return save(tensors or {"values": np.zeros(5)})


def changed(raw: bytes, change: Callable[[dict[str, Any], Cells], Any]) -> bytes:
    """A notebook after a change to its tree, for which the cells are also given by grade id."""
    tree = json.loads(raw)
    by_id = {
        cell["metadata"]["nbgrader"]["grade_id"]: cell
        for cell in tree["cells"]
        if "nbgrader" in cell["metadata"]
    }
    change(tree, by_id)
    return json.dumps(tree).encode()


def set_source(grade_id: str, source: str) -> Callable[[dict[str, Any], Cells], None]:
    return lambda tree, cells: cells[grade_id].update(source=source)


def delete(*grade_ids: str) -> Callable[[dict[str, Any], Cells], None]:
    return lambda tree, cells: [tree["cells"].remove(cells[i]) for i in grade_ids]  # type: ignore[func-returns-value]


def repeat(grade_id: str) -> Callable[[dict[str, Any], Cells], None]:
    return lambda tree, cells: tree["cells"].append(cells[grade_id] | {"id": "again"})


# -- validate ------------------------------------------------------------------------------------


def test_a_whole_submission_has_no_problem(files: dict[str, bytes], public: Any) -> None:
    assert [problem for problem in validate(files, public) if problem.level != "note"] == []


def test_what_was_handed_out_has_nothing_written(built: build.Built, public: Any) -> None:
    files = {NOTEBOOK: built.student[NOTEBOOK], ARTIFACT: _artifact()}
    (problem,) = validate(files, public)
    assert problem.level == "loss"
    assert problem.message.startswith("Still as handed out: `discounted_return`, `effective_hor")
    for item in public["exercises"]:
        assert (f"`{item['name']}`" in problem.message) == (item["name"] != "bandit")
    assert "`why-in-turn`" in problem.message


DAMAGES: list[tuple[str, Callable[[dict[str, Any], Cells], Any], str, str]] = [
    (
        "a syntax error",
        set_source("softmax", "x = 1\ndef softmax(:"),
        "loss",
        "The cell of `softmax` is not valid Python (line 2): 3 points are lost.",
    ),
    (
        "a deleted answer",
        delete("softmax", "question-why-in-turn"),
        "loss",
        "Deleted: `softmax`, `why-in-turn`. To get a cell back, copy it from a fresh download",
    ),
    (
        "an answer twice",
        repeat("softmax"),
        "loss",
        "The cell of `softmax` is there 2 times: delete all but one.",
    ),
    (
        "a test cell twice",
        repeat("test-softmax"),
        "note",
        "The cell of `test-softmax` is there 2 times: delete all but one.",
    ),
    (
        "a deleted test cell and a changed locked one",
        lambda tree, cells: (
            delete("test-softmax")(tree, cells),
            set_source("train-bandit", "pass")(tree, cells),
        ),
        "note",
        "Locked cells differ, the grader restores them: `test-softmax`, `train-bandit`.",
    ),
    (
        "another notebook",
        lambda tree, cells: tree.update(cells=[]),
        "fatal",
        "lab00_toy.ipynb holds no cell of this lab: is it the right notebook?",
    ),
    (
        "an old format",
        lambda tree, cells: tree.update(nbformat=3),
        "fatal",
        "lab00_toy.ipynb is no Jupyter notebook of format 4",
    ),
    (
        "an unknown kind of cell",
        lambda tree, cells: tree["cells"][0].update(cell_type="poem"),
        "fatal",
        "lab00_toy.ipynb is not a valid notebook",
    ),
]


@pytest.mark.parametrize(
    ("change", "level", "message"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES]
)
def test_a_damage_to_the_notebook_is_named(
    files: dict[str, bytes],
    public: Any,
    change: Callable[[dict[str, Any], Cells], Any],
    level: str,
    message: str,
) -> None:
    before = validate(files, public)
    files[NOTEBOOK] = changed(files[NOTEBOOK], change)
    (problem,) = (found for found in validate(files, public) if found not in before)
    assert problem.level == level
    assert problem.message.startswith(message)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "is an empty file: save the notebook, then submit again."),
        (b'{"cells": [', "is damaged, its JSON breaks off"),
        (b"[" * 100_000, "is damaged, its JSON breaks off"),
        (b"[1, 2]", "is no Jupyter notebook of format 4"),
        (b'{"nbformat": 4, "cells": 3}', "is no Jupyter notebook of format 4"),
        (b" " * validation.MAX_NOTEBOOK_BYTES + b"{}", "is larger than 64 MiB: clear its outputs"),
    ],
)
def test_a_file_that_is_no_notebook(public: Any, raw: bytes, message: str) -> None:
    (problem,) = validate({NOTEBOOK: raw}, public)
    assert problem.level == "fatal"
    assert problem.message.startswith(f"{NOTEBOOK} {message}")


def test_a_notebook_of_another_name(files: dict[str, bytes], public: Any) -> None:
    renamed = {f"{NAME} (1).ipynb": files[NOTEBOOK]}
    assert validate(renamed, public) == [
        Problem("fatal", f"There is no {NOTEBOOK}, but {NAME} (1).ipynb: rename your notebook to "
                f"{NOTEBOOK}.")
    ]  # fmt: skip
    (problem,) = validate({}, public)
    assert problem.message == f"There is no {NOTEBOOK} here: submit from the lab's folder."


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "the file `bandit.safetensors` is not there: run the training cell"),
        (b"nonsense", "the file `bandit.safetensors` cannot be used, it is damaged"),
        (b"0" * (artifacts.MAX_ARTIFACT_BYTES + 1), "cannot be used, it is larger than 32 MiB"),
        (_artifact(values=np.zeros(4)), "`values` has shape (4,), but should have (5,)"),
        (_artifact(other=np.zeros(5)), "it lacks `values`"),
        (_artifact(values=np.full(5, np.nan)), "`values` holds numbers that are not finite"),
    ],
)
def test_a_wrong_artifact_is_named(
    files: dict[str, bytes], public: Any, raw: bytes | None, message: str
) -> None:
    del files[ARTIFACT]
    files |= {ARTIFACT: raw} if raw is not None else {}
    (problem,) = (found for found in validate(files, public) if found.level == "loss")
    assert problem.message.startswith("`bandit`: ")
    assert message in problem.message


def test_of_two_copies_the_written_one_counts_as_in_grading(
    built: build.Built, public: Any
) -> None:
    stub = built.student[NOTEBOOK]
    two = changed(stub, repeat("softmax"))
    two = changed(two, set_source("softmax", "softmax = abs"))  # the later one, by its id
    tree = json.loads(two)
    tree["cells"].insert(0, tree["cells"].pop())  # the written one first, the stub last
    (open_,) = (
        found.message
        for found in validate({NOTEBOOK: json.dumps(tree).encode()}, public)
        if found.message.startswith("Still")
    )
    assert "`softmax`" not in open_ and "`value_loss`" in open_


def test_limits_are_those_of_the_grader() -> None:
    assert validation.MAX_NOTEBOOK_BYTES <= reading.MAX_NOTEBOOK_BYTES
    assert validation.MAX_NOTEBOOK_BYTES <= handed_in.MAX_FILE_BYTES
    assert artifacts.MAX_ARTIFACT_BYTES <= referee.MAX_ARTIFACT_BYTES


# -- the zip -------------------------------------------------------------------------------------


def test_the_zip_holds_what_the_grader_reads(lab: session.Session, built: build.Built) -> None:
    (lab.folder / "notes.txt").write_text("not to be handed in")
    shown, path = hand_in(lab, {})
    assert path == lab.folder / f"{NAME}-submission.zip"
    with zipfile.ZipFile(path) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            f"{NAME}/{NOTEBOOK}": built.source,
            f"{NAME}/{ARTIFACT}": _artifact(),
        }
    text = repr(shown)
    assert text.startswith(f"[pass] `{NAME}-submission.zip` is ready to hand in")
    assert f"pass  {NOTEBOOK}     " in text and "saved just now" in text
    assert f"hand in  {path}" in text
    assert _left_behind(lab) == []


def _left_behind(lab: session.Session) -> list[str]:
    known = {NOTEBOOK, ARTIFACT, "notes.txt", f"{NAME}-submission.zip"}
    return sorted({path.name for path in lab.folder.iterdir()} - known)


def test_what_is_missing_is_said_and_the_rest_is_written(lab: session.Session) -> None:
    (lab.folder / ARTIFACT).unlink()
    shown, path = hand_in(lab, {})
    assert path is not None
    assert zipfile.ZipFile(path).namelist() == [f"{NAME}/{NOTEBOOK}"]
    text = repr(shown)
    assert text.startswith("[note] `lab00_toy-submission.zip` is written, but look at this before")
    assert "FAIL  bandit.safetensors  missing" in text
    assert "run the training cell" in text


def test_nothing_is_written_where_nothing_could_be_graded(lab: session.Session) -> None:
    (lab.folder / NOTEBOOK).write_bytes(b"")
    shown, path = hand_in(lab, {})
    assert path is None
    assert repr(shown).startswith("[FAIL] Nothing was written\nlab00_toy.ipynb is an empty file")
    assert not (lab.folder / f"{NAME}-submission.zip").exists()
    (lab.folder / NOTEBOOK).rename(lab.folder / "Untitled.ipynb")
    shown, path = hand_in(lab, {})
    assert "but Untitled.ipynb: rename your notebook to lab00_toy.ipynb." in repr(shown)


def test_a_zip_that_breaks_off_leaves_the_old_one(
    lab: session.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, path = hand_in(lab, {})
    assert path is not None
    old = path.read_bytes()

    def full(self: Path, target: Any) -> Any:
        raise OSError(28, "No space left on device", str(self))

    (lab.folder / ARTIFACT).unlink()
    monkeypatch.setattr(Path, "replace", full)
    shown, written = hand_in(lab, {})
    assert written is None
    assert "cannot be used: No space left on device." in repr(shown)
    assert "lab00_toy-submission.zip of an earlier time is unchanged." in repr(shown)
    assert path.read_bytes() == old
    assert _left_behind(lab) == []


def test_the_notebook_that_runs_must_be_the_one_that_counts(
    lab: session.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = lab.folder / f"{NAME}-Copy1.ipynb"
    copy.write_bytes((lab.folder / NOTEBOOK).read_bytes())
    monkeypatch.setenv("JPY_SESSION_NAME", str(copy))
    shown, path = hand_in(lab, {})
    assert path is None
    assert f"You work in {NAME}-Copy1.ipynb, but {NOTEBOOK} is what counts" in repr(shown)
    copy.replace(lab.folder / NOTEBOOK)  # renamed, which the variable does not notice
    assert hand_in(lab, {})[1] is not None
    monkeypatch.setenv("JPY_SESSION_NAME", str(lab.folder / NOTEBOOK))
    assert hand_in(lab, {})[1] is not None


def test_submitting_from_anywhere_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(session, "_current", None)
    labkit.submit()
    assert "Nothing can be handed in from here" in capsys.readouterr().out


def test_the_command_writes_the_same_zip(
    lab: session.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["submit", NAME, "--labs", str(lab.folder.parent)]
    (lab.folder / build.PUBLIC_CASES).write_text(json.dumps(lab.public))
    assert program.main(command) == 0
    assert "is ready to hand in" in capsys.readouterr().out
    (lab.folder / NOTEBOOK).unlink()
    assert program.main(command) == 1
    assert "Nothing was written" in capsys.readouterr().out
    assert program.main(["submit", "lab99_none", "--labs", str(lab.folder.parent)]) == 1
    assert capsys.readouterr().err == f"there is no lab 'lab99_none'; there is {NAME}\n"


def test_an_answer_that_is_not_saved_is_noticed(lab: session.Session, built: build.Built) -> None:
    """In a real kernel: what was run last is compared with the file."""
    (lab.folder / build.PUBLIC_CASES).write_bytes(built.student[build.PUBLIC_CASES])
    sources = {
        cell["metadata"]["nbgrader"]["grade_id"]: cell["source"]
        for cell in nbformat.reads(built.source.decode(), as_version=4).cells
        if "nbgrader" in cell["metadata"]
    }
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(code)
            for code in (
                *(sources[i] for i in ("cell-start", "cell-imports", "softmax", "RunningMean")),
                "labkit.submit()",
                "def softmax(logits, temperature):\n    return logits",
                "labkit.submit()",
            )
        ]
    )
    resources = {"metadata": {"path": str(lab.folder)}}
    NotebookClient(notebook, kernel_name="python3", resources=resources).execute()
    saved, unsaved = (
        " ".join(notebook.cells[i].outputs[0]["data"]["text/plain"].split()) for i in (4, 6)
    )
    assert "is ready to hand in" in saved and "another version" not in saved
    assert "`softmax`: the file holds another version than the one you last ran. Save" in unsaved


# -- artifacts -----------------------------------------------------------------------------------


def test_an_artifact_survives_the_way_to_the_grader(
    lab: session.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = {
        "torch": torch.arange(6, dtype=torch.float32).reshape(2, 3).T.requires_grad_(True),
        "numpy": np.arange(12).reshape(3, 4)[:, ::2],
        "number": 0.5,
        "half": torch.full((2,), 1.5, dtype=torch.bfloat16),
    }
    labkit.save_artifact("agent.safetensors", tensors)
    assert capsys.readouterr().out == (
        "Saved agent.safetensors: torch (3, 2), numpy (3, 2), number (), half (2,)\n"
    )
    loaded = labkit.load_artifact(lab.folder / "agent.safetensors")
    assert loaded["torch"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert loaded["numpy"].tolist() == [[0, 2], [4, 6], [8, 10]]
    assert loaded["number"].shape == () and loaded["number"] == 0.5
    assert loaded["half"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize(
    ("name", "tensors", "message"),
    [
        ("agent.pt", {"a": np.zeros(1)}, "an artifact is a file named like agent.safetensors"),
        ("../agent.safetensors", {"a": np.zeros(1)}, "an artifact is a file named like"),
        ("agent.safetensors", {"a": "text"}, "'a' is a str, not an array of numbers"),
        ("agent.safetensors", {"a": np.array([None])}, "not an array of numbers"),
        ("agent.safetensors", {"a": np.array([np.inf])}, "'a' holds numbers that are not finite"),
        ("agent.safetensors", {"a": np.zeros(5 << 20)}, "would take 40 of 32 MiB"),
    ],
)
def test_what_is_no_artifact_is_refused_when_it_is_saved(
    lab: session.Session, name: str, tensors: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        labkit.save_artifact(name, tensors)
    assert _left_behind(lab) == []


def test_hostile_bytes_are_no_artifact(tmp_path: Path) -> None:
    whole = _artifact()
    cut = [whole[:length] for length in range(0, len(whole), 7)]
    for raw in (*cut, os.urandom(200), b"\xff" * 100, whole.replace(b"F64", b"XXX")):
        with pytest.raises(ArtifactError):
            labkit.load_artifact(raw)
    with pytest.raises(FileNotFoundError):
        labkit.load_artifact(tmp_path / "nothing.safetensors")


def test_validate_is_what_submitting_offers() -> None:
    assert submitting.validate is validation.validate
