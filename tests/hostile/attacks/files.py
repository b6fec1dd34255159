"""Attacks by what is handed in beside, or instead of, the notebook."""

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.hostile.declare import Attack, Goal, link, special

READ: Goal = "secret read"
STOPPED: Goal = "run stopped or delayed"
NOTEBOOK = "lab00_hostile.ipynb"
SHOW = """
import pathlib
for path in sorted(pathlib.Path(".").rglob("*"))[:2000]:
    try:
        print(path, path.read_text()[:2000] if path.is_file() else "")
    except OSError:
        pass
"""


def bomb() -> bytes:
    """A zip of 100 MB of zeros."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../../../tmp/@LEFT@", bytes(100 << 20))
    return raw.getvalue()


def links(folder: Path, names: Mapping[str, str]) -> None:
    """Links to everything worth reading, by every way of naming it."""
    for number, key in enumerate(("SEED", "EXAM", "COURSE", "SUBMISSIONS", "WITNESS", "HOME")):
        (folder / f"link{number}").symlink_to(names[key])
        relative = os.path.relpath(names[key], folder)
        (folder / f"relative{number}").symlink_to(relative)
    (folder / "loop").symlink_to("loop")
    (folder / "up").symlink_to("../..")
    (folder / "root").symlink_to("/")


def crowd(folder: Path, names: Mapping[str, str]) -> None:
    for number in range(3000):
        (folder / f"{number}.txt").touch()


def depths(folder: Path, names: Mapping[str, str]) -> None:
    for _ in range(60):
        folder = folder / "deeper"
    folder.mkdir(parents=True)
    (folder / "end.txt").write_text("here")


def sparse(folder: Path, names: Mapping[str, str]) -> None:
    with (folder / "data.bin").open("wb") as file:
        file.truncate(1 << 40)


def folder_instead(folder: Path, names: Mapping[str, str]) -> None:
    (folder / NOTEBOOK).unlink()
    (folder / NOTEBOOK / "x").mkdir(parents=True)


ATTACKS = (
    Attack(
        "links",
        "hands in links to seed, exam and others' notebooks, and shows them",
        READ,
        after={"": SHOW},
        plant=links,
    ),
    Attack(
        "link-for-a-notebook",
        "hands in a link to another student's notebook as its own",
        READ,
        plant=link(NOTEBOOK, "WITNESS"),
        earns=0.0,
    ),
    Attack(
        "pipe-for-a-notebook",
        "hands in a pipe as notebook, which blocks who reads it",
        STOPPED,
        plant=special(NOTEBOOK, os.mkfifo),
        earns=0.0,
    ),
    Attack(
        "folder-for-a-notebook",
        "hands in a folder with the notebook's name",
        STOPPED,
        plant=folder_instead,
        earns=0.0,
    ),
    Attack("crowd-of-files", "hands in 3,000 files", STOPPED, plant=crowd, earns=0.0),
    Attack("deep-folders", "hands in a file sixty folders deep", STOPPED, plant=depths),
    Attack("terabyte", "hands in a sparse file of a terabyte", STOPPED, plant=sparse),
    Attack(
        "zip-bomb",
        "hands in a zip of 100 MB of zeros with a path out of its folder",
        "something left behind",
        files={"more.zip": bomb()},
    ),
    Attack(
        "forged-timestamp",
        "hands in timestamps of the future, of year 0 and of no date",
        STOPPED,
        files={"timestamp.txt": b"9999-99-99 99:99:99 UTC" * 1000},
    ),
    Attack(
        "commands-in-files",
        "hands in files that tools run when they meet them",
        "something left behind",
        files=dict.fromkeys(
            (
                "Makefile",
                ".bashrc",
                "setup.py",
                "pyproject.toml",
                "alembic.ini",
                ".git/hooks/post-checkout",
                ".ipython/profile_default/startup/0.py",
                "gradebook.db",
                "results.jsonl",
                "grades.csv",
                "env.py",
            ),
            b"touch @ROOM@/@LEFT@\n!touch @ROOM@/@LEFT@\n",
        ),
    ),
)
