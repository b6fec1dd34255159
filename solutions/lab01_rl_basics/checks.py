"""Lab 1, checks: points, groups of cases, and the mistakes that they can tell apart."""

from autograder.spec import Exercise, Group, Mutant
from solutions.lab01_rl_basics import cases, reference

DISCOUNTED_RETURNS = Exercise(
    reference=reference.discounted_returns,
    points=2,
    groups=(Group("by hand", cases.returns_by_hand, public=True),),
    mutants=(
        Mutant(
            "forward",
            old="reversed(range(len(rewards)))",
            new="range(len(rewards))",
            hint="You add up from the first reward on: a return looks ahead, so begin at the end.",
        ),
    ),
)
