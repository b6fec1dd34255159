"""What a lab declares in its ``checks.py``: exercises, cases, wrong variants, points."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labkit.compare import Tolerance
from labkit.markers import Env, LinearMap, Network, NormedNetwork, Objects, Seed
from labkit.probes import (
    Copies,
    Draws,
    Gradient,
    Mutates,
    Part,
    Passes,
    Probe,
    Raises,
    Returns,
    Rewards,
    Samples,
    Trace,
)

Case = dict[str, Any]
"""Keyword arguments of one call, plain data and markers; of a `Trace`: ``init`` and ``calls``."""

Cases = Callable[[np.random.Generator], Iterator[Case]]
Parameters = Mapping[str, Any]
"""Plain parameters of something trained: arrays by name."""


def seed(rng: np.random.Generator) -> Seed:
    """Return a seed for a function that takes a generator."""
    return Seed(int(rng.integers(1 << 31)))


def apart(
    rng: np.random.Generator, shape: tuple[int, ...], scale: float = 1.0
) -> NDArray[np.float64]:
    """Return values in random order that differ by at least ``0.6 * scale`` from each other."""
    size = int(np.prod(shape))
    steps = rng.permutation(size) - size / 2 + rng.uniform(-0.2, 0.2, size=size)
    return np.asarray(scale * steps).reshape(shape)


@dataclasses.dataclass(frozen=True)
class Group:
    """Named cases that pass or fail together.

    Attributes:
        name: what the cases show, in words that a student may read in the feedback.
        cases: yields the cases, drawing everything random from the generator it is given.
        public: ship inputs and outputs to the student. Hidden groups leave no trace there.
        weight: share of the exercise's points, relative to its other groups.
        probe: overrides the exercise's probe for these cases.
    """

    name: str
    cases: Cases
    public: bool = False
    weight: float = 1.0
    probe: Probe | None = None


@dataclasses.dataclass(frozen=True)
class Mutant:
    """The reference with one idea wrong: ``old`` occurs once in its code and becomes ``new``."""

    name: str
    old: str
    new: str
    hint: str


@dataclasses.dataclass(frozen=True)
class Exercise:
    """A function (or, with `Trace`, a class) that the student writes; its name is the reference's.

    Attributes:
        reference: the right answer, defined in the lab's ``reference.py``.
        points: what it is worth.
        groups: cases; at least one group is public.
        probe: what is observed of a call.
        mutants: wrong variants, each with the hint that who made it deserves.
        variants: right answers in another style, self-contained functions that must pass.
        clinic: the mutant that the student gets to mend, instead of a stub.
        time_limit: seconds of wall time per call.
        rtol, atol: tolerance for numbers.
    """

    reference: Callable[..., Any]
    points: float
    groups: tuple[Group, ...]
    probe: Probe = dataclasses.field(default_factory=Returns)
    mutants: tuple[Mutant, ...] = ()
    variants: tuple[Callable[..., Any], ...] = ()
    clinic: str | None = None
    time_limit: float = 5.0
    rtol: float = Tolerance.rtol
    atol: float = Tolerance.atol

    @property
    def name(self) -> str:
        """The name under which the student defines the answer."""
        return self.reference.__name__

    @property
    def tolerance(self) -> Tolerance:
        return Tolerance(self.rtol, self.atol)

    def probe_of(self, group: Group) -> Probe:
        """Return what is observed of the cases of ``group``."""
        return group.probe if group.probe is not None else self.probe


@dataclasses.dataclass(frozen=True)
class Mistake:
    """A wrong number that is worth a hint of its own."""

    value: float
    hint: str


@dataclasses.dataclass(frozen=True)
class Numeric:
    """A number that the student predicts by setting the variable ``name``.

    Right within ``tolerance`` of ``answer``; a mistake is recognised within the same tolerance.
    """

    name: str
    points: float
    answer: float
    tolerance: float
    mistakes: tuple[Mistake, ...] = ()


@dataclasses.dataclass(frozen=True)
class Choice:
    """A multiple-choice question: the student sets ``name`` to the letter of an option.

    Attributes:
        answer: the right letter.
        why: for each wrong letter, why it tempts and what is wrong with it.
    """

    name: str
    points: float
    answer: str
    why: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Gate:
    """A measurement that a trained outcome must pass: ``low <= measure(parameters) <= high``."""

    name: str
    measure: Callable[[Parameters], float]
    low: float
    high: float
    hint: str
    weight: float = 1.0


@dataclasses.dataclass(frozen=True)
class Wrong:
    """Parameters that must fail at least one gate: what a wrong training would have produced."""

    name: str
    make: Callable[[], Parameters]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Something trained, measured by the grader itself; claimed scores are never read.

    The parameters come from the submitted ``artifact``, or from calling the student's function
    ``name`` with ``case`` where no artifact is named.

    Attributes:
        reference: called with ``**case``, returns right parameters.
        tensors: name and shape of every array.
        gates: measurements, each with the hint for who fails it.
        artifact: file name (``*.safetensors``) that the training cell writes.
    """

    name: str
    points: float
    reference: Callable[..., Parameters]
    tensors: Mapping[str, tuple[int, ...]]
    gates: tuple[Gate, ...]
    artifact: str | None = None
    case: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    wrong: tuple[Wrong, ...] = ()
    time_limit: float = 30.0


Item = Exercise | Numeric | Choice | Outcome

__all__ = [
    "Case",
    "Choice",
    "Copies",
    "Draws",
    "Env",
    "Exercise",
    "Gate",
    "Gradient",
    "Group",
    "Item",
    "LinearMap",
    "Mistake",
    "Mutant",
    "Mutates",
    "Network",
    "NormedNetwork",
    "Numeric",
    "Objects",
    "Outcome",
    "Parameters",
    "Part",
    "Passes",
    "Raises",
    "Returns",
    "Rewards",
    "Samples",
    "Seed",
    "Trace",
    "Wrong",
    "apart",
    "seed",
]
