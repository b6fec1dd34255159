"""Submissions are found in folders and zips, and nothing that they hold leads out of them."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import pytest

from autograder import handed_in
from autograder.collect import (
    CollectError,
    RefusedError,
    Student,
    Submission,
    bad_id,
    collect,
    printable,
    read_roster,
)
from autograder.unpack import safe_member

LAB = "lab00_toy"
NOTEBOOK = f"{LAB}.ipynb"


def zipped(files: dict[str, bytes], links: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
        for name in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, raw in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(raw)
    return folder


def content(submission: Submission) -> dict[str, bytes]:
    assert submission.read is not None, submission
    return submission.read().content


def by_student(submissions: list[Submission]) -> dict[str, dict[str, bytes]]:
    return {s.student_id: content(s) for s in submissions}


def test_nbgraders_layout(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            f"ada/{LAB}/{NOTEBOOK}": b"1",
            f"ada/{LAB}/data/x.csv": b"2",
            f"ada/{LAB}/.ipynb_checkpoints/{NOTEBOOK}": b"old",
            "ada/lab01_other/lab01_other.ipynb": b"3",
            f"bob/{LAB}/{NOTEBOOK}": b"4",
            "README.txt": b"of the instructor",
        },
    )
    assert by_student(collect(tmp_path, LAB)) == {
        "ada": {NOTEBOOK: b"1", "data/x.csv": b"2"},
        "bob": {NOTEBOOK: b"4"},
    }


def test_downloads_of_learning_platforms(tmp_path: Path) -> None:
    """Canvas adds numbers to names, Moodle makes folders, a browser counts copies."""
    one = zipped({f"{LAB}/{NOTEBOOK}": b"1", f"{LAB}/timestamp.txt": b"1999-01-01"})
    write(
        tmp_path,
        {
            f"adaleon_1234_5678_{LAB}-submission.zip": one,
            f"bobross_late_1234_5679_{LAB}-submission-1.zip": one,
            f"Cy Twombly_9876_assignsubmission_file_/{LAB}-submission.zip": one,
            f"dan-{LAB}-submission (2).zip": one,
            f"eve_{LAB}.ipynb": b"5",
        },
    )
    got = by_student(collect(tmp_path, LAB))
    assert got.pop("eve") == {f"eve_{LAB}.ipynb": b"5"}
    assert list(got) == ["Cy Twombly", "adaleon", "bobross", "dan"]
    assert all(files == {NOTEBOOK: b"1"} for files in got.values())  # the student's clock left out


@pytest.mark.parametrize("top", ["", "class/"])
def test_one_zip_of_a_class(tmp_path: Path, top: str) -> None:
    inner = zipped({NOTEBOOK: b"2"})
    raw = zipped({f"{top}ada/{LAB}/{NOTEBOOK}": b"1", f"{top}bob.zip": inner})
    write(tmp_path, {"class.zip": raw})
    assert by_student(collect(tmp_path / "class.zip", LAB)) == {
        "ada": {NOTEBOOK: b"1"},
        "bob": {NOTEBOOK: b"2"},
    }


@pytest.mark.parametrize("name", [NOTEBOOK, f"{LAB}/{NOTEBOOK}"])
def test_one_zip_of_one_student(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"ada.zip": zipped({name: b"1"})})
    (only,) = collect(tmp_path / "ada.zip", LAB)
    assert (only.student_id, content(only)) == ("ada", {NOTEBOOK: b"1"})


def test_the_roster_names_who_is_missing_and_who_is_meant(tmp_path: Path) -> None:
    roster = {i: Student(i) for i in ("ada", "ada_2", "zoe")}
    folder = write(tmp_path / "in", {f"ada_2_77_88_{LAB}.zip": zipped({NOTEBOOK: b"1"})})
    got = {s.student_id: s.read is not None for s in collect(folder, LAB, roster)}
    assert got == {"ada": False, "ada_2": True, "zoe": False}


def test_a_folder_with_other_labs_alone_hands_in_nothing(tmp_path: Path) -> None:
    """What else is there is read, since a student may have misnamed the lab's own folder."""
    lab, other = "lab02_q_learning_sarsa", "lab01_rl_basics"
    write(
        tmp_path,
        {
            f"abara/{other}/{other}.ipynb": b"{}",
            f"bauer/{other}/{other}.ipynb": b"{}",
            f"bauer/{lab}/{lab}.ipynb": b"{}",
            "costa/lab2/lab2.ipynb": b"{}",
        },
    )
    abara, bauer, costa = collect(tmp_path, lab)
    assert abara.read is None
    assert not abara.problem
    assert set(content(bauer)) == {f"{lab}.ipynb"}
    assert set(content(costa)) == {"lab2/lab2.ipynb"}


def test_a_second_submission_of_the_same_student_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, {f"ada/{LAB}/{NOTEBOOK}": b"1", "ada.zip": zipped({NOTEBOOK: b"2"})})
    (only,) = collect(tmp_path, LAB)
    assert content(only) == {NOTEBOOK: b"1"}
    assert only.note == "handed in twice: ada counts"


def test_links_and_special_files_are_never_opened(tmp_path: Path) -> None:
    secret = write(tmp_path, {"secret/key.txt": b"secret"}) / "secret"
    folder = write(tmp_path / "in", {f"ada/{LAB}/{NOTEBOOK}": b"1"})
    mine = folder / "ada" / LAB
    (mine / "key.txt").symlink_to(secret / "key.txt")
    (mine / "folder").symlink_to(secret)
    os.mkfifo(mine / "pipe")
    (folder / "bob").symlink_to(secret)
    (folder / "cy").mkdir()
    (folder / "cy" / LAB).symlink_to(secret)
    ada, bob, cy = collect(folder, LAB)
    assert ada.read is not None
    files = ada.read()
    assert files.content == {NOTEBOOK: b"1"}
    assert len(files.notes) == 3
    assert bob.read is None
    assert "link" in bob.problem
    assert cy.read is not None
    with pytest.raises(RefusedError, match="link"):
        cy.read()


