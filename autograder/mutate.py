"""Makes wrong variants: edits a definition of a reference and runs the whole edited module."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from autograder.sources import Definition, Source


class EditError(Exception):
    """An edit that does not apply, in one sentence."""


def mutated_definition(definition: Definition, old: str, new: str) -> str:
    """Return the text of a definition after an edit.

    Args:
        definition: a function or class.
        old: what the edit looks for; occurs once outside the docstrings.
        new: what it becomes.

    Raises:
        EditError: if ``old`` is not there exactly once, or nothing changes.
    """
    text = definition.text
    if old == new or not old:
        raise EditError("changes nothing")
    inside_docstring = _docstring_spans(definition)
    places = []
    at = text.find(old)
    while at >= 0:
        if not any(start <= at < stop for start, stop in inside_docstring):
            places.append(at)
        at = text.find(old, at + 1)
    if not places:
        raise EditError(f"looks for {old!r}, which `{definition.name}` does not contain")
    if len(places) > 1:
        raise EditError(
            f"looks for {old!r}, which `{definition.name}` contains {len(places)} times"
        )
    return text[: places[0]] + new + text[places[0] + len(old) :]


def _docstring_spans(definition: Definition) -> list[tuple[int, int]]:
    starts = [0]
    for line in definition.text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return [
        (starts[first - definition.line], starts[last - definition.line + 1])
        for first, last in definition.docstrings
    ]


def run_mutated(source: Source, module_name: str, name: str, old: str, new: str) -> Any:
    """Apply an edit to a definition, run the whole module and return what it now defines.

    Args:
        source: the reference's source.
        module_name: the name that the reference is imported under.
        name: the function or class to edit and to return.
        old: what the edit looks for.
        new: what it becomes.

    Raises:
        EditError: if the edit does not apply or the edited module does not run.
    """
    definition = source.definitions[name]
    text = mutated_definition(definition, old, new)
    lines = source.text.splitlines()
    last = definition.line - 1 + len(definition.text.splitlines())
    edited = "\n".join([*lines[: definition.line - 1], text, *lines[last:]]) + "\n"
    module = ModuleType(module_name)
    module.__file__ = str(source.path)
    try:
        code = compile(edited, f"<{name} edited>", "exec", dont_inherit=True)
        exec(code, module.__dict__)
    except Exception as error:
        raise EditError(f"leaves code that does not run: {type(error).__name__}: {error}") from None
    return module.__dict__[name]
