"""Late penalties as the course's settings have them now, not as they were when a lab was graded.

nbgrader works a penalty out while it autogrades. What a person grades afterwards, and a due date
that is set or moved afterwards, would not count in it.
"""

from __future__ import annotations

import contextlib
from typing import Any

from nbgrader.api import Assignment, SubmittedAssignment
from nbgrader.plugins import LateSubmissionPlugin
from nbgrader.preprocessors import AssignLatePenalties

from autograder.course import Course, CourseError, quiet


def work_out(course: Course, lab: str) -> None:
    """Bring the gradebook's penalties of a lab up to date.

    Without a rule (nbgrader's method is ``none`` unless an instructor chooses another) nothing is
    touched.

    Raises:
        CourseError: if the gradebook cannot be used, or the instructor's rule fails.
    """
    with _said():
        rule = AssignLatePenalties(config=course.config)
        rule.init_plugin()
    plugin = rule.plugin_inst
    if type(plugin) is LateSubmissionPlugin and plugin.penalty_method == "none":
        return
    with course.session() as session:
        with session.part(), quiet():
            submissions = session.db.query(SubmittedAssignment).join(Assignment)
            for submission in submissions.filter(Assignment.name == lab):
                for notebook in submission.notebooks:
                    with _said():
                        penalty = _penalty(rule, submission, notebook)
                    if penalty != notebook.late_submission_penalty:
                        notebook.late_submission_penalty = penalty
        session.commit()


def _penalty(rule: AssignLatePenalties, submission: Any, notebook: Any) -> float | None:
    """What nbgrader would take off if it autograded now; None for nothing."""
    if submission.total_seconds_late <= 0:
        return None
    penalty = rule.plugin_inst.late_submission_penalty(
        submission.student_id, notebook.score, submission.total_seconds_late
    )
    return None if penalty is None else rule._check_late_penalty(notebook, penalty)


@contextlib.contextmanager
def _said() -> Any:
    """Say in a sentence what goes wrong in an instructor's own rule."""
    try:
        yield
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise CourseError(f"the course's rule for late penalties fails: {said}") from None
