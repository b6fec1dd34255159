"""What a lab shows of an earlier lab's answer computes what that answer computes."""

from __future__ import annotations

import numpy as np
import torch

from solutions.lab05_policy_gradients import reference as lab05
from solutions.lab06_trpo_ppo import reference as lab06


def test_lab_6_shows_lab_5s_gae() -> None:
    rng = np.random.default_rng(0)
    rollout = {
        name: torch.as_tensor(rng.normal(size=(30, 4)))
        for name in ("reward", "value", "next_value")
    } | {name: torch.as_tensor(rng.random((30, 4)) < 0.1) for name in ("terminated", "truncated")}
    knobs = {"gamma": 0.97, "gae_lambda": 0.9}
    shown = lab06.gae(rollout, **knobs)
    for found, expected in zip(shown, lab05.gae(**rollout, **knobs), strict=True):
        torch.testing.assert_close(found, expected)
