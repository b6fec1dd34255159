"""Gymnasium's CartPole and Pendulum for thousands of environments at once, on a CPU or a GPU.

All environments of a batch take one step together, in the same few tensor operations however many
they are. Tensors have shape ``(num_envs, ...)`` and live on one device; observations and rewards
have the dtype of the environments, ends are bool.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

Step = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


class BatchedEnv:
    """Many copies of one environment that step together; who ends starts anew in the same step.

    Attributes:
        obs_size: numbers in an observation.
        state: what the dynamics move, shape ``(num_envs, state_size)``.
        steps: steps taken in the running episode, int64, shape ``(num_envs,)``.
        num_envs, max_episode_steps, device, dtype: as given.

    Args:
        num_envs: how many there are.
        max_episode_steps: time limit; None is Gymnasium's own for this environment.
        seed: of the states that episodes start from. Devices draw different numbers.
        device: where to compute.
        dtype: of states, observations and rewards.
    """

    obs_size: int
    start: tuple[float, ...]
    """Episodes start uniformly between minus this and this, a bound for each number of a state."""
    time_limit: int

    def __init__(
        self,
        num_envs: int,
        *,
        max_episode_steps: int | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.num_envs, self.dtype = num_envs, dtype
        self.device = torch.device(device)
        self.max_episode_steps = max_episode_steps or self.time_limit
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self._high = torch.tensor(self.start, device=self.device, dtype=dtype)
        self.state, self.steps = self._fresh(), self._zeros()

    def reset(self) -> Tensor:
        """Start all episodes anew and return observations, shape ``(num_envs, obs_size)``."""
        self.state, self.steps = self._fresh(), self._zeros()
        return self.observe(self.state)

    def step(self, action: Tensor) -> Step:
        """Take one step each; who ended is sent to a new start at once.

        Returns:
            ``obs``, ``reward``, ``terminated``, ``truncated``, ``final_obs``. Where an episode
            ended ``obs`` is the next one's first observation and ``final_obs`` the last of its
            own; elsewhere both are the same. ``truncated`` is true when the time limit is
            reached, even where the episode terminated in that very step, as in Gymnasium.
        """
        moved, reward, terminated = self.dynamics(self.state, action)
        self.steps = self.steps + 1
        truncated = self.steps >= self.max_episode_steps
        ended = terminated | truncated
        # Starts are drawn for all: to ask a GPU who needs one costs more than the numbers do.
        self.state = torch.where(ended[:, None], self._fresh(), moved)
        self.steps = self.steps.masked_fill(ended, 0)
        return self.observe(self.state), reward, terminated, truncated, self.observe(moved)

    def observe(self, state: Tensor) -> Tensor:
        """Return what an agent sees of states, shape ``(num_envs, obs_size)``."""
        raise NotImplementedError

    def dynamics(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the states that actions lead to, their rewards and who terminated there."""
        raise NotImplementedError

    def _fresh(self) -> Tensor:
        shape = (self.num_envs, len(self.start))
        chance = torch.rand(shape, generator=self.generator, device=self.device, dtype=self.dtype)
        return (2.0 * chance - 1.0) * self._high

    def _zeros(self) -> Tensor:
        return torch.zeros(self.num_envs, dtype=torch.int64, device=self.device)


class CartPole(BatchedEnv):
    """Gymnasium's ``CartPole-v1``: keep a pole upright by pushing its cart left (0) or right (1).

    An observation is the cart's position and speed, the pole's angle and its angular speed. Each
    step is worth 1. An episode terminates when the cart leaves ``[-2.4, 2.4]`` or the pole leans
    by more than 12 degrees, and is truncated after 500 steps. Actions are int64, shape
    ``(num_envs,)``.

    Source: Barto, Sutton & Anderson (1983), with Euler steps as in Gymnasium.
    """

    obs_size, num_actions = 4, 2
    start = (0.05, 0.05, 0.05, 0.05)
    time_limit = 500
    GRAVITY, FORCE, SECONDS = 9.8, 10.0, 0.02
    MASS_CART, MASS_POLE, HALF_LENGTH = 1.0, 0.1, 0.5
    FURTHEST, STEEPEST = 2.4, 12 * 2 * math.pi / 360

    def observe(self, state: Tensor) -> Tensor:
        """Return the state itself."""
        return state

    def dynamics(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Push the cart for 0.02 seconds."""
        x, x_dot, theta, theta_dot = state.unbind(dim=1)
        mass, moment = self.MASS_CART + self.MASS_POLE, self.MASS_POLE * self.HALF_LENGTH
        force = (2.0 * action - 1.0) * self.FORCE
        sin, cos = theta.sin(), theta.cos()
        push = (force + moment * theta_dot.square() * sin) / mass
        theta_acc = (self.GRAVITY * sin - cos * push) / (
            self.HALF_LENGTH * (4.0 / 3.0 - self.MASS_POLE * cos.square() / mass)
        )
        x_acc = push - moment * theta_acc * cos / mass
        moved = state + self.SECONDS * torch.stack((x_dot, x_acc, theta_dot, theta_acc), dim=1)
        terminated = (moved[:, 0].abs() > self.FURTHEST) | (moved[:, 2].abs() > self.STEEPEST)
        return moved, torch.ones_like(x), terminated


class Pendulum(BatchedEnv):
    """Gymnasium's ``Pendulum-v1``: swing a pendulum up and hold it there with a weak motor.

    An observation is the cosine and sine of the angle, 0 upright, and the angular speed, at most
    8. Actions are torques, float, shape ``(num_envs, 1)``, cut off at ``max_action``. The reward
    is ``-(angle^2 + 0.1 speed^2 + 0.001 torque^2)`` of the state that the step starts from. No
    episode terminates; each is truncated after 200 steps.
    """

    obs_size, action_size = 3, 1
    start = (math.pi, 1.0)
    time_limit = 200
    max_action = 2.0
    GRAVITY, SECONDS, FASTEST = 10.0, 0.05, 8.0

    def observe(self, state: Tensor) -> Tensor:
        """Return cosine and sine of the angle, and the angular speed."""
        angle, speed = state.unbind(dim=1)
        return torch.stack((angle.cos(), angle.sin(), speed), dim=1)

    def dynamics(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn for 0.05 seconds, with mass and length 1."""
        angle, speed = state.unbind(dim=1)
        torque = action[:, 0].clamp(-self.max_action, self.max_action)
        lean = torch.remainder(angle + math.pi, 2 * math.pi) - math.pi
        cost = lean.square() + 0.1 * speed.square() + 0.001 * torque.square()
        turned = speed + (1.5 * self.GRAVITY * angle.sin() + 3.0 * torque) * self.SECONDS
        turned = turned.clamp(-self.FASTEST, self.FASTEST)
        moved = torch.stack((angle + turned * self.SECONDS, turned), dim=1)
        return moved, -cost, torch.zeros_like(angle, dtype=torch.bool)
