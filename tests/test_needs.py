"""The `needs` marker: absence is said in the closing lines, and fails where CI=true."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLUGIN = """
    import sys
    sys.path.insert(0, {root!r})
    from tests import needs
    needs.KNOWN = {{
        "tea": needs.Need(lambda: {present}, "put the kettle on"),
        "air": needs.Need(lambda: True, "breathe"),
    }}
    from tests.conftest import *
    from tests.conftest import pytest_configure, pytest_runtest_setup, pytest_terminal_summary
"""
TESTS = """
    import pytest

    @pytest.mark.needs("tea", "air")
    def test_with_tea(): pass

    @pytest.mark.needs("air")
    def test_with_air(): pass

    @pytest.mark.needs("tea")
    def test_more_tea(): pass
"""


def run(pytester: pytest.Pytester, present: bool) -> pytest.RunResult:
    """Run three tests, two of which need tea, in a process of their own."""
    pytester.makeconftest(PLUGIN.format(root=str(ROOT), present=present))
    pytester.makepyfile(TESTS)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider")


def test_present_runs(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = run(pytester, present=True)
    result.assert_outcomes(passed=3)
    result.stdout.no_fnmatch_line("*NOT TESTED*")


@pytest.mark.parametrize("ci", [None, "false"])
def test_absent_is_said_in_the_last_lines(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str | None
) -> None:
    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    result = run(pytester, present=False)
    result.assert_outcomes(passed=1, skipped=2)
    assert result.ret == 0
    assert result.outlines[-2] == "NOT TESTED without tea: 2 tests. To get it: put the kettle on"


def test_absent_fails_in_ci(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = run(pytester, present=False)
    result.assert_outcomes(passed=1, errors=2)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*needs tea: put the kettle on*"])


def test_absent_is_said_across_processes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    pytester.makeconftest(PLUGIN.format(root=str(ROOT), present=False))
    pytester.makepyfile(TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "xdist", "-n", "1")
    assert result.outlines[-2] == "NOT TESTED without tea: 2 tests. To get it: put the kettle on"


def test_an_unknown_need_is_an_error(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(PLUGIN.format(root=str(ROOT), present=True))
    pytester.makepyfile('import pytest\n@pytest.mark.needs("coffee")\ndef test_typo(): pass\n')
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(errors=1)
