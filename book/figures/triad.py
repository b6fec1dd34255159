"""Chapter 4's figures about networks for tables: what an update touches, when it diverges."""

from __future__ import annotations

import functools

import numpy as np
import torch
from IPython.display import HTML
from numpy.typing import NDArray
from torch import nn

from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK
from solutions.lab04_dqn.reference import QNetwork

Float = NDArray[np.float64]

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
AT, BEYOND, FAR = 0.2, 0.25, -0.8  # the state that is updated, the one after it, one far away
CORRIDOR = np.linspace(-1.0, 1.0, 41)
STEP, MOVE = 0.1, 0.5
NUM_SWEEPS, NUM_LONG = 600, 4_000
GAMMA = 0.99
COPIES = {1: ORANGE, 3: PURPLE, 10: GREEN, 30: BLUE}


# What one update touches


@functools.cache
def update_of_network() -> Float:
    """Return how the values of the corridor change when that of one state moves by ``MOVE``."""
    torch.manual_seed(0)
    network = QNetwork(1, 1, 64)
    states = torch.tensor(CORRIDOR[:, None], dtype=torch.float32)
    at = torch.tensor([[AT]])
    with torch.no_grad():
        before = network(states)
        goal = network(at) + MOVE
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02)
    while abs(float(network(at).detach() - goal)) > 1e-3:
        optimizer.zero_grad()
        nn.functional.mse_loss(network(at), goal).backward()
        optimizer.step()
    with torch.no_grad():
        return (network(states) - before).squeeze(1).numpy().astype(float)


def draw_update() -> HTML:
    """Draw what one update does to a table and to a network."""
    change = update_of_network()
    table = np.where(np.isclose(CORRIDOR, AT), MOVE, 0.0)
    with drawing(5.1, 3.0) as (figure, ax):
        ax.vlines(CORRIDOR, 0, table, color=ORANGE, lw=2.2)
        ax.plot(CORRIDOR, table, "o", color=ORANGE, ms=3.2, label="table")
        ax.plot(CORRIDOR, change, "-", color=BLUE, label="network")
        ax.plot([AT], [MOVE], "o", color=INK, ms=6)
        ax.annotate("the state that\nwas updated", (AT, MOVE), (-8, -44),
                    textcoords="offset points", ha="right", va="top")  # fmt: skip
        ax.set(xlabel="state", ylabel="change of its value", xlim=(-1.03, 1.03))
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12))
        return inline(
            figure,
            "one-update",
            "Change of value for 41 states in a row after one state's value was raised by a half:"
            " the table has one spike there, the network raises all states by nearly as much.",
        )


# Baird's counterexample


def baird() -> tuple[Float, Float, Float]:
    """Return features, the target policy's transitions, and the weights to begin with."""
    features = np.zeros((7, 8))
    features[np.arange(6), np.arange(6)] = 2.0
    features[:6, 7] = 1.0
    features[6, 6:] = 1.0, 2.0
    leads_to = np.zeros((7, 7))
    leads_to[:, 6] = 1.0
    return features, leads_to, np.array([1.0, 1, 1, 1, 1, 1, 10, 1])


def sweeps(leg: str | None = None, *, copy_every: int = 1, count: int = NUM_SWEEPS) -> Float:
    """Return the largest value after each sweep of expected updates; all should be 0.

    Args:
        leg: of the triad that is taken away: "approximation", "bootstrapping", "off-policy".
        copy_every: sweeps between copies of the weights that the targets are computed from.
        count: sweeps.
    """
    features, leads_to, weights = baird()
    seen = np.full(7, 1 / 7)  # the behaviour policy visits all states alike
    if leg == "off-policy":
        seen = np.eye(7)[6]  # who follows the target policy stays in the seventh state
    if leg == "approximation":
        weights, features = features @ weights, np.eye(7)
    lagged, largest = weights.copy(), []
    for sweep in range(1, count + 1):
        follows = np.zeros(7) if leg == "bootstrapping" else leads_to @ features @ lagged
        error = GAMMA * follows - features @ weights
        weights = weights + STEP * features.T @ (seen * error)
        if sweep % copy_every == 0:
            lagged = weights.copy()
        largest.append(np.abs(features @ weights)[seen > 0].max())
    return np.array(largest)


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    change = update_of_network()
    near, far = (float(np.interp(place, CORRIDOR, change)) / MOVE for place in (BEYOND, FAR))
    features, leads_to, _ = baird()
    matrix = features.T @ (GAMMA * leads_to - np.eye(7)) @ features / 7
    growth = float(np.linalg.eigvals(matrix).real.max())
    long = {every: sweeps(copy_every=every, count=NUM_LONG) for every in COPIES}
    return {
        "update_near": f"{100 * near:.0f}%",
        "update_far": f"{100 * far:.0f}%",
        "baird_start": f"{sweeps()[0]:.0f}",
        "baird_sweeps": str(NUM_SWEEPS),
        "baird_end": f"{sweeps()[-1] / 1e6:.0f} million",
        "baird_growth": f"{growth:.3f}",
        "baird_alpha": f"{STEP:g}",
        "baird_doubles": f"{np.log(2) / np.log1p(STEP * growth):.0f}",
        "baird_safe": str(min(n for n in COPIES if long[n][-1] < long[n][0])),
        "baird_best": f"{min(found[-1] for found in long.values()):.2g}",
        "baird_long": f"{NUM_LONG:,}".replace(",", "\u202f"),
    }


def draw_baird() -> HTML:
    """Draw the largest value with the whole triad and with each leg taken away."""
    curves = {
        "all three": (None, ORANGE, "-"),
        "on-policy": ("off-policy", BLUE, "--"),
        "a table": ("approximation", GREEN, "-."),
        "no bootstrapping": ("bootstrapping", PURPLE, "-"),
    }
    with drawing(5.1, 3.6) as (figure, ax):
        for label, (leg, colour, style) in curves.items():
            found = sweeps(leg)
            ax.plot(np.arange(1, NUM_SWEEPS + 1), found, style, color=colour, label=label)
        ax.set(xlabel="sweep", ylabel="largest value (truth: 0)", yscale="log")
        ax.set(xlim=(0, NUM_SWEEPS), ylim=(1e-3, 1e9))
        ax.legend(loc="upper left")
        return inline(
            figure,
            "baird",
            "Largest estimated value over the sweeps, on a logarithmic axis. With all three"
            " ingredients it grows without end; on-policy, with a table, or without"
            " bootstrapping it falls.",
        )


def draw_lagged() -> HTML:
    """Draw the same with a target network that is copied now and then."""
    with drawing(5.1, 3.4) as (figure, ax):
        for every, colour in COPIES.items():
            found = sweeps(copy_every=every, count=NUM_LONG)
            label = "every sweep" if every == 1 else f"every {every} sweeps"
            ax.plot(np.arange(1, NUM_LONG + 1)[::4], found[::4], color=colour, label=label)
        ax.set(xlabel="sweep", ylabel="largest value (truth: 0)", yscale="log")
        ax.set(xlim=(0, NUM_LONG), ylim=(1e-3, 1e7))
        ax.legend(loc="upper right", title="copied")
        return inline(
            figure,
            "baird-lagged",
            "The same example with a target network: copied in every sweep or every third one the"
            " values grow without end, copied every ten or thirty sweeps they fall to zero.",
        )
