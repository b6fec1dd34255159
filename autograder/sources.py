"""The text of definitions: found in a module's source, cut into interface and body, renamed."""

from __future__ import annotations

import ast
import dataclasses
import io
import tokenize
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from autograder.errors import LabError

Function = ast.FunctionDef | ast.AsyncFunctionDef
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


@dataclasses.dataclass(frozen=True)
class Definition:
    """A top-level function, class or assignment.

    Attributes:
        name: what it defines.
        text: its lines, decorators included.
        line: the first of them, counted from 1.
        path: the file it stands in.
        node: its syntax tree, with positions in the file.
    """

    name: str
    text: str
    line: int
    path: Path
    node: ast.stmt

    @cached_property
    def functions(self) -> list[Function]:
        """The function itself, or the methods of the class."""
        if isinstance(self.node, Function):
            return [self.node]
        body = self.node.body if isinstance(self.node, ast.ClassDef) else []
        return [node for node in body if isinstance(node, Function)]

    @property
    def docstrings(self) -> list[tuple[int, int]]:
        """First and last line, in the file, of every docstring (the class's and the methods')."""
        owners: list[Function | ast.ClassDef] = [*self.functions]
        if isinstance(self.node, ast.ClassDef):
            owners.append(self.node)
        found = [_docstring(owner) for owner in owners]
        return [(node.lineno, node.end_lineno or node.lineno) for node in found if node]

    def bodies(self) -> list[tuple[int, int]]:
        """First and last line, in the file, of every function's body without its docstring.

        Raises:
            LabError: if a function has no body beside its docstring or shares a line with it.
        """
        spans = []
        for function in self.functions:
            docstring = _docstring(function)
            rest = function.body[1:] if docstring else function.body
            first = (docstring.end_lineno or 0) + 1 if docstring else function.body[0].lineno
            if not rest:
                raise LabError(f"`{function.name}` has no body", self.path, function.lineno)
            if first > rest[0].lineno or function.body[0].lineno <= _header_end(function):
                raise LabError(
                    f"the body of `{function.name}` needs lines of its own",
                    self.path,
                    function.lineno,
                )
            spans.append((first, rest[-1].end_lineno or first))
        return spans

    def with_solution_regions(self) -> str:
        """Return the text with nbgrader's marks around every function's body."""
        lines = self.text.splitlines()
        for first, last in reversed(self.bodies()):
            start, stop = first - self.line, last - self.line + 1
            body = lines[start:stop]
            while not body[0].strip():
                body.pop(0)
                start += 1
            indent = " " * min(len(line) - len(line.lstrip()) for line in body if line.strip())
            lines[start:stop] = [indent + BEGIN, *body, indent + END]
        return "\n".join(lines)


def _docstring(owner: Function | ast.ClassDef) -> ast.Expr | None:
    first = owner.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return first if is_text and ast.get_docstring(owner) is not None else None  # type: ignore[return-value]


def _header_end(function: Function) -> int:
    """The last line of a function's signature that the syntax tree knows about."""
    parts = [*ast.walk(function.args), *([function.returns] if function.returns else [])]
    ends = [getattr(part, "end_lineno", None) or 0 for part in parts]
    return max([function.lineno, *ends])


class Source:
    """A module's source and what it defines at top level.

    Raises:
        LabError: if the file is not Python.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text("utf-8")
        try:
            self.tree = ast.parse(self.text)
        except SyntaxError as error:
            raise LabError(f"not Python: {error.msg}", path, error.lineno or 1) from None

    @cached_property
    def definitions(self) -> dict[str, Definition]:
        """Functions, classes and assignments by name; a later one replaces an earlier one."""
        return {
            name: self._definition(name, node)
            for node in self.tree.body
            for name in _defined_names(node)
        }

    @cached_property
    def imports(self) -> dict[str, ast.Import | ast.ImportFrom]:
        """Top-level imports by the name that they bind, ``__future__`` left out."""
        return {
            name: node
            for node in self.tree.body
            if isinstance(node, ast.Import | ast.ImportFrom)
            for name in imported_names(node)
        }

    def _definition(self, name: str, node: ast.stmt) -> Definition:
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        lines = self.text.splitlines()[first - 1 : node.end_lineno]
        return Definition(name, "\n".join(lines), first, self.path, node)


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the names that an import binds, none for ``__future__``."""
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return []
    return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]


def _defined_names(node: ast.stmt) -> list[str]:
    if isinstance(node, Function | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def free_names(node: ast.AST) -> set[str]:
    """Return the names that a piece of code reads and binds nowhere itself, builtins included."""
    return set(_loaded(node)) - set(_bound(node))


def _loaded(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load):
            yield part.id


def _bound(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store | ast.Del):
            yield part.id
        elif isinstance(part, ast.arg):
            yield part.arg
        elif isinstance(part, Function | ast.ClassDef):
            yield part.name
        elif isinstance(part, ast.Import | ast.ImportFrom):
            yield from imported_names(part)
        elif isinstance(part, ast.ExceptHandler) and part.name:
            yield part.name


def renamed(text: str, old: str, new: str) -> str:
    """Return Python text in which the name ``old`` is ``new``, strings and comments untouched."""
    if old == new:
        return text
    lines = text.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for token in reversed(tokens):
        if token.type == tokenize.NAME and token.string == old:
            (row, start), (_, stop) = token.start, token.end
            line = lines[row - 1]
            lines[row - 1] = line[:start] + new + line[stop:]
    return "".join(lines)


def call_lines(source: Source, kind: str, name: str) -> list[int]:
    """Return the lines of the calls ``kind("name", ...)`` or ``kind(reference=name, ...)``."""
    return sorted(
        node.lineno
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == kind
        and any(_says(argument, name) for argument in _naming_arguments(node))
    )


def _naming_arguments(call: ast.Call) -> list[ast.expr]:
    named = [k.value for k in call.keywords if k.arg in ("name", "reference")]
    return [*call.args[:1], *named]


def _says(node: ast.expr, name: str) -> bool:
    if isinstance(node, ast.Constant):
        return bool(node.value == name)
    if isinstance(node, ast.Attribute):
        return node.attr == name
    return isinstance(node, ast.Name) and node.id == name
