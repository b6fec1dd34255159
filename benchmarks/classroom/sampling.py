"""Where the writing process spends its processor time: a sampling profiler with a few labels.

Every two milliseconds of processor time the stack of the main thread is looked at and its label
gets what that thread has used since the last look. Slows the program by a few percent, alike
everywhere, where a tracing profiler would double the cost of small functions.
"""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Self

PERIOD = 0.002
# The first label one of whose words is part of a file name on the stack.
LABELS = (
    ("report", ("autograder/report.py", "autograder/similarity.py", "autograder/items.py")),
    (
        "feedback",
        (
            "generate_feedback.py",
            "exporters/",
            "autograder/notebook_pages.py",
            "autograder/shown.py",
        ),
    ),
    ("gradebook", ("/sqlalchemy/", "nbgrader/api.py", "/alembic/", "autograder/gradebook.py")),
    ("autograde", ("/nbgrader/", "autograder/nbgrader_road.py", "/nbformat/", "/nbconvert/")),
    ("writer", ("autograder/writer.py",)),
    ("preflight", ("autograder/preflight.py", "autograder/collect.py")),
    ("journal", ("autograder/records.py",)),
    ("pipeline", ("autograder/pipeline.py", "autograder/execution.py", "autograder/pools.py")),
)
NBGRADER = ("feedback", "gradebook", "autograde", "writer")  # its bookkeeping
RECORDING = "autograder/writer.py"


class Sampler:
    """A context in which the main thread is sampled; ``seconds`` says what each label took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGPROF, self._look)
        self._last = time.thread_time()
        signal.setitimer(signal.ITIMER_PROF, PERIOD, PERIOD)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, self._before)

    def _look(self, number: int, frame: FrameType | None) -> None:
        now = time.thread_time()  # of this thread: others also make the timer run
        files = []
        while frame is not None:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        name = label(files)
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now


def label(files: list[str]) -> str:
    """Return what a stack is about, from the names of its files."""
    recording = any(RECORDING in file for file in files)
    for name, words in LABELS:
        if name in NBGRADER and not recording:
            continue
        if any(word in file for file in files for word in words):
            return name
    return "rest"
