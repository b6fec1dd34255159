"""What parts of the suite need that a user's machine may lack, and the command to get it."""

from __future__ import annotations

import dataclasses
import functools
import shutil
from collections.abc import Callable

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclasses.dataclass(frozen=True)
class Need:
    """Something outside the virtual environment.

    Attributes:
        present: whether this machine has it.
        command: what installs it.
    """

    present: Callable[[], bool]
    command: str


def chromium_path() -> str | None:
    """The browser that the tests drive, or None."""
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@functools.cache
def has_sandbox() -> bool:
    """Whether submissions can be graded here."""
    from autograder import sandbox

    return not isinstance(sandbox.available(), str)


def has_postgresql() -> bool:
    """Whether the server's programs are here; Debian's are not on the path."""
    from tests import postgres

    return postgres.programs() is not None


KNOWN = {
    "chromium": Need(lambda: chromium_path() is not None, "sudo apt-get install chromium"),
    "postgresql": Need(has_postgresql, "sudo apt-get install postgresql"),
    "sandbox": Need(has_sandbox, "grade on Linux; `make doctor` says what is missing"),
}
