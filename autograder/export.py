"""Bring grades to a learning management system, or grading itself to Gradescope."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autograder import discover

OK, UNUSABLE = 0, 2
LMS = {
    "canvas": "a file for Canvas: Grades, Import",
    "moodle": "a file for Moodle: Grades, Import, CSV file; or an assignment's worksheet",
    "csv": "every result in one table",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare each format's options."""
    from autograder import gradescope

    formats = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")
    for name, text in LMS.items():
        options = formats.add_parser(name, help=text, description=text)
        _add_lab(options)
        options.add_argument("--to", type=Path, required=True, metavar="FILE", help="the new file")
        options.add_argument(
            "--db-url", metavar="URL", help="a gradebook elsewhere, as SQLAlchemy names it"
        )
        options.add_argument(
            "--incomplete",
            action="store_true",
            help="export although answers are not graded yet",
        )
        if name == "csv":
            continue
        options.add_argument(
            "--template", type=Path, metavar="FILE", help="a file that the LMS exported, to fill in"
        )
        options.add_argument("--column", metavar="TITLE", help="the column that takes the scores")
        options.add_argument(
            "--identify-by", metavar="TITLE", help="the column that identifies students"
        )
    text = "a bundle that grades on Gradescope"
    options = formats.add_parser("gradescope", help=text, description=gradescope.__doc__)
    _add_lab(options)
    gradescope.add_arguments(options)


def _add_lab(options: argparse.ArgumentParser) -> None:
    options.add_argument("lab", help="labNN_topic")
    options.add_argument(
        "--course",
        type=Path,
        default=discover.COURSE,
        metavar="DIR",
        help="course directory (default: build/course)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the file: 0 if it is there, 2 if it can't be, with a sentence on stderr."""
    from autograder import exporters, gradescope, late, marks
    from autograder.course import Course, CourseError

    if arguments.format == "gradescope":
        return gradescope.run(arguments)
    plugins = {
        "canvas": exporters.CanvasExporter,
        "moodle": exporters.MoodleExporter,
        "csv": exporters.CsvExporter,
    }
    chosen = {
        name: str(value)
        for name in ("template", "column", "identify_by")
        if (value := getattr(arguments, name, None)) is not None
    }
    plugin = plugins[arguments.format](
        to=str(arguments.to), assignment=[arguments.lab], incomplete=arguments.incomplete, **chosen
    )
    try:
        course = Course(arguments.course, arguments.db_url)
        if arguments.db_url is None and not (course.root / "gradebook.db").is_file():
            raise marks.ExportError(f"{course.root} has no gradebook yet: grade a class first")
        late.work_out(course, arguments.lab)
        with course.gradebook() as gradebook:
            notes = plugin.write(gradebook)
    except (marks.ExportError, CourseError) as error:
        print(f"export: {error}", file=sys.stderr)
        return UNUSABLE
    print("\n".join(notes))
    return OK
