"""Looks for lines of a solution in what students get."""

from __future__ import annotations

import io
import json
import re
import tokenize
from pathlib import Path
from typing import Any

from autograder.discover import LoadedLab
from autograder.errors import LabError
from autograder.spec import Item

TRIVIAL_TOKENS = 6
"""A line of fewer tokens (``total = 0.0``, ``return total``) is nobody's secret."""
_SKIPPED = (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)
_GYMNASIUM = re.compile(r"= env\.(reset|step)\(")


def given_lines(lab: LoadedLab) -> set[str]:
    """Return the lines of reference.py that students get: what is provided, and bug clinics."""
    texts = [
        lab.source.definitions[name].text
        for cell in lab.labfile.of_kind("provided")
        for name in cell.names
    ]
    for exercise in lab.exercises:
        texts += [
            lab.mutated_text(exercise, mutant)
            for mutant in exercise.mutants
            if mutant.name == exercise.clinic
        ]
    return {squeezed(line) for text in texts for line in text.splitlines()}


def secret_lines(lab: LoadedLab, item: Item) -> dict[str, int]:
    """Return the lines of an item's solution that a student must not find, with their numbers.

    Left out are lines too short to say anything and lines that students are given.
    """
    definition = lab.source.definitions.get(item.name)
    if definition is None:
        return {}
    given, lines = given_lines(lab), lab.source.text.splitlines()
    return {
        squeezed(lines[number - 1]): number
        for first, last in definition.bodies()
        for number in range(first, last + 1)
        if squeezed(lines[number - 1]) not in given and _says_something(lines[number - 1])
    }


def squeezed(line: str) -> str:
    """Return a line without its margins, every run of blanks made one."""
    return " ".join(line.split())


def _says_something(line: str) -> bool:
    if _GYMNASIUM.search(line):
        return False
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.strip() + "\n").readline))
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return len(line.split()) > TRIVIAL_TOKENS
    telling = [token for token in tokens if token.type not in _SKIPPED and token.string]
    return len(telling) >= TRIVIAL_TOKENS


def texts_in(data: bytes) -> list[str]:
    """Return the lines of a file, of a notebook those of its cells, blanks squeezed."""
    text = data.decode("utf-8", errors="replace")
    try:
        found = list(_strings(json.loads(text)))
    except ValueError:
        found = [text]
    return [squeezed(line) for string in found for line in string.splitlines()]


def _strings(tree: Any) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    if isinstance(tree, dict):
        if tree.get("cell_type") and isinstance(tree.get("source"), list):
            tree = tree | {"source": "".join(tree["source"])}
        return [s for key, value in tree.items() for s in (key, *_strings(value))]
    if isinstance(tree, list):
        return [s for value in tree for s in _strings(value)]
    return []


def check_leaks(lab: LoadedLab, files: dict[Path, bytes]) -> None:
    """Check that no telling line of a solution is in what students get.

    Args:
        lab: the lab.
        files: content by path: the lab's generated files, and those of labkit.

    Raises:
        LabError: on the first line that is.
    """
    secrets = {item.name: secret_lines(lab, item) for item in lab.items}
    for path, data in files.items():
        lines = texts_in(data)
        for name, secret in secrets.items():
            for line, number in secret.items():
                if any(line in text for text in lines):
                    message = f"this line of the answer to `{name}` is also in {path.name}"
                    raise LabError(message, lab.path / "reference.py", number)
