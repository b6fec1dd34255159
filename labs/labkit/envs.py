"""Tabular environments that Gymnasium lacks.

Importing this module registers ``labkit/MaximizationBias-v0``.
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


gym.register("labkit/MaximizationBias-v0", entry_point="labkit.envs:MaximizationBias")
