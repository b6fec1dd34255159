"""The student's own check: runs an exercise on its public cases and shows what it finds."""

from __future__ import annotations

import dataclasses
import difflib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from labkit import explaining, forms, wire
from labkit.cases import Case, Item, call_problem, parameter_problem, recognised, run_cases
from labkit.forms import Verdict
from labkit.isolation import isolated
from labkit.markers import build
from labkit.probes import Returns, Trace, observe
from labkit.rendering import Block, Heading, Page, Text, page, show
from labkit.session import LabNotFoundError, Session, current


@dataclasses.dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        verdict: whether the public cases pass; ``open`` if nothing is written yet.
        page: what the student sees.
        failing: the first failing input, as keyword arguments; None if there is none to call with.
    """

    verdict: Verdict
    page: Page
    failing: Case | None = None


def check(name: str) -> None:
    """Run your answer to the exercise ``name`` on its public cases and show what comes out.

    Grading runs more cases than these.

    Args:
        name: the exercise's name, which is the name of the function (or variable) you write.

    Raises:
        AssertionError: only while nbgrader executes the notebook: if the check does not pass.
    """
    namespace = sys._getframe(1).f_globals
    try:
        session = current()
    except LabNotFoundError as error:
        return _finish(page(Heading("fail", f"`{name}` cannot be checked"), Text(str(error))))
    if name not in session.names:
        return _finish(_unknown(session, name))
    report = examine(session, name, namespace)
    session.ready[name] = report.verdict == "pass"
    session.failing = report.failing
    progress = Text(session.progress(), label="So far")
    return _finish(
        Page((*report.page.blocks, progress)),
        passed=report.verdict == "pass",
        is_form_only=session.item(name)["kind"] != "exercise",
    )


def failing_input() -> Case:
    """Return a fresh copy of the first input that failed in the latest check.

    ``q_update(**labkit.failing_input())`` repeats the call that failed.

    Raises:
        LookupError: if the latest check has no such input.
    """
    failing = current().failing
    if failing is None:
        raise LookupError("The latest check left no failing input to call a function with.")
    copied: Case = build(failing)
    return copied


def examine(session: Session, name: str, namespace: Mapping[str, Any]) -> Report:
    """Check the exercise ``name`` in ``namespace`` and report, without showing anything."""
    item = session.item(name)
    if item["kind"] in ("numeric", "choice"):
        return _formal(forms.answer(item, namespace.get(name)))
    if item["kind"] == "outcome" and item.get("artifact"):
        return _formal(forms.artifact_file(item, session.folder))
    if name not in namespace:
        return _formal(
            ("open", f"`{name}` is not defined: run the cell above that defines it, then this one.")
        )
    function = namespace[name]
    if not callable(function):
        kind = type(function).__name__
        return _refused(
            name,
            f"`{name}` is not a function now, but a value of type {kind}: a variable took its "
            "name. Rename the variable, then run the cell with your function again.",
        )
    return (_examine_outcome if item["kind"] == "outcome" else _examine_function)(item, function)


def _examine_function(item: Item, function: Callable[..., Any]) -> Report:
    name = item["name"]
    if problem := call_problem(item, function):
        return _refused(name, problem)
    runs = run_cases(item, function)
    failed = [run for run in runs if run.mismatch is not None]
    table = explaining.table(item, runs)
    if not failed:
        return Report("pass", page(Heading("pass", f"`{name}` passes its public cases"), table))
    if failed[0].is_stub:
        error = failed[0].got.error
        where = f"line {error.line}" if error is not None and error.line else "it"
        return _formal(
            (
                "open",
                f"`{name}` is not written yet: {where} still says `raise NotImplementedError`.",
            )
        )
    heading = Heading("fail", f"`{name}` is not right yet")
    blocks: list[Block] = [table, *explaining.explained(item, failed[0], recognised(item, runs))]
    is_class = isinstance(failed[0].probe, Trace)
    if not is_class:
        again = f"`{name}(**labkit.failing_input())` in a new cell repeats this call."
        blocks.append(Text(again))
    return Report("fail", Page((heading, *blocks)), None if is_class else failed[0].case)


def _examine_outcome(item: Item, function: Callable[..., Any]) -> Report:
    name = item["name"]
    case = wire.decode(item["case"])
    if problem := parameter_problem(name, function, case):
        return _refused(name, problem)
    with isolated():
        seen = observe(function, Returns(), case, seconds=item["time_limit"])
    if seen.timed_out:
        return _refused(name, explaining.late(item, seen.error))
    if seen.error is not None:
        return _refused(name, explaining.stopped(name, seen.error))
    return _formal(forms.parameters(item, seen.value))


def _formal(judged: tuple[Verdict, str]) -> Report:
    verdict, sentence = judged
    return Report(verdict, page(Heading(verdict, sentence)))


def _refused(name: str, problem: str) -> Report:
    return Report("fail", page(Heading("fail", f"`{name}` cannot be run yet"), Text(problem)))


def _unknown(session: Session, name: str) -> Page:
    close = difflib.get_close_matches(str(name), session.names, n=1)
    meant = f" Did you mean `{close[0]}`?" if close else ""
    names = ", ".join(f"`{known}`" for known in session.names)
    return page(
        Heading("fail", f"This lab has no exercise `{name}`.{meant}"), Text(names, label="It has")
    )


def _finish(shown: Page, *, passed: bool = False, is_form_only: bool = False) -> None:
    """Show the page; while nbgrader executes the notebook, fail unless the answer passes."""
    show(shown)
    executing = os.environ.get("NBGRADER_EXECUTION", "")
    if executing and not passed:
        raise AssertionError(repr(shown))
    if executing == "autograde" and is_form_only:
        raise AssertionError(
            "check sees the form of this answer only: grade with the course's nbgrader_config.py"
        )
