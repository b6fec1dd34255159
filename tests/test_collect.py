"""Submissions are found in folders and zips, and nothing that they hold leads out of them."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import random
import stat
import zipfile
from pathlib import Path

import pytest

from autograder import handed_in, listing, unpack
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
from autograder.course import Course
from autograder.grade import Options, grade
from autograder.unpack import safe_member
from tests.grading import TOY

LAB = "lab00_toy"
NOTEBOOK = f"{LAB}.ipynb"


def zipped(
    files: dict[str, bytes],
    links: tuple[str, ...] = (),
    when: tuple[int, int, int, int, int, int] = (2026, 1, 2, 3, 4, 6),
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(zipfile.ZipInfo(name, when), raw, zipfile.ZIP_DEFLATED)
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


def test_files_of_one_student_on_canvas_belong_together(tmp_path: Path) -> None:
    """Canvas puts all files side by side; a number tells people of one name apart."""
    folder = write(
        tmp_path / "in",
        {
            f"doejane_11_501_{LAB}.ipynb": b"first",
            f"doejane_11_603_{LAB}-1.ipynb": b"handed in again",
            "doejane_11_502_bandit.safetensors": b"weights",
            f"doejane_LATE_12_504_{LAB}.ipynb": b"another Jane",
            "roejo_13_505_essay.pdf": b"no notebook",
            "anon_x7Yz_506_lab.ipynb": b"6",
            "LATE_anon_Ab12_507_lab.ipynb": b"7",
            "zadehali_14_text.html": b"sorry",
        },
    )
    for source in (folder, write(tmp_path / "zip", {"submissions.zip": folded(folder)})):
        found = collect(source, LAB)
        assert by_student(found) == {
            "anon_Ab12": {"lab.ipynb": b"7"},
            "anon_x7Yz": {"lab.ipynb": b"6"},
            "doejane_11": {NOTEBOOK: b"handed in again", "bandit.safetensors": b"weights"},
            "doejane_12": {NOTEBOOK: b"another Jane"},
            "roejo": {"essay.pdf": b"no notebook"},
            "zadehali": {"text.html": b"sorry"},
        }
        late = {s.student_id for s in found if "late" in s.note}
        assert late == {"anon_Ab12", "doejane_12"}


def folded(folder: Path) -> bytes:
    """The files of a folder as the one zip that a learning platform would give."""
    files = {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}
    return zipped(files)


def test_moodle_names_a_folder_or_the_start_of_a_file(tmp_path: Path) -> None:
    folder = "Jürgen Weiß_31_assignsubmission_file_"
    text = "Jürgen Weiß_31_assignsubmission_onlinetext_/onlinetext.html"
    flat = "Ada O’Neil (Ms)_32_assignsubmission_file"
    write(
        tmp_path,
        {
            f"{folder}/{NOTEBOOK}": b"1",
            f"{folder}/timestamp.txt": b"1999-01-01 00:00:00 UTC",
            text: b"see the file",
            f"{flat}_{NOTEBOOK}": b"2",
            f"{flat}_data.csv": b"3",
            f"Cy Twombly_33_assignsubmission_file_/{LAB}-submission.zip": zipped(
                {f"{LAB}/{NOTEBOOK}": b"4"}
            ),
        },
    )
    assert by_student(collect(tmp_path, LAB)) == {
        "Ada O’Neil (Ms)": {NOTEBOOK: b"2", "data.csv": b"3"},
        "Cy Twombly": {NOTEBOOK: b"4"},
        "Jürgen Weiß": {NOTEBOOK: b"1"},
    }


def test_one_zip_of_moodle_with_one_student(tmp_path: Path) -> None:
    inner = zipped({f"{LAB}/{NOTEBOOK}": b"4"})
    name = f"Cy Twombly_33_assignsubmission_file_/{LAB}-submission.zip"
    write(tmp_path, {"class.zip": zipped({name: inner})})
    assert by_student(collect(tmp_path / "class.zip", LAB)) == {"Cy Twombly": {NOTEBOOK: b"4"}}


def test_of_attempts_on_blackboard_the_latest_counts(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            f"Lab 0_jdoe_attempt_2026-03-09-10-00-00_{NOTEBOOK}": b"late but better",
            f"Lab 0_jdoe_attempt_2026-03-01-23-59-59_{NOTEBOOK}": b"early",
            "Lab 0_jdoe_attempt_2026-03-09-10-00-00_x.csv": b"1",
            "Lab 0_jdoe_attempt_2026-03-09-10-00-00.txt": b"Name: Jane Doe (jdoe)",
            f"Lab_0_roe_x_attempt_2026-03-01-10-00-00_y_jdoe_attempt_2027-01-01-00-00-00_{LAB}"
            ".ipynb": b"Roe's, whatever the name goes on to say",
        },
    )
    roster = {i: Student(i) for i in ("jdoe", "roe_x")}
    jdoe, roe = collect(tmp_path, LAB, roster)
    assert content(jdoe) == {NOTEBOOK: b"late but better", "x.csv": b"1"}
    assert jdoe.note.startswith("handed in twice: Lab 0_jdoe_attempt_2026-03-09")
    assert roe.student_id == "roe_x"
    assert list(content(roe).values()) == [b"Roe's, whatever the name goes on to say"]


EARLY, LATE = "2026-03-01 12:00:00.123456 UTC", "2026-03-02 08:00:00.000001 UTC"


def in_exchange(folder: Path) -> Path:
    """What nbgrader's exchange of a course looks like."""
    inbound = folder / "course101" / "inbound"
    (folder / "course101" / "outbound" / LAB).mkdir(parents=True)
    write(
        inbound,
        {
            f"ada+{LAB}+{EARLY}+cYt-b_9xQ1w=/{NOTEBOOK}": b"early",
            f"ada+{LAB}+{LATE}+aaaaaaaaaaaa/{NOTEBOOK}": b"late",
            f"ada+{LAB}+{LATE}+aaaaaaaaaaaa/timestamp.txt": b"1999-01-01 00:00:00 UTC",
            "ada+lab01_other+2027-01-01 00:00:00.0 UTC+bbbb/lab01_other.ipynb": b"other",
            f"c+d+{LAB}+{EARLY}/{NOTEBOOK}": b"no random part, a plus in the name",
        },
    )
    return folder


