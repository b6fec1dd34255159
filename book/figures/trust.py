"""Chapter 6's exact figures: surrogate and bound, the natural gradient, three estimates of a KL."""

from __future__ import annotations

import functools

import numpy as np
import torch
from IPython.display import HTML
from numpy.typing import NDArray

from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK
from solutions.lab06_trpo_ppo import reference

Float = NDArray[np.float64]
BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]

# A small world whose every number is known

GAMMA, NUM_OBS, NUM_ACTIONS, WORLD = 0.9, 6, 3, 465
NEAR = 0.012  # length of step up to which the bound can be seen
NUM_FEATURES = 2  # fewer than states, so that what helps in one state moves the others


@functools.cache
def world() -> tuple[Float, Float, Float, Float]:
    """Return transitions, rewards, starts and the features of each state."""
    rng = np.random.default_rng(WORLD)
    P = rng.dirichlet(np.full(NUM_OBS, 0.25), size=(NUM_OBS, NUM_ACTIONS))
    R = rng.normal(size=(NUM_OBS, NUM_ACTIONS))
    start = np.full(NUM_OBS, 1.0 / NUM_OBS)
    return P, R, start, rng.normal(size=(NUM_OBS, NUM_FEATURES))


def softmax(logits: Float) -> Float:
    """Return the policy of a table of logits."""
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def solved(policy: Float) -> tuple[float, Float, Float]:
    """Return the expected return, the discounted visits of each state, and the advantages."""
    P, R, start, _ = world()
    moves = np.einsum("sa,sax->sx", policy, P)
    system = np.eye(NUM_OBS) - GAMMA * moves
    V = np.linalg.solve(system, (policy * R).sum(axis=1))
    visits = np.linalg.solve(system.T, start)
    return float(start @ V), visits, R + GAMMA * P @ V - V[:, None]


def along(steps: Float) -> dict[str, Float]:
    """Return true gain, surrogate, bound and largest KL, on the line of the policy gradient."""
    features = world()[3]
    old = softmax(np.zeros((NUM_OBS, NUM_ACTIONS)))
    value, visits, advantage = solved(old)
    gradient = features.T @ (visits[:, None] * old * advantage)
    uphill = features @ (gradient / np.linalg.norm(gradient))
    C = 4.0 * np.abs(advantage).max() * GAMMA / (1.0 - GAMMA) ** 2
    found: dict[str, list[float]] = {name: [] for name in ("true", "surrogate", "bound", "kl")}
    for step in steps:
        new = softmax(step * uphill)
        surrogate = float(visits @ (new * advantage).sum(axis=1))
        kl = float((old * np.log(old / new)).sum(axis=1).max())
        rows = (solved(new)[0] - value, surrogate, surrogate - C * kl, kl)
        for name, number in zip(found, rows, strict=True):
            found[name].append(number)
    return {name: np.array(column) for name, column in found.items()}


def promise() -> tuple[float, float, float]:
    """Return the best promise of the bound, what that step really gains, and its largest KL."""
    found = along(np.linspace(0.0, 0.05, 2001))
    best = int(found["bound"].argmax())
    return float(found["bound"][best]), float(found["true"][best]), float(found["kl"][best])


# Two parameters, so that a trust region can be drawn

FEATURES = np.array([[1.0, 1.0], [-0.4, 3.0], [0.2, -3.0], [-1.0, 1.0]])
GAINS = np.array([1.0, 0.5, 0.1, -0.7])  # advantage of action 1 over action 0, at each state
START, MAX_KL = np.array([0.2, -0.1]), 0.05


