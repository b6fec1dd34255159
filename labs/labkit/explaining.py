"""Says what is wrong with an answer: the mistake, what to look at, got and expected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labkit.advice import advice
from labkit.cases import Item, Run
from labkit.compare import with_article
from labkit.probes import CallError, Mutates, Trace
from labkit.rendering import Block, Fields, Mark, Marks, Text
from labkit.showing import cut, difference, short

MAX_HINTS = 3

_LOOK_AT = {
    "missing return": "Every way through the function has to end in `return ...`.",
    "shape": "Print the `.shape` of each part. Which axis is summed over, kept or added?",
    "dtype": "Where does the kind of number change? `np.zeros(n)` holds floats, "
    "`np.zeros(n, dtype=int)` whole numbers, a comparison holds bools.",
    "nan": "NaN comes from 0/0, from inf - inf, or from the logarithm or root of a negative "
    "number.",
    "changed": "Copy it first (`x = x.copy()`). `x += ...` and `x[...] = ...` change the original, "
    "also through a slice of it.",
    "timeout": "Which condition ends the loop? Does every pass come closer to it?",
}


def table(item: Item, runs: Sequence[Run]) -> Marks:
    """Return the table of public groups: passed, failed, or not run."""
    rows: list[tuple[Mark, str, str]] = []
    for group in item["groups"]:
        total = len(group["cases"])
        mine = [run for run in runs if run.group == group["name"]]
        passed = sum(run.mismatch is None for run in mine)
        note = f"{passed} of {total} cases" if total > 1 else ""
        mark: Mark = "pass" if passed == total else "fail"
        if passed == len(mine) < total:
            mark, note = "open", "not run"
        elif mine[-1].got.timed_out:
            note = "out of time"
        rows.append((mark, group["name"], note))
    return Marks(rows)


def explained(item: Item, run: Run, mistakes: Sequence[str]) -> list[Block]:
    """Return what a student needs to know about the first public case that fails.

    Args:
        item: the exercise.
        run: the case.
        mistakes: the known mistakes that behave like the answer, by name.
    """
    blocks: list[Block] = [Text(sentence(item, run))]
    blocks += hints(item, mistakes)
    if looked := look_at(run, is_known=bool(mistakes)):
        blocks.append(Text(looked, label="Look at"))
    (total,) = (len(group["cases"]) for group in item["groups"] if group["name"] == run.group)
    number = f", case {run.number}" if total > 1 else ""
    blocks.append(Text(f"{run.group}{number}", label="First failing input"))
    blocks.append(_input(item["name"], run))
    if run.mismatch is not None:
        blocks += difference(run.mismatch)
    if run.printed:
        blocks.append(Fields((("printed", cut(run.printed)),)))
    return blocks


def sentence(item: Item, run: Run) -> str:
    """Return the mistake in a sentence."""
    name, mismatch = item["name"], run.mismatch
    assert mismatch is not None
    if mismatch.kind == "timeout":
        return late(item, run.got.error)
    if run.got.error is not None:
        return stopped(name, run.got.error)
    if mismatch.kind == "missing return" and run.printed:
        return (
            f"`{name}` prints its answer, but returns nothing. Printing only shows a value: "
            "`return` hands it to the caller."
        )
    message = re.sub(r"^the (\w+) after the call", r"`\1` after the call", mismatch.message)
    message = re.sub(r"^the gradient of (\w+)", r"the gradient of `\1`", message)
    return f"{message[:1].upper()}{message[1:]}{'' if message.endswith('?') else '.'}"


def late(item: Item, error: CallError | None) -> str:
    """Return where the call was when time ran out."""
    stopped_in = f": it was stopped{_place(error)}" if _place(error) else ""
    return f"`{item['name']}` did not finish within {item['time_limit']:g} s{stopped_in}."


def stopped(name: str, error: CallError) -> str:
    """Return how an exception ended the call."""
    message = f":\n{error.message}" if error.message else ""
    return f"`{name}` stopped with {with_article(error.type_name)}{_place(error)}{message}"


def hints(item: Item, mistakes: Sequence[str]) -> list[Block]:
    """Return the hints of the mistakes that the answer behaves like."""
    found = list(dict.fromkeys(item["hints"][name] for name in mistakes))
    if len(found) == 1:
        return [Text(found[0], label="Hint")]
    if found:
        several = "".join(f"\n- {hint}" for hint in found[:MAX_HINTS])
        return [Text(f"it may be one of these.{several}", label="Hint")]
    return []


def look_at(run: Run, *, is_known: bool = False) -> str:
    """Return what to look at next, or nothing; a known mistake has its hint instead."""
    mismatch = run.mismatch
    assert mismatch is not None
    if run.got.error is not None and not run.got.timed_out:
        return advice(run.got.error)
    if is_known:
        return ""
    if untouched := _untouched(run):
        return (
            f"`{untouched}` is as it was before the call. Change the array itself, with "
            f"`{untouched}[...] = ...`; `{untouched} = ...` only gives its name to a new array."
        )
    return _LOOK_AT.get(mismatch.kind, "")


def _place(error: CallError | None) -> str:
    if error is None or not error.line:
        return ""
    source = f": `{error.source}`" if error.source else ""
    return f" in line {error.line}{source}"


def _untouched(run: Run) -> str:
    """The argument that should have changed in place and did not."""
    if not isinstance(run.probe, Mutates) or run.mismatch is None or run.mismatch.pair is None:
        return ""
    for name in run.probe.args:
        after, before = run.mismatch.pair[0], run.case.get(name)
        if run.mismatch.where == f"{name} after the call" and isinstance(before, np.ndarray):
            return name if np.array_equal(before, after) else ""
    return ""


def _input(name: str, run: Run) -> Block:
    if not isinstance(run.probe, Trace):
        return Fields([(argument, short(value)) for argument, value in run.case.items()])
    object_ = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    lines = [f"{object_} = {_call(name, run.case['init'])}"]
    lines += [f"{object_}.{_call(method, arguments)}" for method, arguments in run.case["calls"]]
    return Fields([("", "\n".join(lines))])


def _call(name: str, arguments: Mapping[str, Any]) -> str:
    inside = ", ".join(
        f"{key}={' '.join(_code(value).split())}" for key, value in arguments.items()
    )
    return f"{name}({inside})"


def _code(value: Any) -> str:
    return repr(value.tolist()) if isinstance(value, np.ndarray) else short(value)
