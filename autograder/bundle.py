"""Zip what students and instructors get: the same bytes each time, and no answer for students."""

from __future__ import annotations

import argparse
import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from autograder import build

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
EPOCH = (1980, 1, 1, 0, 0, 0)
LICENCES = ("LICENSE", "LICENSE-text")
STUDENT_FILES = ("README.md", "pyproject.toml")
HOUSE = ("autograder", "benchmarks", "book", "docs", "labs", "solutions", "tests")
HOUSE_FILES = (
    *LICENCES,
    ".ci/run",
    ".dockerignore",
    ".gitattributes",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "Makefile",
    "README.md",
    "bootstrap.py",
    "container-seccomp.json",
    "pyproject.toml",
    "requirements.txt",
)
GENERATED = {"_build", "__pycache__", "node_modules"}


def kept(folder: Path) -> Iterator[Path]:
    """The files under a folder that somebody wrote, sorted: nothing hidden, cached or built."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = filter(_is_written, folders)
        found += [Path(place, name) for name in files if _is_written(name)]
    yield from sorted(path for path in found if path.is_file() and not path.is_symlink())


def _is_written(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".egg-info") and name not in GENERATED


def packed(files: Mapping[str, bytes]) -> bytes:
    """A zip of these files whose bytes depend on their names and contents alone."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            mode = 0o755 if files[name].startswith(b"#!") else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()


def labs(root: Path = ROOT) -> list[str]:
    """The names of the labs that are built, in order."""
    return sorted(path.parent.name for path in root.glob("labs/lab*/public_cases.json"))


def lab_files(names: Iterable[str], root: Path = ROOT) -> dict[str, bytes]:
    """What a student of these labs gets, by its path in the bundle.

    A lab's folder is listed by name: what somebody's own work left beside it stays here.
    """
    source = root / "labs"
    wanted = [source / name for name in STUDENT_FILES]
    wanted += [path for path in kept(source / "labkit") if not path.name.startswith("test_")]
    for name in names:
        wanted += [source / name / f"{name}.ipynb", source / name / "public_cases.json"]
    files = {path.relative_to(source).as_posix(): path.read_bytes() for path in wanted}
    return files | {name: (root / name).read_bytes() for name in LICENCES}


def lab_zip(name: str, root: Path = ROOT) -> bytes:
    """One lab with what it needs, for the website and for Colab."""
    return packed(lab_files([name], root))


def student_zip(root: Path = ROOT) -> bytes:
    """All labs, in a folder ``labs``."""
    files = lab_files(labs(root), root)
    return packed({f"labs/{name}": content for name, content in files.items()})


def instructor_zip(root: Path = ROOT) -> bytes:
    """The whole house as it is written, with nbgrader's instructor notebooks under ``source``."""
    files = {name: (root / name).read_bytes() for name in HOUSE_FILES}
    written = (path for folder in HOUSE for path in kept(root / folder))
    for path in written:
        if not path.is_relative_to(root / "book" / "labs"):  # the website's copies
            files[path.relative_to(root).as_posix()] = path.read_bytes()
    source = root / "build" / "course" / "source"
    for path in kept(source):
        files[f"source/{path.relative_to(source).as_posix()}"] = path.read_bytes()
    return packed(files)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the zips go."""
    parser.add_argument("--out", type=Path, default=DIST, help="folder of the zips (dist)")


def is_current() -> bool:
    """Whether ``labs/`` is what ``solutions/`` gives; says on stderr what is not.

    An answer that somebody tried out in a notebook of ``labs/`` would go to every student.
    """
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    return build.run(parser.parse_args(["--check"])) == 0


def run(args: argparse.Namespace) -> int:
    """Write every bundle; 1, and nothing is written, when ``labs/`` is not what it should be."""
    if not is_current():
        return 1
    bundles = {"student.zip": student_zip(), "instructor.zip": instructor_zip()}
    bundles |= {f"{name}.zip": lab_zip(name) for name in labs()}
    args.out.mkdir(parents=True, exist_ok=True)
    for name, content in bundles.items():
        (args.out / name).write_bytes(content)
        print(f"{len(content) / 1e6:6.2f} MB  {args.out / name}")
    return 0
