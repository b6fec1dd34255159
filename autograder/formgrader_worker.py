"""``python -m autograder.formgrader_worker``: what formgrader's buttons do, done aside.

A button may run a student's notebook for minutes, and the server must answer meanwhile. A request
is a line of JSON on stdin, ``[name of a method of NbGraderAPI, its arguments]``; its result is a
line of JSON on stdout. It ends with the server.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any


def do(action: str, *arguments: str) -> dict[str, Any]:
    """Do it as formgrader would, with the configuration of the course in this directory.

    Returns:
        ``success``, ``log`` and ``error``, as nbgrader's own pages show them.
    """
    from nbgrader.apps import NbGrader
    from nbgrader.apps.api import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory

    from autograder import late
    from autograder.course import Course
    from autograder.nbgrader_road import SaveRefereeGrades

    try:
        app: Any = NbGrader()
        app.load_config_file()
        directory = CourseDirectory(config=app.config)
        course = Course(Path.cwd(), directory.db_url)
        if action == "generate_feedback":
            late.work_out(course, arguments[0])
        if action == "autograde":
            lab, student_id = arguments
            graded = directory.format_path(directory.autograded_directory, student_id, lab)
            SaveRefereeGrades.remember(student_id, lab, Path(graded))
        result: dict[str, Any] = getattr(NbGraderAPI(config=app.config), action)(*arguments)
    except Exception:
        return {"success": False, "log": "", "error": traceback.format_exc()}
    return result


def main() -> int:
    """Answer requests until the server is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what else is printed is for the log
    requests: queue.Queue[str] = queue.Queue()

    def listen() -> None:
        for line in sys.stdin:
            requests.put(line)
        os._exit(0)  # the server is gone: nobody waits for what is being done

    threading.Thread(target=listen, daemon=True).start()
    while True:
        action, *arguments = json.loads(requests.get())
        print(json.dumps(do(action, *arguments)), file=answers, flush=True)


if __name__ == "__main__":
    sys.exit(main())