def test_a_zip_cannot_lead_out_of_itself(tmp_path: Path) -> None:
    raw = zipped(
        {NOTEBOOK: b"1", "../../evil.txt": b"x", "/etc/evil": b"x", "a\\..\\..\\b": b"x"},
        links=("passwd",),
    )
    write(tmp_path, {"ada.zip": raw})
    (only,) = collect(tmp_path, LAB)
    assert only.read is not None
    files = only.read()
    assert files.content == {NOTEBOOK: b"1"}
    assert len(files.notes) == 4


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("a/b.txt", "a/b.txt"),
        ("a\\b.txt", "a/b.txt"),
        ("./a", "a"),
        ("../a", None),
        ("a/../../b", None),
        ("/a", None),
        ("\\a", None),
        ("C:\\a", None),
        ("a\0b", None),
        ("", None),
        ("/".join("a" * 50), None),
    ],
)
def test_paths_in_zips(name: str, inside: str | None) -> None:
    assert safe_member(name) == inside


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"PK\x05\x06 damaged", "unpack"),
        (zipped({"zeros": bytes(2 << 20)}), "unpacks to more than 1 MiB"),
        (zipped({f"{i}.txt": b"" for i in range(30)}), "more than 20 files"),
        (zipped({NOTEBOOK: b"x" * 999}).replace(b"x" * 3, b"yyy", 1)[:-40], "unpack"),
    ],
    ids=["no zip", "bomb", "many files", "cut off"],
)
def test_zips_that_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: bytes, said: str
) -> None:
    monkeypatch.setattr(handed_in, "MAX_FILES", 20)
    monkeypatch.setattr(handed_in, "MAX_TOTAL_BYTES", 1 << 20)
    monkeypatch.setattr(handed_in, "MAX_FILE_BYTES", 1 << 20)
    write(tmp_path, {"ada.zip": raw, f"bob/{LAB}/{NOTEBOOK}": b"1"})
    ada, bob = collect(tmp_path, LAB)
    assert ada.read is not None
    with pytest.raises(RefusedError, match=said):
        ada.read()
    assert content(bob) == {NOTEBOOK: b"1"}


def test_a_folder_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handed_in, "MAX_TOTAL_BYTES", 10)
    monkeypatch.setattr(handed_in, "MAX_FILE_BYTES", 8)
    write(tmp_path, {f"ada/{LAB}/a": b"12345678", f"ada/{LAB}/b": b"12345678"})
    write(tmp_path, {f"bob/{LAB}/a": b"123456789"})
    ada, bob = collect(tmp_path, LAB)
    assert ada.read is not None
    with pytest.raises(RefusedError, match="handed in"):
        ada.read()
    assert bob.read is not None
    with pytest.raises(RefusedError, match="larger than"):
        bob.read()


@pytest.mark.parametrize(
    "name",
    [
        "=cmd|'/C calc'!A0",
        "+1",
        "-x",
        "@sum",
        "<script>",
        "a/b",
        "..",
        "a\nb",
        "a*",
        "[a]",
        "",
        "x" * 129,
    ],
)
def test_ids_that_are_not_usable(name: str) -> None:
    assert bad_id(name)


@pytest.mark.parametrize(
    "name", ["a", "ada.leon", "o'neil, a"[:6], "Jürgen Weiß", "s-12_3", "a@b.c"]
)
def test_ids_that_are(name: str) -> None:
    assert not bad_id(name)


def test_a_hostile_name_costs_its_own_student_only(tmp_path: Path) -> None:
    write(tmp_path, {f"=1+1/{LAB}/{NOTEBOOK}": b"1", f"ada/{LAB}/{NOTEBOOK}": b"2"})
    hostile, ada = collect(tmp_path, LAB)
    assert hostile.read is None
    assert hostile.problem.startswith("a student's id")
    assert content(ada) == {NOTEBOOK: b"2"}


def test_names_are_shown_without_control_characters() -> None:
    assert printable("a\x1b[31m\n\u202eb") == "a�[31m��b"
    assert len(printable("x" * 500)) == 120


@pytest.mark.parametrize(
    "text",
    [
        "student_id,first_name,last_name,email\nada,Ada,Leon,a@b.c\nbob,,,\n",
        "\ufeffid,email,first_name,last_name\nada,a@b.c,Ada,Leon\n bob ,,,\n\n",
    ],
)
def test_rosters(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"roster.csv": text.encode()})
    assert read_roster(tmp_path / "roster.csv") == {
        "ada": Student("ada", "Ada", "Leon", "a@b.c"),
        "bob": Student("bob"),
    }


def test_a_roster_may_be_a_plain_list(tmp_path: Path) -> None:
    write(tmp_path, {"roster.txt": b"ada\n\nbob\n"})
    assert list(read_roster(tmp_path / "roster.txt")) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"ada\nada\n", "twice"),
        (b"=1+1\n", "is made of letters"),
        (b"\xff\xfe\xfa", "cannot be read"),
    ],
)
def test_rosters_that_are_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    write(tmp_path, {"roster.txt": raw})
    with pytest.raises(CollectError, match=said):
        read_roster(tmp_path / "roster.txt")


def test_what_is_neither_folder_nor_zip_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", write(tmp_path, {"a.txt": b"1"}) / "a.txt"):
        with pytest.raises(CollectError, match="neither a folder nor a zip"):
            collect(path, LAB)
