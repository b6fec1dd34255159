"""Chapter 5's figures of policy gradients at work: a bandit, a chain, three kinds of reset."""

from __future__ import annotations

import functools
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from IPython.display import HTML, Markdown
from matplotlib.patches import Circle
from numpy.typing import NDArray

from benchmarks import lab05_gae_curve as chain
from book.figures.advantage import REWARDS
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK

Float = NDArray[np.float64]

# ---- REINFORCE on a bandit --------------------------------------------------------------------

OFFSET = 20.0  # every reward is larger by this; the best action stays the best
STEPS, LEARNERS, RATE = 400, 1_000, 0.05


@functools.cache
def learned(with_baseline: bool) -> tuple[Float, float]:
    """Return each step's expected reward, mean of all learners, and the share that got stuck.

    A learner is stuck if in the end it takes an action that is not the best more than half of the
    time. The baseline is the mean of the rewards seen before.
    """
    rng = np.random.default_rng(0)
    theta = np.zeros((LEARNERS, 3))
    baseline = np.zeros(LEARNERS)
    expected = np.zeros(STEPS)
    for step in range(STEPS):
        p = np.exp(theta - theta.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        expected[step] = (p @ REWARDS).mean()
        action = (rng.random((LEARNERS, 1)) > p.cumsum(axis=1)[:, :2]).sum(axis=1)
        reward = REWARDS[action] + OFFSET + rng.normal(size=LEARNERS)
        advantage = reward - baseline if with_baseline and step else reward * (not with_baseline)
        theta += RATE * advantage[:, None] * (np.eye(3)[action] - p)
        baseline += (reward - baseline) / (step + 1)
    return expected, float((p[:, :2].max(axis=1) > 0.5).mean())


def draw_bandit() -> HTML:
    """Draw what a bandit's learners earn, with and without a baseline."""
    with drawing(5.1, 3.1) as (figure, ax):
        names = ((True, "the mean so far as baseline", COLOURS[0], 3.55),
                 (False, "no baseline", COLOURS[1], 2.35))  # fmt: skip
        for with_baseline, name, colour, height in names:
            ax.plot(learned(with_baseline)[0], color=colour)
            ax.text(STEPS - 5, height, name, color=colour, ha="right")
        ax.axhline(REWARDS.max(), color=INK, ls=":", lw=1.2)
        ax.set(xlabel="samples, one per step", ylabel=f"expected reward − {OFFSET:.0f}")
        ax.set(xlim=(0, STEPS), ylim=(1.0, 4.2))
        return inline(
            figure,
            "bandit",
            "Expected reward against steps. With a baseline it rises to near the best action's 4;"
            " without one it stops between the actions' rewards, since many learners are stuck.",
        )


# ---- how noisy the estimate is ----------------------------------------------------------------

EPISODES = 5_000
RIGHT = 0.6  # probability that the policy goes right, in every cell
NAMES = {
    "whole": "the whole return",
    "constant": "the whole return, less its mean",
    "to go": "the reward-to-go",
    "value": "the reward-to-go, less the state's value",
    "delta": "reward and value of the next state, less the state's value",
}


@functools.cache
def exact() -> tuple[Float, Float]:
    """Return the undiscounted values and the gradient of one preference per cell, exactly."""
    P, R, terminal = chain.chain()
    live = ~terminal
    onward = (1.0 - RIGHT) * P[:, 0] + RIGHT * P[:, 1]
    inside = np.eye(live.sum()) - onward[np.ix_(live, live)]
    values, visits = np.zeros(chain.NUM_OBS), np.zeros(chain.NUM_OBS)
    values[live] = np.linalg.solve(inside, (onward @ R)[live])
    visits[live] = np.linalg.solve(inside.T, np.eye(chain.NUM_OBS)[chain.START][live])
    q_values = P @ (R + values)
    return values, visits * RIGHT * (1.0 - RIGHT) * (q_values[:, 1] - q_values[:, 0])


@functools.cache
def estimates(num_episodes: int = EPISODES, seed: int = 0) -> dict[str, Float]:
    """Return each episode's estimate of the gradient, shape ``(num_episodes, cells)``, by name."""
    rng = np.random.default_rng(seed)
    _, R, terminal = chain.chain()
    values, _ = exact()
    here = np.full(num_episodes, chain.START)
    rows: list[tuple[Any, ...]] = []
    while not terminal[here].all():
        alive = ~terminal[here]
        action = rng.random(num_episodes) < RIGHT
        goes_right = action ^ (rng.random(num_episodes) < chain.SLIP)
        there = np.where(alive, here + np.where(goes_right, 1, -1), here)
        reward = alive * (R[there] + chain.NOISE * rng.normal(size=num_episodes))
        rows.append((here, alive * (action - RIGHT), reward, values[there]))
        here = there
    total = sum(reward for _, _, reward, _ in rows)
    to_go = np.zeros(num_episodes)
    found = {name: np.zeros((num_episodes, chain.NUM_OBS)) for name in NAMES}
    everyone = np.arange(num_episodes)
    for here, score, reward, value_there in reversed(rows):
        to_go = to_go + reward
        weights = {
            "whole": total,
            "constant": total - values[chain.START],
            "to go": to_go,
            "value": to_go - values[here],
            "delta": reward + value_there - values[here],
        }
        for name, weight in weights.items():
            found[name][everyone, here] += weight * score
    return found


def spreads() -> dict[str, float]:
    """Return the standard deviation of one episode's estimate, over all elements, by name."""
    return {name: float(np.sqrt(g.var(axis=0).sum())) for name, g in estimates().items()}


def ladder() -> Markdown:
    """Tabulate how noisy each weight of the scores is."""
    size = float(np.linalg.norm(exact()[1]))
    lines = [
        "| weight of each score | deviation of one episode's estimate | episodes needed |",
        "|---|---|---|",
    ]
    for name, spread in spreads().items():
        needed = f"{(spread / size) ** 2 * 100:,.0f}".replace(",", "\u202f")
        lines.append(f"| {NAMES[name]} | {spread:.1f} | {needed} |")
    return Markdown("\n".join(lines))


# ---- three kinds of reset ---------------------------------------------------------------------

LAST, CALLS = 3, 7
MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)