@pytest.mark.parametrize("below", ["", "course101", "course101/inbound"])
def test_an_exchange_of_nbgrader(tmp_path: Path, below: str) -> None:
    """The latest attempt counts, at the time that nbgrader put into the folder's name."""
    ada, c = collect(in_exchange(tmp_path) / below, LAB)
    assert content(ada) == {NOTEBOOK: b"late", "timestamp.txt": LATE.encode()}
    assert ada.note.startswith("handed in twice: ada+")
    assert c.student_id == "c+d"
    assert content(c)["timestamp.txt"] == EARLY.encode()


def test_attempts_are_ordered_by_moment_not_by_text(tmp_path: Path) -> None:
    times = ("2026-03-01 23:30:00 EST", "2026-03-02 01:00:00 UTC", "soon", "2026-13-99 0:0 UTC")
    write(tmp_path, {f"inbound/ada+{LAB}+{t}+x/{NOTEBOOK}": t.encode() for t in times})
    found = {s.student_id: s for s in collect(tmp_path, LAB)}
    assert content(found["ada"])[NOTEBOOK] == b"2026-03-01 23:30:00 EST"


def test_an_exchange_of_several_courses_asks_which(tmp_path: Path) -> None:
    in_exchange(tmp_path)
    (tmp_path / "course102" / "inbound").mkdir(parents=True)
    (tmp_path / "course102" / "outbound").mkdir()
    with pytest.raises(CollectError, match=r"courses \(course101, course102\): name one"):
        collect(tmp_path, LAB)


def test_a_folder_in_another_students_name_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody can write into an exchange, so the folder's user counts, if it is a student."""
    inbound = write(
        tmp_path / "inbound",
        {
            f"ada+{LAB}+{EARLY}+aaaa/{NOTEBOOK}": b"Ada's",
            f"ada+{LAB}+{LATE}+eeee/{NOTEBOOK}": b"Eve's, in Ada's name",
            f"eve+{LAB}+{EARLY}+ffff/{NOTEBOOK}": b"Eve's",
            f"bob+{LAB}+{EARLY}+gggg/{NOTEBOOK}": b"a service account's",
            f"zoe+{LAB}+{EARLY}+eeee/{NOTEBOOK}": b"Eve's, in Zoe's name",
        },
    )
    users = {"aaaa": "ada", "eeee": "eve", "ffff": "eve", "gggg": "jovyan"}
    monkeypatch.setattr(listing, "_owner", lambda path: users[path.name[-4:]])
    found = {s.student_id: s for s in collect(inbound, LAB)}
    assert content(found["ada"])[NOTEBOOK] == b"Ada's"
    assert found["ada"].note == "a folder in this name belongs to eve: left out"
    assert content(found["eve"])[NOTEBOOK] == b"Eve's"
    assert content(found["bob"])[NOTEBOOK] == b"a service account's"
    assert found["zoe"].read is None
    assert "belongs to eve" in found["zoe"].problem