class Two(torch.nn.Module):
    """A policy over two actions with one parameter per feature."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = torch.nn.Parameter(torch.tensor(START))

    def forward(self, obs: torch.Tensor) -> torch.Tensor:
        """Return logits, shape ``(batch, 2)``."""
        score = obs @ self.theta
        return torch.stack([torch.zeros_like(score), score], dim=-1)


def chance(theta: Float) -> Float:
    """Return the probability of action 1 at each state, for one or many thetas."""
    return 1.0 / (1.0 + np.exp(-(theta @ FEATURES.T)))


def mean_kl(theta: Float) -> Float:
    """Return the mean KL(old || new) over the states."""
    p, q = chance(START), chance(theta)
    return (p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).mean(axis=-1)


@functools.cache
def directions() -> dict[str, Float]:
    """Return the gradient, the natural gradient, and the Fisher matrix, by lab 6's functions."""
    policy, obs = Two(), torch.tensor(FEATURES)
    p = chance(START)
    gradient = ((GAINS * p * (1 - p))[:, None] * FEATURES).mean(axis=0)

    def hvp(v: torch.Tensor) -> torch.Tensor:
        return reference.fisher_vector_product(policy, obs, v, damping=0.0)

    fisher = torch.stack([hvp(v) for v in torch.eye(2, dtype=torch.float64)])
    natural = reference.conjugate_gradient(
        hvp, torch.tensor(gradient), num_iterations=2, tolerance=1e-20
    )
    return {"gradient": gradient, "natural": natural.numpy(), "fisher": fisher.numpy()}


def to_edge(direction: Float) -> Float:
    """Return the step along a direction whose quadratic KL is the allowed one."""
    curvature = direction @ directions()["fisher"] @ direction
    return np.sqrt(2.0 * MAX_KL / curvature) * direction


# Three estimates of the same divergence, of two normal distributions with deviation 1


def estimator_errors(kl: float) -> dict[str, tuple[float, float]]:
    """Return mean and standard deviation of one sample's k1, k2 and k3, over the true KL."""
    shift = np.sqrt(2.0 * kl)
    x, weight = np.polynomial.hermite_e.hermegauss(80)
    weight = weight / weight.sum()
    log_ratio = shift * x - kl  # log of N(x; shift, 1) over N(x; 0, 1)
    samples = {
        "k1": -log_ratio,
        "k2": 0.5 * log_ratio**2,
        "k3": np.expm1(log_ratio) - log_ratio,
    }
    means = {name: float(weight @ k) for name, k in samples.items()}
    return {
        name: (means[name] / kl, float(np.sqrt(weight @ (k - means[name]) ** 2)) / kl)
        for name, k in samples.items()
    }


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    promised, gained, kl = promise()
    wide = along(np.linspace(0.0, 8.0, 401))
    top = int(wide["true"].argmax())
    half, small = estimator_errors(0.5), estimator_errors(0.01)
    p, q = np.array([0.5, 0.5]), np.array([0.6, 0.4])
    gradient, natural = (
        to_edge(directions()[name]) @ directions()["gradient"] for name in ("gradient", "natural")
    )
    return {
        "bound_promise": f"{promised:.5f}",
        "bound_true": f"{gained:.3f}",
        "bound_kl": f"{1e6 * kl:.0f} millionths of a nat",
        "best_true": f"{wide['true'][top]:.1f}",
        "end_true": f"{wide['true'][-1]:.1f}",
        "end_surrogate": f"{wide['surrogate'][-1]:.1f}",
        "natural_gain": f"{natural / gradient:.1f}",
        "region_kl": f"{MAX_KL:g}",
        "k1_std": f"{half['k1'][1]:.2f}",
        "k2_std": f"{half['k2'][1]:.2f}",
        "k3_std": f"{half['k3'][1]:.2f}",
        "k2_bias": f"{100 * (half['k2'][0] - 1):.0f}",
        "k1_small": f"{small['k1'][1]:.1f}",
        "k3_small": f"{small['k3'][1]:.1f}",
        "k2_bias_small": f"{100 * (small['k2'][0] - 1):.1f}",
        "edge_kl": f"{float(p @ np.log(p / q)):.3f}",
    }


def found_end(end: float, name: str) -> float:
    """Return a curve's last value."""
    return float(along(np.array([end]))[name][0])