class Counter(gym.Env[int, int]):
    """Counts its steps and terminates at the third; each step pays 1."""

    observation_space = gym.spaces.Discrete(LAST + 1)
    action_space = gym.spaces.Discrete(2)

    def reset(self, **_: Any) -> tuple[int, dict[str, Any]]:
        """Begin at 0."""
        self.count = 0
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Count one further."""
        self.count += 1
        return self.count, 1.0, self.count == LAST, False, {}


@functools.cache
def calls(mode: AutoresetMode) -> list[dict[str, Any]]:
    """Return what each call of a vector environment of one column gave, as Gymnasium does it."""
    env = SyncVectorEnv([Counter], autoreset_mode=mode)
    obs, _ = env.reset()
    told = [{"call": "reset", "obs": int(obs[0]), "reward": None, "ended": False, "final": None}]
    while len(told) < CALLS:
        if mode is AutoresetMode.DISABLED and told[-1]["ended"]:
            obs, _ = env.reset(options={"reset_mask": np.array([True])})
            told.append(told[0] | {"obs": int(obs[0])})
            continue
        obs, reward, terminated, _, infos = env.step(np.array([0]))
        told.append(
            {
                "call": "step",
                "obs": int(obs[0]),
                "reward": float(reward[0]),
                "ended": bool(terminated[0]),
                "final": int(infos["final_obs"][0]) if "final_obs" in infos else None,
            }
        )
    env.close()
    return told


def draw_resets() -> HTML:
    """Draw what each call returns in Gymnasium's three modes."""
    with drawing(5.1, 3.9) as (figure, ax):
        for number, mode in enumerate(MODES):
            y = 2.2 * (len(MODES) - 1 - number)
            ax.text(-0.45, y + 0.72, mode.name, weight="bold", fontsize=10)
            episode = 0
            for x, told in enumerate(calls(mode)):
                starts = told["obs"] == 0 and x > 0
                episode += starts
                nobody = starts and told["call"] == "step" and not told["ended"]
                colour = COLOURS[episode % 2]
                ax.add_patch(Circle((x, y), 0.33, facecolor="none", edgecolor=colour, lw=1.8,
                                    ls="--" if nobody else "-"))  # fmt: skip
                ax.text(x, y, told["obs"], ha="center", va="center", color=colour)
                pays = "reset()" if told["reward"] is None else f"pays {told['reward']:.0f}"
                ax.text(x, y - 0.58, pays, ha="center", va="center", fontsize=8.5)
                if told["ended"]:
                    ax.text(x, y - 0.93, "terminated", ha="center", va="center", fontsize=8.5,
                            color=COLOURS[3])  # fmt: skip
                if told["final"] is not None:
                    ax.text(x, y + 0.52, f"final_obs {told['final']}", ha="center", va="center",
                            fontsize=8.5, color=COLOURS[(episode - 1) % 2])  # fmt: skip
        ax.set(xlim=(-0.6, CALLS - 0.4), ylim=(-1.15, 5.5), aspect="equal")
        ax.axis("off")
        return inline(figure, "resets", f"Circles with the observation of each call. {_told()}")


def _told() -> str:
    """Return the three rows in words."""
    rows = []
    for mode in MODES:
        found = ", ".join(str(told["obs"]) for told in calls(mode))
        rows.append(f"{mode.name}: {found}.")
    return " ".join(rows) + (
        " In the first mode the call after the 3 pays 0 and returns 0; in the second the call that"
        " terminates returns 0 and has the 3 in final_obs; in the third the user's reset returns 0."
    )


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    return {
        "bandit_learners": f"{LEARNERS:,}".replace(",", "\u202f"),
        "bandit_offset": f"{OFFSET:.0f}",
        "bandit_stuck": f"{100 * learned(False)[1]:.0f}",
        "bandit_stuck_baseline": f"{100 * learned(True)[1]:.0f}",
        "ladder_episodes": f"{EPISODES:,}".replace(",", "\u202f"),
    }