def test_the_roster_tells_who_a_learning_platform_means(tmp_path: Path) -> None:
    text = "Student;ID;SIS Login ID\n"
    text += "    Points Possible;;\nDoe-Smith, Jane;11;js7\nWeiß, Jürgen;12;jw1\nDoe, Jo;13;jd2\n"
    roster = read_roster(write(tmp_path, {"r.csv": text.encode()}) / "r.csv")
    folder = write(
        tmp_path / "in",
        {
            f"doesmithjane_99_1_{LAB}.ipynb": b"by name",
            f"weis_12_2_{LAB}.ipynb": b"by number",
            "Jo Doe_1234_assignsubmission_file_/x.ipynb": b"by name, first name first",
            f"roe_14_4_{LAB}.ipynb": b"a stranger",
        },
    )
    found = collect(folder, LAB, roster)
    assert {s.student_id: s.note for s in found} == {
        "js7": "",
        "jw1": "",
        "jd2": "",
        "roe": "not on the roster",
    }
    assert all(s.read is not None for s in found)


def test_of_two_with_one_name_none_is_guessed(tmp_path: Path) -> None:
    roster = {i: Student(i, "Jo", "Doe") for i in ("jd1", "jd2")}
    folder = write(tmp_path / "in", {f"doejo_7_8_{LAB}.ipynb": b"1"})
    found = {s.student_id: s for s in collect(folder, LAB, roster)}
    assert found["jd1"].read is found["jd2"].read is None
    assert found["doejo"].note == "not on the roster"


def test_several_zips_of_one_student(tmp_path: Path) -> None:
    """The one with the latest file counts; beside a notebook a zip brings the other files."""
    old, new = (zipped({NOTEBOOK: b"old"}), zipped({NOTEBOOK: b"new"}, when=(2026, 5, 1, 9, 0, 0)))
    write(
        tmp_path,
        {
            "ada/b.zip": old,
            "ada/a.zip": new,
            f"bob/{NOTEBOOK}": b"outside",
            f"bob/{LAB}-submission.zip": zipped({f"{LAB}/{NOTEBOOK}": b"x", f"{LAB}/w.st": b"w"}),
            "bob/broken.zip": b"PK no zip",
            "cy/work.7z": b"7z",
            "dan.rar": b"Rar!",
        },
    )
    ada, bob, cy, dan = collect(tmp_path, LAB)
    assert content(ada) == {NOTEBOOK: b"new"}
    assert content(bob)[NOTEBOOK] == b"outside"
    assert content(bob)["w.st"] == b"w"
    assert cy.read is not None
    assert cy.read().notes == ("work.7z: only zips are opened",)
    assert dan.problem == "a .rar is not opened: hand in a zip"


def test_a_students_own_folder_is_one_submission(tmp_path: Path) -> None:
    write(tmp_path, {f"ada/{LAB}/{NOTEBOOK}": b"1", "ada/lab01_other/x.ipynb": b"2"})
    for folder in (tmp_path / "ada", tmp_path / "ada" / LAB):
        (only,) = collect(folder, LAB)
        assert content(only) == {NOTEBOOK: b"1"}
    (one,) = collect(tmp_path / "ada" / LAB / NOTEBOOK, LAB)
    assert content(one) == {NOTEBOOK: b"1"}


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
        ("a/" + "b" * 256, None),
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


def test_what_one_student_hands_in_never_stops_a_zip_of_a_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handed_in, "MAX_TOTAL_BYTES", 1 << 20)
    monkeypatch.setattr(handed_in, "MAX_FILE_BYTES", 1 << 20)
    monkeypatch.setattr(handed_in, "MAX_FILES", 20)
    raw = zipped(
        {
            f"ada/{LAB}/{NOTEBOOK}": b"1",
            "bomb/zeros": bytes(2 << 20),
            "bomb.zip": zipped({"zeros": bytes(2 << 20)}),
            "locked.zip": locked(zipped({NOTEBOOK: b"2"})),
            **{f"many/{i}": b"" for i in range(30)},
            "sly/../../etc/passwd": b"x",
            f"sly/{NOTEBOOK}": b"3",
            "void/": b"",
            **{f"large{i}/{NOTEBOOK}": b"x" * 700_000 for i in range(3)},  # above it together
        },
        links=("tied/passwd",),
    )
    write(tmp_path, {"class.zip": raw})
    found = {s.student_id: s for s in collect(tmp_path / "class.zip", LAB)}
    assert content(found["ada"]) == {NOTEBOOK: b"1"}
    assert content(found["sly"]) == {NOTEBOOK: b"3"}
    assert content(found["large2"]) == {NOTEBOOK: b"x" * 700_000}
    assert content(found["void"]) == {}
    for name, said in (("bomb", "MiB"), ("locked", "password"), ("many", "20 files")):
        read = found[name].read
        assert read is not None
        with pytest.raises(RefusedError, match=said):
            read()
    assert found["sly"].read is not None
    assert "a path out of the zip" in found["sly"].read().notes[0]


