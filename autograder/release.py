"""Turns the instructor's notebook into the student's, through nbgrader's own release step."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.converters import GenerateAssignment
from nbgrader.converters.base import NbGraderException
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import ClearSolutions, SaveCells
from traitlets.config import Config

from autograder.errors import LabError
from autograder.notebooks import RELEASED

STUB = (
    "# YOUR CODE HERE\n"
    'raise NotImplementedError("Write your code in place of this line, then run the check below.")'
)
COURSE_ID = "default_course"  # as nbgrader's Gradebook has it
TEXT_STUB = "*Write your answer here.*"


class ReleaseSolutions(ClearSolutions):  # type: ignore[misc]
    """Replaces a solution by what the cell says a student gets instead, else by a stub."""

    def preprocess_cell(
        self, cell: nbformat.NotebookNode, resources: dict[str, Any], cell_index: int
    ) -> tuple[nbformat.NotebookNode, dict[str, Any]]:
        """Clear one cell."""
        released = cell.metadata.pop(RELEASED, None)
        if released is not None:
            cell.source = released
            return cell, resources
        cleared: tuple[nbformat.NotebookNode, dict[str, Any]] = super().preprocess_cell(
            cell, resources, cell_index
        )
        return cleared


def release_config() -> Config:
    """Return the configuration under which nbgrader releases our labs, formgrader's button too."""
    config = Config()
    config.GenerateAssignment.preprocessors = [
        ReleaseSolutions if step is ClearSolutions else step
        for step in GenerateAssignment.preprocessors.default_args[0]
    ]
    config.ReleaseSolutions.code_stub = {"python": STUB}
    config.ReleaseSolutions.text_stub = TEXT_STUB
    return config


def release(
    course: Path, lab: str, *, db_url: str | None = None, course_id: str = COURSE_ID
) -> Path:
    """Generate the student's version of a lab and return the path of its notebook.

    Args:
        course: nbgrader's course folder, with ``source/<lab>/<lab>.ipynb``.
        lab: the lab's name.
        db_url: the gradebook to record the assignment in; None to leave every gradebook alone.
        course_id: nbgrader's name of the course in the gradebook; databases that check references
            do not take an empty one, which is nbgrader's default.

    Raises:
        LabError: if nbgrader refuses; the message is nbgrader's own.
    """
    config = release_config()
    if db_url is None:
        steps = config.GenerateAssignment.preprocessors
        config.GenerateAssignment.preprocessors = [s for s in steps if s is not SaveCells]
    config.CourseDirectory.root = str(course.resolve())
    config.CourseDirectory.assignment_id = lab
    config.CourseDirectory.course_id = course_id
    config.CourseDirectory.db_url = db_url or "sqlite://"
    config.GenerateAssignment.force = True
    config.GenerateAssignment.no_database = db_url is None
    log = _Log()
    coursedir = CourseDirectory(config=config, log=log.logger)
    converter = GenerateAssignment(coursedir=coursedir, config=config, log=log.logger)
    before = Path.cwd()
    try:
        converter.start()
    except (NbGraderException, SystemExit) as error:
        message = f"nbgrader does not release {lab}: {log.last or error}"
        raise LabError(message, course / "source" / lab) from None
    finally:
        os.chdir(before)
    return course / "release" / lab / f"{lab}.ipynb"


class _Log(logging.Handler):
    """Keeps nbgrader's own log off the terminal, but not the last thing that went wrong."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last = ""
        self.logger = logging.Logger("nbgrader")
        self.logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        lines = record.getMessage().strip().splitlines()
        self.last = self.last or (lines[-1] if lines else "")
