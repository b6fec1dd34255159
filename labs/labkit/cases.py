"""Runs a student's function on the public cases and recognises known mistakes."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from labkit import wire
from labkit.compare import Mismatch, Tolerance, compare, summarize
from labkit.isolation import isolated
from labkit.probes import Observation, Probe, Trace, observe

Case = dict[str, Any]
Item = Mapping[str, Any]
Function = Callable[..., Any]

STUB = "NotImplementedError"


@dataclasses.dataclass(frozen=True)
class Run:
    """One public case that was run.

    Attributes:
        group, number: where it stands; numbers count from 1 within the group.
        case: keyword arguments, as plain data and markers.
        got: what was observed, as the grader would see it.
        mismatch: how it differs from what is right, if it does.
        printed: the beginning of what the function printed.
        mutants: what each known mistake shows on this case, as wire trees.
    """

    group: str
    number: int
    case: Case
    probe: Probe
    got: Observation
    mismatch: Mismatch | None
    printed: str
    mutants: Mapping[str, Any]

    @property
    def is_stub(self) -> bool:
        """True if the exercise is still as it was handed out."""
        if self.got.error is not None:
            return self.got.error.type_name == STUB
        return type(self.got.value) is dict and self.got.value == {"raised": STUB}


def run_cases(item: Item, function: Function) -> list[Run]:
    """Run the public cases in order, up to and including one that takes too long."""
    runs: list[Run] = []
    for group in item["groups"]:
        probe = wire.decode(group["probe"])
        for number, packed in enumerate(group["cases"], start=1):
            case = wire.decode(packed["input"])
            with isolated() as printed:
                seen = observe(function, probe, case, seconds=item["time_limit"])
                got = summarize(probe, _as_graded(seen))
            mismatch = compare(got, wire.decode(packed["expected"]), tolerance(item))
            if mismatch is not None and isinstance(probe, Trace):
                mismatch = _named_by_call(mismatch, case)
            mutants = packed.get("mutants", {})
            run = Run(
                group["name"], number, case, probe, got, mismatch, printed.text.strip(), mutants
            )
            runs.append(run)
            if got.timed_out:
                return runs
    return runs


def recognised(item: Item, runs: Sequence[Run]) -> list[str]:
    """Return the names of the known mistakes that show just what was seen in every run."""
    return [
        name
        for name in item.get("hints", {})
        if all(_shows(run, name, tolerance(item)) for run in runs)
    ]


def tolerance(item: Item) -> Tolerance:
    """Return how far numbers may be off in this exercise."""
    return Tolerance(item["rtol"], item["atol"])


def call_problem(item: Item, function: Function) -> str:
    """Return what keeps a function or class from being called as the cases do; else nothing."""
    name = item["name"]
    for group in item["groups"]:
        is_class = isinstance(wire.decode(group["probe"]), Trace)
        if is_class and not isinstance(function, type):
            return f"`{name}` should be a class, but it is a function."
        for packed in group["cases"][:1]:
            case = wire.decode(packed["input"])
            for called, arguments in _calls(name, function, case, is_class=is_class):
                if called is None:
                    return f"The class `{name}` lacks the method `{arguments}`."
                if problem := parameter_problem(name, called, arguments, item.get("signature")):
                    return problem
    return ""


def parameter_problem(
    name: str, function: Function, arguments: Case, signature: str | None = None
) -> str:
    """Return how a function's parameters differ from the arguments it will get; else nothing."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return ""
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    missing = [] if takes_any else [a for a in arguments if a not in {p.name for p in named}]
    needless = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.name not in arguments
        and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if not missing and not needless:
        return ""
    wanted = signature or f"{name}({', '.join(arguments)})"
    parts = []
    if missing:
        parts.append(f"has no parameter {_listed(missing)}")
    if needless:
        parts.append(f"wants {_listed(needless)}, which nobody passes")
    return f"`{name}` {' and '.join(parts)}. It will be called as `{wanted}`: keep those names."


def _calls(
    name: str, function: Function, case: Case, *, is_class: bool
) -> Iterator[tuple[Function | None, Any]]:
    """What a case calls, with which arguments; a missing method as (None, its name)."""
    if not is_class:
        yield function, case
        return
    yield function, case["init"]
    for method in dict.fromkeys(method for method, _ in case["calls"]):
        if not callable(getattr(function, method, None)):
            yield None, method


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _as_graded(seen: Observation) -> Observation:
    """The observation with its value as it would reach the grader: plain data of exact types."""
    try:
        value = wire.decode(wire.encode(seen.value, opaque=True))
    except Exception as error:  # a student's object may do anything when it is looked at
        value = wire.Opaque(
            f"{type(seen.value).__name__} that cannot be compared", str(error)[:200]
        )
    return dataclasses.replace(seen, value=value)


def _shows(run: Run, mutant: str, allowed: Tolerance) -> bool:
    if mutant not in run.mutants:
        return run.mismatch is None
    return compare(run.got, wire.decode(run.mutants[mutant]), allowed) is None


def _named_by_call(mismatch: Mismatch, case: Case) -> Mismatch:
    """The mismatch of a traced class with its place as a call, not as an index."""
    found = re.fullmatch(r"return value\[(\d+)\]\[1\](.*)", mismatch.where)
    if found is None:
        return mismatch
    number = int(found[1])
    where = f"result of call {number + 1}, `{case['calls'][number][0]}`{found[2]}"
    message = mismatch.message.replace(mismatch.where, where)
    return dataclasses.replace(mismatch, where=where, message=message)
