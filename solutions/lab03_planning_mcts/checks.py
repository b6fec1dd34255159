"""Lab 3, checks: points, groups of cases, and the mistakes that they can tell apart."""

from collections.abc import Iterator

import numpy as np

from autograder.spec import Case, Exercise, Group, Mutant
from solutions.lab03_planning_mcts import reference


def ucb_by_hand(rng: np.random.Generator) -> Iterator[Case]:
    yield {"num_parent": 10, "total_value": 3.0, "num_visits": 4, "c": 1.4}


UCB = Exercise(
    reference=reference.ucb,
    points=2,
    groups=(Group("by hand", ucb_by_hand, public=True),),
    mutants=(
        Mutant(
            "sum_for_mean",
            old="total_value / num_visits",
            new="total_value",
            hint="You add up the results; what counts is their mean, `total_value / num_visits`.",
        ),
    ),
)
