"""nbgrader's configuration of a course: what makes every road to the gradebook ours.

The course directory's own ``nbgrader_config.py`` calls `configure`; an instructor may add lines
to it (late penalties, exporters), which `grade` obeys too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

DB_URL = "AUTOGRADER_DB_URL"  # an environment variable: only its user can read what it holds
FILE = "nbgrader_config.py"
TEXT = '''\
"""nbgrader's configuration of this course. Your own settings can follow at the end."""

from pathlib import Path

from autograder.nbgrader_config import configure

c = get_config()  # noqa: F821
configure(c, Path(__file__).resolve().parent)
'''

ROAD = "autograder.nbgrader_road"
# CheckCellMetadata is left out: `RebuildCells` takes all metadata from the release, and checking
# every cell against nbgrader's schema twice takes half of its time.
SANITIZE = (
    "nbgrader.preprocessors.ClearOutput",
    f"{ROAD}.RebuildCells",
    "nbgrader.preprocessors.OverwriteKernelspec",
    "nbgrader.preprocessors.OverwriteCells",
)
AUTOGRADE = (
    f"{ROAD}.RefereeExecute",
    "nbgrader.preprocessors.IgnorePattern",
    "nbgrader.preprocessors.LimitOutput",
    f"{ROAD}.SaveRefereeGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
)
FEEDBACK = ("autograder.notebook_pages.Grades", "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor")


def write(course: Path) -> Path:
    """Write the course directory's ``nbgrader_config.py``, unless it is there."""
    path = course / FILE
    if not path.exists():
        course.mkdir(parents=True, exist_ok=True)
        path.write_text(TEXT, encoding="utf-8")
    return path


def configure(c: Any, course: Path) -> None:
    """Set what makes nbgrader grade in ``course`` with the referee.

    Args:
        c: the traitlets configuration that a ``nbgrader_config.py`` gets.
        course: the course directory.
    """
    from autograder.release import release_config

    if str(course) not in sys.path:  # where nbgrader's own commands find an instructor's plugins
        sys.path.append(str(course))
    c.merge(release_config())
    c.CourseDirectory.root = str(course)
    if url := os.environ.get(DB_URL):
        c.CourseDirectory.db_url = url
    c.Autograde.sanitize_preprocessors = list(SANITIZE)
    c.Autograde.autograde_preprocessors = list(AUTOGRADE)
    c.Autograde.pre_convert_hook = f"{ROAD}.drop_links"
    c.RebuildCells.course = str(course)
    c.RefereeExecute.course = str(course)
    c.GenerateFeedback.exporter_class = "autograder.notebook_pages.FeedbackExporter"
    c.GenerateFeedback.preprocessors = list(FEEDBACK)
    c.HTMLExporter.filters = {"markdown2html": "autograder.notebook_pages.safe_markdown"}
