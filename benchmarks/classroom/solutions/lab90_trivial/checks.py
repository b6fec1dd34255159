"""Lab 90, checks: one small public and one small hidden group per exercise."""

from collections.abc import Iterator

import numpy as np

from autograder.spec import Case, Exercise, Group, Mutant
from solutions.lab90_trivial import variants
from solutions.lab90_trivial.reference import (
    count_positive,
    double,
    largest,
    scaled,
    shifted,
    total,
)


def one_number(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(number=float(rng.uniform(1.0, 9.0)))


def numbers(rng: np.random.Generator) -> Iterator[Case]:
    for size in (3, 6):
        # Both signs, whatever is drawn: every mutant shows.
        yield dict(values=np.concatenate([rng.uniform(0.5, 2, size), rng.uniform(-3, -2, size)]))


def shifts(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(values=rng.normal(size=4), by=float(rng.uniform(1.0, 2.0)))


def factors(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(values=rng.normal(size=4), factor=float(rng.uniform(2.0, 3.0)))


DOUBLE = Exercise(
    reference=double,
    points=1,
    groups=(Group("a number", one_number, public=True), Group("another number", one_number)),
    mutants=(Mutant("halves", old="2.0 *", new="0.5 *", hint="Twice, not half."),),
    variants=(variants.by_adding,),
)

TOTAL = Exercise(
    reference=total,
    points=1,
    groups=(Group("some numbers", numbers, public=True), Group("other numbers", numbers)),
    mutants=(Mutant("mean", old=".sum()", new=".mean()", hint="The sum, not the mean."),),
    variants=(variants.by_loop,),
)

LARGEST = Exercise(
    reference=largest,
    points=1,
    groups=(Group("some numbers", numbers, public=True), Group("other numbers", numbers)),
    mutants=(Mutant("smallest", old=".max()", new=".min()", hint="The other end."),),
    variants=(variants.by_sorting,),
)

SHIFTED = Exercise(
    reference=shifted,
    points=1,
    groups=(Group("four values", shifts, public=True), Group("four others", shifts)),
    mutants=(Mutant("backwards", old="values + by", new="values - by", hint="Add it."),),
    variants=(variants.shifted_list,),
)

SCALED = Exercise(
    reference=scaled,
    points=1,
    groups=(Group("four values", factors, public=True), Group("four others", factors)),
    mutants=(Mutant("adds", old="factor * values", new="factor + values", hint="Multiply."),),
    variants=(variants.scaled_list,),
)

COUNT_POSITIVE = Exercise(
    reference=count_positive,
    points=1,
    groups=(Group("some numbers", numbers, public=True), Group("other numbers", numbers)),
    mutants=(Mutant("negative", old="> 0.0", new="< 0.0", hint="Above zero."),),
    variants=(variants.counted_by_loop,),
)