def draw_bound() -> HTML:
    """Draw true gain, surrogate and bound along the policy gradient, far and near."""
    with drawing(5.6, 2.9, ncols=2) as (figure, axes):
        for ax, end, name in zip(axes, (8.0, NEAR), ("far", "near"), strict=True):
            steps = np.linspace(0.0, end, 200)
            found = along(steps)
            ax.plot(steps, found["surrogate"], color=ORANGE, ls="--")
            ax.plot(steps, found["true"], color=BLUE)
            inside = found["bound"] > -0.15 * found["surrogate"].max()
            ax.plot(steps[inside], found["bound"][inside], color=GREEN)
            ax.axhline(0.0, color=INK, lw=0.8)
            ax.set(xlabel="length of the step", title=name, xlim=(0, end))
        axes[0].set_ylabel("gain")
        axes[0].text(7.9, 0.8 * found_end(8.0, "surrogate"), "surrogate", color=ORANGE, ha="right")
        axes[0].text(7.9, 1.3 * found_end(8.0, "true"), "true", color=BLUE, ha="right")
        axes[1].text(0.98 * NEAR, 0.0, "bound", color=GREEN, ha="right", va="bottom")
        return inline(
            figure,
            "trpo-bound",
            "Gain against the length of the step. Left, steps up to 8: the surrogate rises on, the"
            " true gain follows at first and stays far below it later. Right, steps up to 0.012:"
            " surrogate and true gain are one line, the bound rises a little, turns and falls.",
        )


def draw_region() -> HTML:
    """Draw the trust region of two parameters, and both steps to its edge."""
    with drawing(4.9, 3.6) as (figure, ax):
        x, y = np.meshgrid(np.linspace(-1.0, 2.2, 240), np.linspace(-0.7, 0.5, 240))
        theta = np.stack([x, y], axis=-1)
        gain = (GAINS * (chance(theta) - chance(START))).mean(axis=-1)
        ax.contour(x, y, gain, levels=10, colors=INK, linewidths=0.6, alpha=0.6)
        ax.contour(x, y, mean_kl(theta), levels=[MAX_KL], colors=[BLUE], linewidths=2.0)
        offset = theta - START
        bowl = 0.5 * np.einsum("...i,ij,...j->...", offset, directions()["fisher"], offset)
        ax.contour(x, y, bowl, levels=[MAX_KL], colors=[BLUE], linewidths=1.2, linestyles="--")
        for name, colour, words in (
            ("gradient", ORANGE, "gradient"),
            ("natural", GREEN, "natural gradient"),
        ):
            step = to_edge(directions()[name])
            ax.annotate(
                "",
                xy=START + step,
                xytext=START,
                arrowprops={"arrowstyle": "->", "color": colour, "lw": 2.2},
            )
            end = START + 1.12 * step
            ax.text(end[0], end[1], words, color=colour, ha="left", va="center")
        ax.plot(*START, "o", color=INK, ms=5)
        ax.grid(visible=False)
        ax.set(xlabel="first parameter", ylabel="second parameter")
        return inline(
            figure,
            "trust-region",
            "A long, slanted oval around the old parameters, the KL's level line, and almost on it"
            " a dashed ellipse. The gradient's arrow ends after a short way at the oval's flat"
            " side; the natural gradient's arrow runs along the oval and crosses more level lines"
            " of the surrogate.",
        )


def draw_estimators() -> HTML:
    """Draw spread and mean of the three estimates against the true divergence."""
    kls = np.geomspace(1e-3, 1.0, 60)
    rows = [estimator_errors(float(kl)) for kl in kls]
    with drawing(5.6, 2.9, ncols=2) as (figure, (left, right)):
        for name, colour, style in (("k1", ORANGE, "-"), ("k2", GREEN, "--"), ("k3", BLUE, "-")):
            spread = np.array([row[name][1] for row in rows])
            left.plot(kls, spread, color=colour, ls=style, label=name)
            right.plot(kls, [row[name][0] for row in rows], color=colour, ls=style)
        left.set(xscale="log", yscale="log", xlabel="true KL", title="deviation over KL")
        left.set_yticks([2, 5, 10, 20, 40], ["2", "5", "10", "20", "40"])
        left.set_yticks([], minor=True)
        right.set(xscale="log", xlabel="true KL", title="mean over KL", ylim=(0.9, 1.6))
        left.legend()
        return inline(
            figure,
            "kl-estimators",
            "Left: deviation of one sample over the true KL. For k1 it grows without end as the KL"
            " gets small, for k2 and k3 it stays near 1.4. Right: mean over the true KL: 1 for k1"
            " and k3; for k2 it rises from 1 to 1.5.",
        )
