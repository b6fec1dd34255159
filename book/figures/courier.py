"""The world of chapter 1: a courier robot in a corridor, with a battery.

The chapter shows this code to its readers, so it is written for them.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Outcome = tuple[float, int, int, float, bool]

DOCK, DOOR, FULL = 0, 5, 3  # first cell, last cell, full battery
LEFT, RIGHT, CHARGE = 0, 1, 2
NAMES = ("left", "right", "charge")
NUM_CELLS, NUM_CHARGES, NUM_ACTIONS = DOOR + 1, FULL + 1, 3
NUM_OBS = NUM_CELLS * NUM_CHARGES
GAMMA = 0.95


def state(cell: int, charge: int) -> int:
    """Return the number of a state."""
    return cell * NUM_CHARGES + charge


START = state(DOCK, 1)


def arrive(probability: float, cell: int, charge: int) -> Outcome:
    """Return probability, cell, charge, reward and terminated of a move."""
    if cell == DOOR:
        return probability, cell, charge, -1.0 + 30.0, True  # delivered
    if charge == 0 and cell != DOCK:
        return probability, cell, charge, -1.0 - 30.0, True  # stranded
    return probability, cell, charge, -1.0, False


def outcomes(cell: int, charge: int, action: int) -> list[Outcome]:
    """Return all that an action may lead to."""
    if action == CHARGE:
        filled = min(charge + 1, FULL) if cell == DOCK else charge
        return [(1.0, cell, filled, -1.0, False)]
    if charge == 0:  # empty at the dock: the wheels don't turn
        return [(1.0, cell, charge, -1.0, False)]
    next_cell = max(cell - 1, DOCK) if action == LEFT else cell + 1
    return [
        arrive(0.5, next_cell, charge - 1),
        arrive(0.5, next_cell, charge),
    ]


class Courier(gym.Env[int, int]):
    """The environment: keeps the state, takes actions, answers."""

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Discrete(NUM_OBS)
        self.action_space = gym.spaces.Discrete(NUM_ACTIONS)

    def reset(self, *, seed: int | None = None, options: Any = None):
        super().reset(seed=seed)
        self.cell, self.charge = DOCK, 1
        return state(self.cell, self.charge), {}

    def step(self, action: int):
        possible = outcomes(self.cell, self.charge, action)
        odds = [outcome[0] for outcome in possible]
        drawn = self.np_random.choice(len(possible), p=odds)
        _, self.cell, self.charge, reward, terminated = possible[drawn]
        return state(self.cell, self.charge), reward, terminated, False, {}


def model() -> tuple[Float, Float]:
    """Return P (states, actions, states) and R (states, actions)."""
    P = np.zeros((NUM_OBS, NUM_ACTIONS, NUM_OBS))
    R = np.zeros((NUM_OBS, NUM_ACTIONS))
    for cell in range(NUM_CELLS):
        for charge in range(NUM_CHARGES):
            s = state(cell, charge)
            if cell == DOOR or (charge == 0 and cell != DOCK):
                P[s, :, s] = 1.0  # terminal: stays there, earns nothing
                continue
            for a in range(NUM_ACTIONS):
                for p, *place, reward, _ in outcomes(cell, charge, a):
                    P[s, a, state(*place)] += p
                    R[s, a] += p * reward
    return P, R


def play(env: gym.Env[int, int], pi: Float, rng: np.random.Generator):
    """Play one episode; return what was seen, done, earned; and the flag."""
    seen, actions, rewards = [], [], []
    obs, _ = env.reset(seed=int(rng.integers(2**31)))
    terminated = truncated = False
    while not (terminated or truncated):
        action = int(rng.choice(NUM_ACTIONS, p=pi[obs]))
        seen.append(obs)
        actions.append(action)
        obs, reward, terminated, truncated, _ = env.step(action)
        rewards.append(reward)
    return [*seen, obs], actions, rewards, terminated


# Policies


def deterministic(actions: NDArray[np.intp]) -> Float:
    """Return the policy that takes one action per state, shape (states, actions)."""
    return np.eye(NUM_ACTIONS)[actions]


def careful() -> Float:
    """Return the policy that charges until full, then walks to the door."""
    actions = np.full(NUM_OBS, RIGHT)
    for charge in range(FULL):
        actions[state(DOCK, charge)] = CHARGE
    return deterministic(actions)


def random_policy() -> Float:
    """Return the policy that draws its actions evenly."""
    return np.full((NUM_OBS, NUM_ACTIONS), 1 / NUM_ACTIONS)


def terminal() -> NDArray[np.bool_]:
    """Return which states are terminal."""
    cell, charge = np.divmod(np.arange(NUM_OBS), NUM_CHARGES)
    return (cell == DOOR) | ((charge == 0) & (cell != DOCK))
