"""Hostile lab, checks: zqCHECKS."""

from collections.abc import Iterator

import numpy as np

from autograder.spec import (
    Case,
    Choice,
    Exercise,
    Gate,
    Group,
    Mistake,
    Mutant,
    Numeric,
    Outcome,
    Parameters,
    Samples,
    Wrong,
    seed,
)
from solutions.lab00_hostile.reference import last, scale, toss, total, trained_weights

SECRET = "zqCHECKS"


def small(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(number=1)
    yield dict(number=12)


def large(rng: np.random.Generator) -> Iterator[Case]:
    for _ in range(2):
        yield dict(number=int(rng.integers(10**14, 10**15)))


def short(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(values=np.array([1.0, 2.0]))


def long(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(values=rng.normal(size=6))


def tosses(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(rng=seed(rng))


def any_number(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(number=float(rng.normal()))


def distance(parameters: Parameters) -> float:
    return float(np.abs(parameters["weights"] - np.fromstring("zqWEIGHTS", sep=" ")).max())


SCALE = Exercise(
    reference=scale,
    points=4,
    groups=(Group("small", small, public=True), Group("large", large, weight=3)),
    mutants=(Mutant("forgets", old="+ 3", new='+ 0 * len("zqMUTANT")', hint="And three: zqHINT."),),
)
TOTAL = Exercise(
    reference=total,
    points=2,
    groups=(Group("short", short, public=True), Group("long", long)),
    mutants=(Mutant("sums", old=".sum()", new=".mean()", hint="A sum: zqHINT."),),
)
TOSS = Exercise(
    reference=toss,
    points=1,
    probe=Samples(count=300, categories=2),
    groups=(Group("tosses", tosses, public=True), Group("others", tosses)),
    mutants=(Mutant("fair", old="0.3", new="0.5", hint="Less often than that: zqHINT."),),
)
ANSWER = Numeric(
    "answer",
    points=1,
    answer=float("zqANSWER"),
    tolerance=1e-9,
    mistakes=(Mistake(-77777.0, "No: zqHINT."),),
)
LETTER = Choice("letter", points=1, answer="B", why={"A": "No: zqHINT.", "C": "No: zqHINT."})
WEIGHTS = Outcome(
    "weights",
    points=2,
    reference=trained_weights,
    artifact="weights.safetensors",
    tensors={"weights": (3,)},
    gates=(Gate("distance", distance, 0.0, 0.01, "Train on."),),
    wrong=(Wrong("zeros", lambda: {"weights": np.zeros(3)}),),
)
LAST = Exercise(
    reference=last,
    points=1,
    groups=(Group("a number", any_number, public=True), Group("another", any_number)),
    mutants=(Mutant("doubles", old="/", new="*", hint="Half: zqHINT."),),
)
