"""Makes a lab and its chapter from a template; both build, and the lab can be graded at once."""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

from autograder import build, discover
from autograder.errors import LabError

TEMPLATES = Path(__file__).parent / "templates" / "new_lab"
CHAPTER = "chapter.md"


def files_for(name: str, root: Path) -> dict[Path, str]:
    """Return content by path of the new lab's folder and chapter.

    Args:
        name: ``labNN_topic``.
        root: the repository.

    Raises:
        LabError: if the name is not one for a lab, or something is there already.
    """
    if not discover.is_lab(name):
        message = f"{name!r} is not a name for a lab: use labNN_topic, such as lab13_new_topic"
        raise LabError(message)
    number, topic = name[3:5], name[6:]
    chapter = root / "book" / "chapters" / f"{number}_{topic}.md"
    lab = root / "solutions" / name
    for path in (lab, chapter, root / "labs" / name):
        if path.exists():
            raise LabError("is there already; nothing was changed", path)
    for other in discover.lab_names(root / "solutions"):
        if other[3:5] == number:
            raise LabError(f"lab {number} is there already, as {other}; nothing was changed")
    words = {
        "@LAB@": name,
        "@NUMBER@": str(int(number)),
        "@TITLE@": topic.replace("_", " ").capitalize(),
        "@TOPIC@": topic.replace("_", "-"),
    }
    files = {}
    for template in sorted(TEMPLATES.glob("*.txt")):
        text = re.sub("@[A-Z]+@", lambda match: words[match[0]], template.read_text("utf-8"))
        file = template.name.removesuffix(".txt")
        files[chapter if file == CHAPTER else lab / file] = text
    return files


def make_lab(name: str, root: Path = discover.ROOT) -> list[Path]:
    """Write a new lab and its chapter, build the lab, and return the files to edit.

    Raises:
        LabError: if it cannot be made; then nothing of it is left behind.
    """
    files = files_for(name, root)
    labs, course = root / "labs", root / "build" / "course"
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        lab = discover.load(name, root / "solutions")
        url = build.course_labs_url(root / "book")
        build.write(build.build_lab(lab, labs=labs, labs_url=url), labs=labs, course=course)
    except BaseException as error:
        for folder in (root / "solutions", labs, course / "source", course / "release"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for path in files:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            message = f"could not be written ({error.strerror}); nothing was changed"
            raise LabError(message) from None
        raise
    return list(files)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("name", metavar="NAME", help="labNN_topic")
    parser.add_argument("--root", type=Path, default=discover.ROOT, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Run the command: 0 if the lab is there now, 2 if it cannot be made."""
    try:
        files = make_lab(options.name, options.root)
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    print("made, and ready to be edited:")
    for path in files:
        print(f"  {path}")
    print(f"  then: python -m autograder build {options.name}")
    return 0
