"""The command line: ``python -m autograder COMMAND``; each command is a module of its own."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "build": "build the labs: instructor and student notebooks, public cases",
    "grade": "grade a class",
    "report": "write the class report again from recorded results",
    "formgrader": "open nbgrader's own interface on the gradebook",
    "export": "bring grades to Canvas or Moodle, or grading to Gradescope",
    "bundle": "zip what students and instructors get",
    "new-lab": "make a lab and a chapter from the template",
    "submit": "validate and zip a student's lab",
    "sample": "generate the sample class and grade it",
    "places": "say where to look at what was built",
    "doctor": "say what works on this machine",
}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    listing = "\n".join(f"  {name:10} {text}" for name, text in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m autograder",
        description="Build labs, grade submissions, report.",
        epilog=f"commands:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND")
    command = parser.parse_args(arguments[:1]).command
    module = importlib.import_module("autograder." + command.replace("-", "_"))
    options = argparse.ArgumentParser(
        prog=f"python -m autograder {command}", description=module.__doc__
    )
    module.add_arguments(options)
    return int(module.run(options.parse_args(arguments[1:])))


if __name__ == "__main__":
    sys.exit(main())
