"""Tabular environments that Gymnasium lacks.

Importing this module registers ``labkit/MaximizationBias-v0`` and ``labkit/DynaMaze-v0``.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym


class MaximizationBias(gym.Env[int, int]):
    """Two decisions, and a maximum over noise that makes the wrong one look good.

    ## Observations
    0 is A, where every episode starts; 1 is B; 2 is terminal.

    ## Actions
    In A there are two: 0 (right) ends the episode with reward 0, 1 (left) leads to B with reward 0.
    In B all ``num_actions`` end the episode with a reward from a normal distribution with mean
    ``mean`` and standard deviation 1. So left is worth ``mean`` < 0 and right is worth 0, yet the
    best of ten noisy estimates in B is above 0 for a long time.

    Source: Sutton & Barto (2018), example 6.7 (which says "many" actions; ten is our choice).
    """

    A, B, TERMINAL = 0, 1, 2

    def __init__(self, num_actions: int = 10, mean: float = -0.1) -> None:
        self.observation_space = gym.spaces.Discrete(3)  # type: ignore[assignment]
        self.action_space = gym.spaces.Discrete(num_actions)  # type: ignore[assignment]
        self.mean = mean
        self._obs = self.A

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Go to A."""
        super().reset(seed=seed)
        self._obs = self.A
        return self._obs, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Take one decision.

        Raises:
            ValueError: if A is asked for a third action.
        """
        if self._obs == self.A and action not in (0, 1):
            raise ValueError(f"A has the actions 0 (right) and 1 (left), not {action}")
        if self._obs == self.A and action == 1:
            self._obs = self.B
            return self._obs, 0.0, False, False, {}
        reward = float(self.np_random.normal(self.mean)) if self._obs == self.B else 0.0
        self._obs = self.TERMINAL
        return self._obs, reward, True, False, {}


class DynaMaze(gym.Env[int, int]):
    """A maze of 6 rows and 9 columns in which only the last step is rewarded.

    ## Observations
    Cells, row by row: the start is 18 (row 2, left), the goal 8 (top right). Seven cells are walls
    and never reached.

    ## Actions
    0 up, 1 right, 2 down, 3 left, as in Gymnasium's grids. Into a wall or the edge nothing moves.

    ## Rewards
    1 for the step into the goal, which terminates; 0 for every other. The shortest path takes 14
    steps. There is no time limit.

    Attributes:
        P: transitions as Gymnasium's own grids list them: ``P[obs][action]`` is a list of
            ``(probability, next_obs, reward, terminated)``.

    Source: Sutton & Barto (2018), example 8.1.
    """

    SHAPE = (6, 9)
    START, GOAL = 18, 8
    WALLS = (7, 11, 16, 20, 25, 29, 41)

    def __init__(self) -> None:
        rows, columns = self.SHAPE
        self.observation_space = gym.spaces.Discrete(rows * columns)  # type: ignore[assignment]
        self.action_space = gym.spaces.Discrete(4)  # type: ignore[assignment]
        self.P = {
            obs: {action: [self._outcome(obs, action)] for action in range(4)}
            for obs in range(rows * columns)
        }
        self._obs = self.START

    def _outcome(self, obs: int, action: int) -> tuple[float, int, float, bool]:
        rows, columns = self.SHAPE
        row, column = divmod(obs, columns)
        down, right = ((-1, 0), (0, 1), (1, 0), (0, -1))[action]
        next_row = min(max(row + down, 0), rows - 1)
        next_column = min(max(column + right, 0), columns - 1)
        there = next_row * columns + next_column
        next_obs = obs if there in self.WALLS else there
        ends = next_obs == self.GOAL
        return 1.0, next_obs, float(ends), ends

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Go to the start."""
        super().reset(seed=seed)
        self._obs = self.START
        return self._obs, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Try to move by one cell."""
        ((_, self._obs, reward, terminated),) = self.P[self._obs][int(action)]
        return self._obs, reward, terminated, False, {}


gym.register("labkit/MaximizationBias-v0", entry_point="labkit.envs:MaximizationBias")
gym.register("labkit/DynaMaze-v0", entry_point="labkit.envs:DynaMaze")