def locked(raw: bytes) -> bytes:
    """A zip that says that its files are encrypted."""
    changed = bytearray(raw)
    for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        changed[raw.index(start) + offset] |= 1
    return bytes(changed)


def test_a_zip_of_too_many_entries_is_refused_before_they_are_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handed_in, "MAX_FILES", 2)
    monkeypatch.setattr(zipfile, "ZipFile", pytest.fail)
    with pytest.raises(RefusedError, match="more than 2 files"):
        unpack.read_zip(unpack.ENTRY * 41)


@pytest.mark.parametrize("seed", range(40))
def test_a_zip_with_any_byte_changed_is_read_or_refused(seed: int) -> None:
    """Lengths, offsets, counts and methods that lie, zip64 among them."""
    raw = bytearray(zipped({NOTEBOOK: b"x" * 99, "b": b"y"}))
    rng = random.Random(seed)
    for _ in range(rng.randrange(1, 9)):
        raw[rng.randrange(len(raw))] = rng.choice((0, 1, 0x7F, 0xFF, rng.randrange(256)))
    with contextlib.suppress(RefusedError):
        assert all(safe_member(name) == name for name in unpack.read_zip(bytes(raw)).content)


def test_names_in_zips(tmp_path: Path) -> None:
    """UTF-8 that does not say so, code page 437, both forms of an umlaut, one name twice."""
    odd = {"über.csv": b"1", "re\u0301sume\u0301.txt": b"2", "CON": b"3", "x.txt": b"4"}
    raw = zipped(odd | {"X.TXT": b"5", "y.txt": b"6", "z.txt": b"7"})
    raw = raw.replace(b"z.txt", b"y.txt")  # the last one counts, as wherever zips are opened
    for at in [i for i in range(len(raw)) if raw[i : i + 4] in (b"PK\x03\x04", b"PK\x01\x02")]:
        flag = at + (7 if raw[at + 2] == 3 else 9)
        raw = raw[:flag] + bytes([raw[flag] & ~8]) + raw[flag + 1 :]
    files = unpack.read_zip(raw)
    assert files.content == {
        "über.csv": b"1",
        "résumé.txt": b"2",
        "CON": b"3",
        "x.txt": b"4",
        "X.TXT": b"5",
        "y.txt": b"7",
    }
    assert files.notes == ("y.txt: it is in the zip twice, the last one counts",)
    dos = zipped({"~ber.csv": b"1"}).replace(b"~ber", b"\x81ber")
    assert list(unpack.read_zip(dos).content) == ["über.csv"]


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
        "漢" * 100,
        ".hidden",
        ".",
        "a\u202eb",
        "a\u200bb",
        "＝1+1",
        "a\tb",
        "a ",
        "\udcff",
        "a;b",
        'a"b',
        "a\\b",
        "\u0301a",
    ],
)
def test_ids_that_are_not_usable(name: str) -> None:
    assert bad_id(name)


@pytest.mark.parametrize(
    "name",
    [
        *("a", "ada.leon", "o'neil", "Jürgen Weiß", "s-12_3", "a@b.c", "O’Neil, Ada (Ms.)", "_x"),
        *("नमस्ते", "Gal·la", "王小明", "a+b", "CON", "x" * 128),
    ],
)
def test_ids_that_are(name: str) -> None:
    assert not bad_id(name)


def test_a_hostile_name_costs_its_own_student_only(tmp_path: Path) -> None:
    write(tmp_path, {f"=1+1/{LAB}/{NOTEBOOK}": b"1", f"ada/{LAB}/{NOTEBOOK}": b"2"})
    hostile, ada = collect(tmp_path, LAB)
    assert hostile.read is None
    assert hostile.problem.startswith("a student's id")
    assert content(ada) == {NOTEBOOK: b"2"}


