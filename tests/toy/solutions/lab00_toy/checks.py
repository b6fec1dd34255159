"""Toy lab, checks: one declaration of every kind."""

from collections.abc import Iterator

import numpy as np
import torch

from autograder.spec import (
    Case,
    Choice,
    Exercise,
    Gate,
    Gradient,
    Group,
    Mistake,
    Mutant,
    Mutates,
    Numeric,
    Outcome,
    Parameters,
    Raises,
    Samples,
    Seed,
    Trace,
    Wrong,
)
from solutions.lab00_toy import variants
from solutions.lab00_toy.reference import (
    RunningMean,
    arm_means,
    clip_norm,
    decay_traces,
    discounted_return,
    fit_line,
    sample_action,
    softmax,
    train_bandit,
    value_loss,
)


def by_hand(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(rewards=np.array([1.0, 2.0, 4.0]), gamma=0.5)


def episodes(rng: np.random.Generator) -> Iterator[Case]:
    for length in (4, 7):
        yield dict(rewards=rng.normal(size=length), gamma=float(rng.uniform(0.5, 0.9)))


def losses(rng: np.random.Generator) -> Iterator[Case]:
    value, target = torch.from_numpy(rng.normal(size=(2, 4)))
    yield dict(value=value, target=target)


def traces(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(traces=rng.random(5), obs=int(rng.integers(5)), decay=0.7)


def numbers(rng: np.random.Generator) -> Iterator[Case]:
    calls = [("update", dict(number=float(x))) for x in rng.normal(size=4)]
    yield dict(init=dict(start=5.0), calls=[*calls[:2], ("seen", {}), *calls[2:]])


def logits(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(logits=rng.normal(size=4), temperature=float(rng.uniform(0.3, 0.8)))


def large_logits(rng: np.random.Generator) -> Iterator[Case]:
    yield dict(logits=1e3 + rng.normal(size=4), temperature=0.5)


def bad_temperatures(rng: np.random.Generator) -> Iterator[Case]:
    for temperature in (0.0, -float(rng.random())):
        yield dict(logits=rng.normal(size=3), temperature=temperature)


def action_probs(rng: np.random.Generator) -> Iterator[Case]:
    probs = np.array([0.15, 0.25, 0.6])
    yield dict(probs=rng.permutation(probs), rng=Seed(int(rng.integers(1000))))


def gradients(rng: np.random.Generator) -> Iterator[Case]:
    for length in (0.5, 3.0):
        direction = rng.normal(size=4)
        yield dict(gradient=direction / np.linalg.norm(direction) * length, max_norm=1.0)


DISCOUNTED_RETURN = Exercise(
    reference=discounted_return,
    points=2,
    groups=(Group("by hand", by_hand, public=True), Group("random episodes", episodes)),
    mutants=(
        Mutant(
            "forward",
            old="rewards[::-1]",
            new="rewards",
            hint="You discount the first reward most: start from the last one.",
        ),
        Mutant("undiscounted", old="gamma * ", new="", hint="Later rewards count for less."),
        Mutant(
            "discounts_now",
            old="float(reward) + gamma * return_",
            new="gamma * (float(reward) + return_)",
            hint="The first reward is not discounted.",
        ),
    ),
    variants=(variants.vectorized_return, variants.float32_return),
)

VALUE_LOSS = Exercise(
    reference=value_loss,
    points=2,
    groups=(Group("one batch", losses, public=True), Group("another batch", losses)),
    probe=Gradient(("value", "target")),
    mutants=(
        Mutant(
            "moves_the_target",
            old=".detach()",
            new="",
            hint="The target is a constant: no gradient goes into it.",
        ),
        Mutant("sums", old=".mean()", new=".sum()", hint="A mean, not a sum."),
    ),
    variants=(variants.library_loss,),
)

DECAY_TRACES = Exercise(
    reference=decay_traces,
    points=1,
    groups=(Group("one step", traces, public=True), Group("another step", traces)),
    probe=Mutates(("traces",)),
    mutants=(
        Mutant("copies", old="traces *= decay", new="traces = traces * decay", hint="In place."),
        Mutant("replaces", old="+= 1.0", new="= 1.0", hint="Add one to what is left of it."),
    ),
    variants=(variants.loop_traces,),
)

RUNNING_MEAN = Exercise(
    reference=RunningMean,
    points=2,
    groups=(Group("four numbers", numbers, public=True), Group("other numbers", numbers)),
    probe=Trace(),
    mutants=(
        Mutant(
            "counts_late",
            old="/ self.count",
            new="/ (self.count + 1)",
            hint="You divide before the new number is counted.",
        ),
    ),
    variants=(variants.SumAndCount,),
)

SOFTMAX = Exercise(
    reference=softmax,
    points=3,
    groups=(
        Group("probabilities", logits, public=True),
        Group("large logits", large_logits),
        Group("bad input", bad_temperatures, public=True, probe=Raises()),
    ),
    mutants=(
        Mutant("overflows", old=" - logits.max()", new="", hint="exp(2000) is infinite."),
        Mutant("multiplies", old="/ temperature", new="* temperature", hint="Divide by it."),
        Mutant("accepts_zero", old="<= 0.0", new="< 0.0", hint="Zero is not positive."),
    ),
    variants=(variants.torch_softmax,),
)

SAMPLE_ACTION = Exercise(
    reference=sample_action,
    points=1,
    groups=(Group("three actions", action_probs, public=True), Group("again", action_probs)),
    probe=Samples(count=1000, categories=3),
    mutants=(
        Mutant("greedy", old="rng.random()", new="0.5", hint="Draw at random."),
        Mutant("shifted", old="rng.random()", new="rng.random() ** 2", hint="Draw evenly."),
    ),
    variants=(variants.numpy_choice,),
)

CLIP_NORM = Exercise(
    reference=clip_norm,
    points=2,
    groups=(Group("short and long", gradients, public=True), Group("others", gradients)),
    mutants=(
        Mutant("always_scales", old="min(1.0, ", new="max(0.0, ", hint="Leave short ones alone."),
        Mutant("squared_norm", old="np.sqrt(", new="(", hint="The length has a square root."),
    ),
    variants=(variants.linalg_clip,),
    clinic="always_scales",
)

LINE = np.linspace(0.0, 1.0, 8)

FIT_LINE = Outcome(
    "fit_line",
    points=2,
    reference=fit_line,
    case=dict(x=LINE, y=3.0 * LINE - 1.0 + 0.01 * np.cos(9.0 * LINE)),
    tensors={"slope": (), "intercept": ()},
    gates=(
        Gate("slope", lambda p: float(p["slope"]), 2.9, 3.1, "The slope is off."),
        Gate("intercept", lambda p: float(p["intercept"]), -1.1, -0.9, "The intercept is off."),
    ),
    wrong=(Wrong("flat", lambda: {"slope": np.array(0.0), "intercept": np.array(0.5)}),),
)


def trained_values() -> Parameters:
    return train_bandit(RunningMean)


def largest_error(parameters: Parameters) -> float:
    return float(np.abs(parameters["values"] - arm_means(5, seed=0)).max())


BANDIT = Outcome(
    "bandit",
    points=2,
    reference=trained_values,
    artifact="bandit.safetensors",
    tensors={"values": (5,)},
    gates=(Gate("largest error", largest_error, 0.0, 0.05, "Some arm's value is still off."),),
    wrong=(Wrong("untrained", lambda: {"values": np.zeros(5)}),),
)

EFFECTIVE_HORIZON = Numeric(
    "effective_horizon",
    points=1,
    answer=10.0,
    tolerance=0.01,
    mistakes=(Mistake(9.0, "You left out the reward of now."),),
)

BEST_TEMPERATURE = Choice(
    "best_temperature",
    points=1,
    answer="B",
    why={"A": "A high temperature flattens.", "C": "Zero is not allowed."},
)
