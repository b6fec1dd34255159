"""Three agents balance a pole, one of each of chapters 4 to 6, from the same start.

Their weights lie in ``book/showcase`` (``make train-showcase``); they play when the site is built.
"""

from __future__ import annotations

import math
from pathlib import Path

import gymnasium
import numpy as np

from course_site.films.reel import Reel, svg, text, translated
from labkit.artifacts import load_artifact

SHOWCASE = Path(__file__).parents[3] / "showcase"
AGENTS = {"dqn": "DQN", "a2c": "A2C", "ppo": "PPO"}
START = (0.9, 0.0, -0.13, 0.0)  # right of the middle, leaning left: harder than Gymnasium's
STEPS, EVERY = 400, 8  # of the film, and of its frames
SECONDS_PER_STEP = 0.02
EPISODES, SEED = 20, 20_000
EDGE, HALF_POLE = 2.4, 0.5  # metres
ACTIVATION = {"dqn": lambda x: np.maximum(x, 0.0), "a2c": np.tanh, "ppo": np.tanh}


def weights(agent: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weight and bias of each layer of an agent's network."""
    found = load_artifact(SHOWCASE / f"cartpole_{agent}.safetensors")
    layers = sorted({int(name.partition(".")[0]) for name in found})
    return [(found[f"{layer}.weight"], found[f"{layer}.bias"]) for layer in layers]


def greedy(agent: str, obs: np.ndarray) -> np.ndarray:
    """Return the agent's best actions for a batch of observations."""
    *hidden, (weight, bias) = weights(agent)
    for inner, shift in hidden:
        obs = ACTIVATION[agent](obs @ inner.T + shift)
    return (obs @ weight.T + bias).argmax(axis=1)


def played(agent: str) -> list[tuple[float, float]]:
    """Return position and angle before each step from `START`, until the pole falls."""
    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    env.reset(seed=0)
    env.unwrapped.state = START
    obs, path = np.array(START, dtype=np.float32), []
    for _ in range(STEPS + 1):
        path.append((round(float(obs[0]), 2), float(obs[2])))
        obs, _, terminated, _, _ = env.step(int(greedy(agent, obs[None])[0]))
        if terminated:
            break
    return path


def mean_steps(agent: str) -> float:
    """Return how long the agent balances the pole on average, from Gymnasium's own starts."""
    env = gymnasium.make_vec("CartPole-v1", EPISODES, vectorization_mode="vector_entry_point")
    obs, _ = env.reset(seed=SEED)
    steps, going = np.zeros(EPISODES), np.ones(EPISODES, dtype=bool)
    while going.any():
        obs, _, terminated, truncated, _ = env.step(greedy(agent, obs))
        steps += going
        going &= ~(terminated | truncated)
    return float(steps.mean())


def panel(agent: str) -> str:
    """Return the drawing of one agent's cart."""
    path = played(agent)
    reel = Reel(f"cartpole-{agent}", STEPS, SECONDS_PER_STEP)
    shown = [*range(0, len(path), EVERY)]
    if shown[-1] != len(path) - 1:
        shown.append(len(path) - 1)
    ends = [] if shown[-1] == STEPS else [STEPS]
    ticks = [(step, path[step]) for step in shown] + [(end, path[-1]) for end in ends]
    slide = reel.moved((tick, x, 0.0) for tick, (x, _) in ticks)
    turn = reel.animated((tick, turned(angle)) for tick, (_, angle) in ticks)
    held = len(path) == STEPS + 1
    seconds = f"{STEPS * SECONDS_PER_STEP:g} seconds"
    words = f"held for {seconds}" if held else f"fell after {len(path)} steps"
    middle = 'text-anchor="middle"'
    content = (
        f'<path class="rule" d="M{-EDGE:g},0H{EDGE:g}"/>'
        + "".join(f'<path class="rule" d="M{x:g},-.12V.12"/>' for x in (-EDGE, 0, EDGE))
        + text(0, -1.62, AGENTS[agent], size=0.36, more=f'font-weight="600" {middle}')
        + text(0, 0.62, words, size=0.3, more=middle)
        + f'<g style="{translated(path[-1][0], 0)};{slide}">'
        '<rect class="abyss" x="-.32" y="-.2" width=".64" height=".32" rx=".06"/>'
        f'<g style="{turned(path[-1][1])};{turn}">'
        f'<path class="walk" d="M0,-.1V{-0.1 - 2 * HALF_POLE:g}"/></g></g>'
    )
    label = f"{AGENTS[agent]} balances a pole on a cart that started off the middle: {words}."
    return svg("-2.6 -2.05 5.2 2.9", label, f"<style>{reel.style}</style>{content}")


def turned(angle: float) -> str:
    """Return the declaration that turns an element by an angle in radians about its origin."""
    return f"transform:rotate({math.degrees(angle):.1f}deg)"


def film() -> list[str]:
    """Return the three carts, side by side on a desk."""
    return [panel(agent) for agent in AGENTS]


def facts() -> str:
    """Return how well the agents do from Gymnasium's own starts, for the caption."""
    means = ", ".join(f"{name} {mean_steps(agent):.0f}" for agent, name in AGENTS.items())
    return f"From Gymnasium's own starts they last, of 500 steps, a mean of {EPISODES}: {means}."
