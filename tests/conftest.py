"""What every test may use: the `needs` marker and the fixtures that files share."""

from __future__ import annotations

import collections
import os
import re

# Before anything imports numpy: its threads would be in the way of tests that start processes (a
# process with threads can't change its user namespace), and of each other on few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Generator
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

from tests import needs
from tests.browser import browser, page, report, site
from tests.grading import course, toy_cases, toy_course, toy_lab
from tests.sandboxed import new_student, student

__all__ = [
    "browser",
    "course",
    "new_student",
    "page",
    "report",
    "site",
    "student",
    "toy_cases",
    "toy_course",
    "toy_lab",
]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"needs(*what): runs where the machine has it: {', '.join(needs.KNOWN)}. Elsewhere the"
        " run's last lines say so; with CI=true the test fails",
    )
    config.addinivalue_line(
        "markers",
        "long(minutes): of a whole file that takes about half a minute or more; the longest begin"
        " first, so that no worker is left alone with one at the end",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def minutes(item: pytest.Item) -> float:
        mark = item.get_closest_marker("long")
        return mark.args[0] if mark else 0

    items.sort(key=minutes, reverse=True)


class ByFileAndLab(LoadFileScheduling):
    """A worker takes a whole file, of the labs' contract one lab: each has its own fixtures."""

    def _split_scope(self, nodeid: str) -> str:
        lab = re.match(r"tests/test_labs\.py::\w+\[(lab\w+)", nodeid)
        return lab[1] if lab else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFileAndLab | None:
    return ByFileAndLab(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            need = needs.KNOWN[name]
            if need.present():
                continue
            if os.environ.get("CI") == "true":
                pytest.fail(f"needs {name}: {need.command}", pytrace=False)
            item.user_properties.append(("needs", name))
            pytest.skip(f"needs {name}")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter,
) -> Generator[None, None, None]:
    """After everything else, name what this machine could not test and how it could."""
    yield
    missing = collections.Counter(
        value
        for report in terminalreporter.stats.get("skipped", [])
        for key, value in report.user_properties
        if key == "needs"
    )
    for name, count in sorted(missing.items()):
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(
            f"NOT TESTED without {name}: {tests}. To get it: {needs.KNOWN[name].command}",
            yellow=True,
        )
