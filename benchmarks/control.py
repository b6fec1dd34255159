"""What chapter 6 is measured on: labkit's batched tasks, and three more of their kind.

`Acrobot` is Gymnasium's; the cart and the acrobot with any force or torque from an interval,
instead of one of a few, are ours.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from labkit.torch_envs import BatchedEnv, CartPole, Pendulum

__all__ = ["Acrobot", "BatchedEnv", "CartPole", "Pendulum", "SmoothAcrobot", "SmoothCartPole"]


class SmoothCartPole(CartPole):
    """The cart with any force between -10 and 10 newtons, which are -1 and 1."""

    num_actions = 0

    def dynamics(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Push the cart for 0.02 seconds."""
        return super().dynamics(state, 0.5 * (action.squeeze(-1).clamp(-1.0, 1.0) + 1.0))


class Acrobot(BatchedEnv):
    """Gymnasium's ``Acrobot-v1``: swing two links up with a torque of -1, 0 or 1 between them.

    Source: Sutton (1996), with the Runge-Kutta steps of Gymnasium.
    """

    obs_size, num_actions = 6, 3
    start = (0.1, 0.1, 0.1, 0.1)
    time_limit = 500

    def observe(self, state: Tensor) -> Tensor:
        """Return cosines and sines of the angles, and the angular speeds."""
        first, second, first_dot, second_dot = state.unbind(-1)
        angles = [first.cos(), first.sin(), second.cos(), second.sin()]
        return torch.stack([*angles, first_dot, second_dot], -1)

    def dynamics(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Swing for 0.2 seconds."""
        return self.swing(state, action - 1.0)

    def swing(self, state: Tensor, torque: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next states, the rewards and who terminated."""
        k1 = self.derivative(state, torque)
        k2 = self.derivative(state + 0.1 * k1, torque)
        k3 = self.derivative(state + 0.1 * k2, torque)
        k4 = self.derivative(state + 0.2 * k3, torque)
        state = state + 0.2 / 6.0 * (k1 + 2 * k2 + 2 * k3 + k4)
        angles = torch.remainder(state[:, :2] + math.pi, 2 * math.pi) - math.pi
        fastest = torch.tensor([4 * math.pi, 9 * math.pi], dtype=state.dtype)
        speeds = torch.clamp(state[:, 2:], -fastest, fastest)
        terminated = -angles[:, 0].cos() - angles.sum(-1).cos() > 1.0
        return torch.cat([angles, speeds], -1), terminated.to(state.dtype) - 1.0, terminated

    @staticmethod
    def derivative(state: Tensor, torque: Tensor) -> Tensor:
        """Return how fast a state changes."""
        theta1, theta2, dtheta1, dtheta2 = state.unbind(-1)
        cos2, sin2 = theta2.cos(), theta2.sin()
        d1 = 0.25 + (1.25 + cos2) + 2.0
        d2 = 0.25 + 0.5 * cos2 + 1.0
        phi2 = 0.5 * 9.8 * (theta1 + theta2).sin()
        phi1 = -0.5 * dtheta2**2 * sin2 - dtheta2 * dtheta1 * sin2
        phi1 = phi1 + 1.5 * 9.8 * theta1.sin() + phi2
        ddtheta2 = torque + d2 / d1 * phi1 - 0.5 * dtheta1**2 * sin2 - phi2
        ddtheta2 = ddtheta2 / (1.25 - d2**2 / d1)
        ddtheta1 = -(d2 * ddtheta2 + phi1) / d1
        return torch.stack([dtheta1, dtheta2, ddtheta1, ddtheta2], -1)


class SmoothAcrobot(Acrobot):
    """The acrobot with any torque between -1 and 1."""

    num_actions = 0

    def dynamics(self, state: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Swing for 0.2 seconds."""
        return self.swing(state, action.squeeze(-1).clamp(-1.0, 1.0))
