"""What the reference and the mutants of a lab do on its cases: what answers are compared with."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import warnings
from typing import Any

import numpy as np

from autograder.discover import LoadedLab
from autograder.errors import LabError
from autograder.spec import Case, Exercise, Group
from labkit import wire
from labkit.compare import summarize
from labkit.probes import Observation, Probe, observe

PUBLIC_SEED = 0
HANGING_SECONDS = 0.1  # enough for a mutant that was seen to use up the whole limit before


@dataclasses.dataclass(frozen=True)
class ExpectedGroup:
    """One group's cases and what is right on each of them.

    Attributes:
        group: as declared.
        probe: what to observe of every case.
        cases: keyword arguments, as plain data and markers.
        right: what the reference shows on each case, summarized, errors by their type alone.
    """

    group: Group
    probe: Probe
    cases: tuple[Case, ...]
    right: tuple[Observation, ...]


@dataclasses.dataclass
class _Results:
    """What was computed so far, by exercise, mutant and group."""

    groups: dict[tuple[str, str], ExpectedGroup] = dataclasses.field(default_factory=dict)
    mutants: dict[tuple[str, str, str], tuple[Observation, ...]] = dataclasses.field(
        default_factory=dict
    )


def case_seed(seed: int, lab: str, exercise: str, group: str) -> list[int]:
    """Return what seeds a group's generator: the same wherever and whenever it is asked for."""
    digest = hashlib.sha256(f"{lab}/{exercise}/{group}".encode()).digest()
    return [seed, int.from_bytes(digest[:8], "big")]


class Expected:
    """The cases of a lab for one course seed; everything is computed when first asked for.

    Args:
        lab: the lab.
        course_seed: seeds the hidden groups; public ones are the same in every course.
        like: of the same lab with another course seed, to share what does not depend on it.
    """

    def __init__(self, lab: LoadedLab, course_seed: int, *, like: Expected | None = None) -> None:
        self.lab = lab
        self._course_seed = course_seed
        self._hidden = _Results()
        self._public: _Results = _Results() if like is None else like._public
        self._functions: dict[tuple[str, str], Any] = {} if like is None else like._functions
        self._hanging: set[tuple[str, str]] = set() if like is None else like._hanging

    def groups(self, exercise: Exercise) -> tuple[ExpectedGroup, ...]:
        """Return the exercise's groups with their cases and what is right on them.

        Raises:
            LabError: if a case is not plain data or the reference fails on it.
        """
        found = []
        for group in exercise.groups:
            groups = self._results(group).groups
            key = exercise.name, group.name
            if key not in groups:
                groups[key] = self._group(exercise, group)
            found.append(groups[key])
        return tuple(found)

    def _results(self, group: Group) -> _Results:
        return self._public if group.public else self._hidden

    def mutant(self, exercise: Exercise, name: str) -> tuple[tuple[Observation, ...], ...]:
        """Return what a mutant shows, per group and case.

        Raises:
            LabError: if the mutant's edit does not apply.
        """
        return tuple(self.mutant_on(exercise, name, group) for group in self.groups(exercise))

    def mutant_on(
        self, exercise: Exercise, name: str, group: ExpectedGroup
    ) -> tuple[Observation, ...]:
        """Return what a mutant shows on each case of one of `groups`.

        Raises:
            LabError: if the mutant's edit does not apply.
        """
        mutants = self._results(group.group).mutants
        key = exercise.name, name, group.group.name
        if key not in mutants:
            function = self._mutated(exercise, name)
            mutants[key] = tuple(
                self._seen_of_mutant(exercise, name, function, group.probe, case)
                for case in group.cases
            )
        return mutants[key]

    def _mutated(self, exercise: Exercise, name: str) -> Any:
        key = exercise.name, name
        if key not in self._functions:
            (mutant,) = (m for m in exercise.mutants if m.name == name)
            self._functions[key] = self.lab.mutated(exercise, mutant)
        return self._functions[key]

    def _seen_of_mutant(
        self, exercise: Exercise, name: str, function: Any, probe: Probe, case: Case
    ) -> Observation:
        limit = exercise.time_limit
        if (exercise.name, name) in self._hanging:
            limit = min(limit, HANGING_SECONDS)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a wrong variant may divide by zero
            seen = observe(function, probe, case, seconds=limit)
        if seen.timed_out:
            self._hanging.add((exercise.name, name))
        return _as_compared(probe, seen)

    def _group(self, exercise: Exercise, group: Group) -> ExpectedGroup:
        seed = PUBLIC_SEED if group.public else self._course_seed
        rng = np.random.default_rng(case_seed(seed, self.lab.name, exercise.name, group.name))
        probe = exercise.probe_of(group)
        try:
            cases = tuple(group.cases(rng))
        except Exception as error:
            raise self._error(exercise, group, f"cannot be made: {error!r}") from error
        if not cases:
            raise self._error(exercise, group, "has no cases")
        right = tuple(self._right(exercise, group, probe, case) for case in cases)
        return ExpectedGroup(group, probe, cases, right)

    def _right(self, exercise: Exercise, group: Group, probe: Probe, case: Case) -> Observation:
        try:
            wire.dumps(case)
        except wire.WireError as error:
            raise self._error(exercise, group, f"has a case that cannot travel: {error}") from None
        seen = observe(exercise.reference, probe, case, seconds=exercise.time_limit)
        if seen.timed_out:
            raise self._error(exercise, group, "outlasts the time limit with the reference itself")
        if seen.error is not None:
            reason = f"{seen.error.type_name}: {seen.error.message}"
            raise self._error(exercise, group, f"makes the reference itself fail: {reason}")
        if seen.changed:
            changed = f"makes the reference change `{seen.changed[0]}`, which no `Mutates` declares"
            raise self._error(exercise, group, changed)
        try:
            return _as_compared(probe, seen, opaque=False)
        except wire.WireError as error:
            raise self._error(exercise, group, f"yields what cannot travel: {error}") from None

    def _error(self, exercise: Exercise, group: Group, message: str) -> LabError:
        line = inspect.getsourcelines(group.cases)[1] if inspect.isfunction(group.cases) else 0
        return LabError(
            f"group {group.name!r} of `{exercise.name}` {message}",
            self.lab.path / "checks.py",
            line,
        )


def _as_compared(probe: Probe, seen: Observation, *, opaque: bool = True) -> Observation:
    """Summarized, as if it had travelled, and of an error no more than its type."""
    summary = summarize(probe, seen)
    if summary.error is not None:
        bare = dataclasses.replace(summary.error, message="", line=0, source="")
        summary = dataclasses.replace(summary, error=bare)
    travelled = wire.loads(wire.dumps(summary, opaque=opaque))
    assert isinstance(travelled, Observation)
    return travelled