def test_names_that_cannot_be_written_or_told_apart_have_a_row_each(tmp_path: Path) -> None:
    names = (b"\xff\xfe", b"\xff\xfd", b"a\nb", b"a\rb", b"x" * 200, b"x" * 201)
    for name in names:
        write(tmp_path / os.fsdecode(name), {f"{LAB}/{NOTEBOOK}": b"1"})
    write(tmp_path, {f".hidden/{LAB}/{NOTEBOOK}": b"1", ".config/x": b"2"})
    found = collect(tmp_path, LAB)
    assert len(found) == len(names) + 1
    assert all(s.problem and bad_id(s.student_id) for s in found)
    assert all(s.student_id.isprintable() and len(s.student_id) < 100 for s in found)
    "".join(s.student_id for s in found).encode()


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


@pytest.mark.parametrize(
    "raw",
    [
        "Student ID;First Name;Surname;Email address\r\nada;Ada;Weiß;a@b.c\r\n".encode(),
        "ID number\tFirst name\tLast name\tE-mail\nada\tAda\tWeiß\ta@b.c\n".encode("utf-16"),
        "sep=;\r\nUSERNAME;vorname;nachname;mail\r\n ada ;Ada;Weiß;a@b.c\r\n".encode("cp1252"),
        b'\xef\xbb\xbf"SIS Login ID","Student","email"\n"ada","Wei\xc3\x9f, Ada","a@b.c"\n\n',
        "Participant|Login|Full name|Email\nx|ada|Weiß, Ada|a@b.c\n".encode(),
    ],
)
def test_rosters_as_spreadsheets_and_platforms_write_them(tmp_path: Path, raw: bytes) -> None:
    write(tmp_path, {"roster.csv": raw})
    assert read_roster(tmp_path / "roster.csv") == {"ada": Student("ada", "Ada", "Weiß", "a@b.c")}


def test_a_roster_may_be_a_plain_list(tmp_path: Path) -> None:
    write(tmp_path, {"roster.txt": b"ada\n\nbob\n"})
    assert list(read_roster(tmp_path / "roster.txt")) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"ada\nada\n", "twice"),
        (b"=1+1\n", "is made of letters"),
        (b"\xff\xfe\xfa", "cannot be read"),
        (b"PK\x03\x04...", "an Excel workbook: save it as CSV"),
        (b"", "names nobody"),
        (b"student_id,email\n", "names nobody"),
        (b"First name,Last name,Email\nAda,Leon,a@b.c\n", "has no column student_id"),
        (b"id,email\nada,a@b.c\n,x@y.z\n", "line 3 of the roster .* has the id ''"),
        (b"id\nada\n\nAda\nada\n", "line 5 of the roster .* names ada twice"),
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


def test_a_class_in_which_nothing_can_be_opened_is_graded(
    tmp_path: Path, course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every submission has its rows, with a status and a reason that a spreadsheet can show."""
    names = ["=cmd|'calc'!A0", "<script>", "a\nb", "-x", "x" * 200, "ada"]
    folder = tmp_path / "in"
    for name in names:
        write(folder / name, {f"{LAB}/{NOTEBOOK}": b"{"})
    write(
        folder,
        {
            os.fsdecode(b"\xff") + f"/{LAB}/{NOTEBOOK}": b"{",
            "bomb.zip": zipped({"zeros": bytes(65 << 20)}),
            "locked.zip": locked(zipped({NOTEBOOK: b"2"})),
            f"odd/{LAB}/" + "漢" * 80: b"x",
            f"odd/{LAB}/{NOTEBOOK}": b'{"cells": [{"source": "\\ud800"}]}',
            "paper.rar": b"Rar!",
        },
    )
    (folder / "tied").symlink_to("/etc")
    write(tmp_path, {"roster.csv": b"id\nada\nzoe\n"})
    options = Options(
        lab=LAB,
        submissions=folder,
        out=tmp_path / "out",
        course=course.root,
        roster=tmp_path / "roster.csv",
        isolate=False,  # nothing is run
        labs=TOY,
    )
    assert grade(options) == 0
    assert "3 not on the roster, graded all the same: bomb, locked, odd\n" in (
        capsys.readouterr().out
    )
    with (tmp_path / "out" / "grades.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    status = {row["student_id"]: row["status"] for row in rows}
    assert len(status) == len(names) + 7
    assert all(row["status"] != "ok" and row["hint"] for row in rows)
    assert {name: status[name] for name in ("ada", "bomb", "odd", "paper", "tied", "zoe")} == {
        "ada": "malformed",
        "bomb": "rejected",
        "odd": "malformed",
        "paper": "rejected",
        "tied": "rejected",
        "zoe": "missing",
    }
    assert "'=cmd|'calc'!A0" in status
