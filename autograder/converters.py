"""nbgrader's converters for one submission after another, without files in between.

nbgrader writes a sanitized notebook, reads it back to grade it, and reads it again for feedback;
each time it is parsed, copied twice and checked after every step. Here the same steps, as they
are configured, hand the notebook on, and it is checked once, before it is written.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.writers.files import FilesWriter
from nbformat import NotebookNode
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.converters.base import BaseConverter

from autograder import notebook_json
from autograder.staging import PREPARED, staged

Resources = dict[str, Any]
EXECUTION = "NBGRADER_EXECUTION"  # the environment variable that tells a notebook who runs it


class OneByOne(BaseConverter):  # type: ignore[misc]
    """What both converters do in another way than nbgrader.

    Attributes:
        notebook: what is converted; of autograding also its result.
        before_hook: called before a hook of the instructor's that wants to see the results.
        trouble: what the disk said last, which nbgrader takes for the student's fault.
    """

    notebook: NotebookNode
    before_hook: Callable[[], None]
    trouble: OSError | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # What `start` does every time; reading the templates takes long.
        self.force = True
        self.writer = FilesWriter(parent=self, config=self.config)  # type: ignore[no-untyped-call]
        self.exporter = self.exporter_class(parent=self, config=self.config)
        for preprocessor in self.preprocessors:
            self.exporter.register_preprocessor(preprocessor)

    def place(self, student_id: str) -> Path:
        """Where a student's files go at last."""
        return self._folder(self._last_directory, student_id)

    def waiting(self, student_id: str) -> Path:
        """Where they wait."""
        return self._folder(self._output_directory, student_id)

    def _folder(self, directory: str, student_id: str) -> Path:
        lab = self.coursedir.assignment_id
        return Path(self.coursedir.format_path(directory, student_id, lab))

    @property
    def _output_directory(self) -> str:
        coursedir = self.coursedir
        return staged(Path(coursedir.root), self._last_directory, coursedir.assignment_id)

    @property
    def _last_directory(self) -> str:
        raise NotImplementedError

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        with self._noting_trouble():
            super().init_assignment(assignment_id, student_id)

    def convert_single_notebook(self, notebook_filename: str) -> None:
        with self._noting_trouble():
            self.convert_in_memory(notebook_filename)

    def convert_in_memory(self, notebook_filename: str) -> None:
        """Convert ``notebook`` as nbgrader would the file."""
        raise NotImplementedError

    def run_post_convert_hook(self) -> None:
        if self.post_convert_hook:
            self.before_hook()
        super().run_post_convert_hook()

    @contextlib.contextmanager
    def _noting_trouble(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.trouble = error
            raise

    def _resources(self, filename: str) -> Resources:
        """What nbconvert gathers about a notebook's file, and nbgrader from its name."""
        resources: Resources = self.init_single_notebook_resources(filename)
        today = datetime.datetime.now(datetime.UTC)
        resources["metadata"] = {
            "name": resources["unique_key"],
            "path": str(Path(filename).parent),
            "modified_date": f"{today:%B} {today.day}, {today.year}",
        }
        made: Resources = self.exporter._init_resources(resources)
        return made


class AutogradePrepared(OneByOne, Autograde):  # type: ignore[misc]
    """nbgrader's autograding of what preflight prepared, whatever lies in ``submitted/``."""

    @property
    def _input_directory(self) -> str:
        return PREPARED

    @property
    def _last_directory(self) -> str:
        return str(self.coursedir.autograded_directory)

    def convert_in_memory(self, notebook_filename: str) -> None:
        notebook = nbformat.from_dict(self.notebook)  # type: ignore[no-untyped-call]
        notebook, _ = self._through_steps(notebook, notebook_filename)
        self._sanitizing = False
        try:
            with _executing():
                notebook, resources = self._through_steps(notebook, notebook_filename)
        finally:
            self._sanitizing = True
        nbformat.validate(notebook, relax_add_props=True)
        self.notebook = notebook
        if self.exporter.nbformat_version == notebook.nbformat:
            text = notebook_json.writes(notebook)
        else:
            text = nbformat.writes(notebook, version=self.exporter.nbformat_version)  # type: ignore[no-untyped-call]
        self.write_single_notebook(text + "\n", resources)

    def _through_steps(
        self, notebook: NotebookNode, filename: str
    ) -> tuple[NotebookNode, Resources]:
        self._init_preprocessors()
        resources = self._resources(filename)
        for step in self.exporter._preprocessors:
            notebook, resources = step(notebook, resources)
        return notebook, resources


class FeedbackFromMemory(OneByOne, GenerateFeedback):  # type: ignore[misc]
    """nbgrader's feedback on a notebook that was just graded.

    Attributes:
        page: the feedback.
    """

    page: str

    @property
    def _input_directory(self) -> str:
        coursedir = self.coursedir
        return staged(Path(coursedir.root), coursedir.autograded_directory, coursedir.assignment_id)

    @property
    def _last_directory(self) -> str:
        return str(self.coursedir.feedback_directory)

    def convert_in_memory(self, notebook_filename: str) -> None:
        self.page, resources = self.exporter.from_notebook_node(
            self.notebook, self._resources(notebook_filename)
        )
        self.exporter._nb_metadata.clear()  # it would keep those of all students
        self.write_single_notebook(self.page, resources)


@contextlib.contextmanager
def _executing() -> Iterator[None]:
    """Say that a notebook is graded, as nbgrader does, but whose variable outlives an error."""
    before = os.environ.get(EXECUTION)
    os.environ[EXECUTION] = "autograde"
    try:
        yield
    finally:
        del os.environ[EXECUTION]
        if before is not None:
            os.environ[EXECUTION] = before
