"""The one kind of error that an author of labs sees: a sentence, a file and a line."""

from __future__ import annotations

from pathlib import Path


class LabError(Exception):
    """Something in a lab's source that has to be mended by hand.

    Attributes:
        message: one sentence.
        path: the file to look at, if there is one.
        line: the line to look at, counted from 1; 0 for the file as a whole.
    """

    def __init__(self, message: str, path: Path | None = None, line: int = 0) -> None:
        self.message, self.path, self.line = message, path, line
        super().__init__(str(self))

    def __str__(self) -> str:
        if self.path is None:
            return self.message
        path = self.path.resolve()
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        place = f"{shown}:{self.line}" if self.line else str(shown)
        return f"{place}: {self.message}"
