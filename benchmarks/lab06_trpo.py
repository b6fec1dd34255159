"""TRPO on CartPole: the KL of every accepted step, and what the step did to the true return.

``python -m benchmarks.lab06_trpo`` writes ``results/lab06_trpo.json``. The steps are those of
lab 6's reference; after each one the policy plays 200 fresh episodes, so that its return is known
to a few points. Three sizes of the trust region, four seeds each.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

from benchmarks import recording
from benchmarks.control import CartPole
from benchmarks.populations import Played
from solutions.lab06_trpo_ppo import reference

NUM_SEEDS, NUM_UPDATES, NUM_EPISODES = 4, 20, 200
NUM_ENVS, NUM_STEPS = 16, 128
GAMMA, GAE_LAMBDA, DAMPING = 0.99, 0.95, 0.1
SIZES = (0.01, 0.1, 1.0)


@torch.no_grad()
def true_return(actor: torch.nn.Module, seed: int) -> tuple[float, float]:
    """Return mean and standard error of the policy's return, actions drawn as in training."""
    envs = Played(CartPole, 1, NUM_EPISODES, seed)
    first = torch.full(envs.shape, torch.nan)
    while first.isnan().any():
        action = torch.distributions.Categorical(logits=actor(envs.obs)).sample()
        sums = envs.step(action)[-1]
        first = torch.where(first.isnan(), sums, first)
    return float(first.mean()), float(first.std() / NUM_EPISODES**0.5)


@torch.no_grad()
def collect(model: reference.ActorCritic, envs: Played) -> dict[str, torch.Tensor]:
    """Step the environments and return the rollout, shape ``(num_steps, num_envs, ...)``."""
    rows = []
    for _ in range(NUM_STEPS):
        obs = envs.obs
        action = torch.distributions.Categorical(logits=model.actor(obs)).sample()
        reward, terminated, truncated, final_obs, _ = envs.step(action)
        rows.append((obs, action, reward, terminated, truncated, final_obs))
    names = ("obs", "action", "reward", "terminated", "truncated", "final_obs")
    table = {
        name: torch.stack(column)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    for name, seen in (("value", "obs"), ("next_value", "final_obs")):
        table[name] = model.critic(table[seen]).squeeze(-1)
    return table


def trained(seed: int, max_kl: float) -> dict[str, np.ndarray]:
    """Run TRPO; return the KL of each step and the true return before and after it."""

    def make() -> dict[str, np.ndarray]:
        started = time.process_time()
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        model = reference.ActorCritic(obs_size=4, num_actions=2, hidden=32)
        optimizer = torch.optim.Adam(model.critic.parameters(), lr=3e-3)
        envs = Played(CartPole, 1, NUM_ENVS, seed)
        kls, returns = [], [true_return(model.actor, 10_000)]
        for update in range(NUM_UPDATES):
            rollout = collect(model, envs)
            advantage, targets = reference.gae(rollout, gamma=GAMMA, gae_lambda=GAE_LAMBDA)
            obs, action = rollout["obs"].flatten(0, 2), rollout["action"].flatten()
            scaled = ((advantage - advantage.mean()) / (advantage.std() + 1e-8)).flatten()
            kls.append(step(model.actor, obs, action, scaled, max_kl))
            returns.append(true_return(model.actor, 10_001 + update))
            targets = targets.flatten()
            for indices in reference.minibatches(len(obs), batch_size=128, num_epochs=10, rng=rng):
                rows = torch.as_tensor(indices)
                error = model.critic(obs[rows]).squeeze(-1) - targets[rows]
                optimizer.zero_grad()
                (error**2).mean().backward()
                optimizer.step()
        return {
            "kl": np.array(kls),
            "returns": np.array(returns),
            "cpu_seconds": np.array(time.process_time() - started),
        }

    return recording.part(f"lab06_trpo/{max_kl}_{seed}", make)


def step(
    actor: torch.nn.Module,
    obs: torch.Tensor,
    action: torch.Tensor,
    advantage: torch.Tensor,
    max_kl: float,
) -> float:
    """Take one step of TRPO; return its KL, 0 if no step was accepted."""
    logp = torch.log_softmax(actor(obs), -1).gather(-1, action[:, None]).squeeze(-1)
    gradient = torch.autograd.grad((logp * advantage).mean(), list(actor.parameters()))
    uphill = torch.cat([part.reshape(-1) for part in gradient])

    def hvp(v: torch.Tensor) -> torch.Tensor:
        return reference.fisher_vector_product(actor, obs, v, damping=DAMPING)

    x = reference.conjugate_gradient(hvp, uphill, num_iterations=10, tolerance=1e-10)
    curvature = float(x @ hvp(x))
    return reference.trpo_step(
        actor, obs, action, advantage, x, curvature=curvature, max_kl=max_kl
    )[1]


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    torch.set_num_threads(1)
    sizes: dict[str, Any] = {}
    for max_kl in SIZES:
        runs = [trained(seed, max_kl) for seed in range(NUM_SEEDS)]
        kl = np.array([run["kl"] for run in runs])  # (seeds, updates)
        mean, error = np.moveaxis(np.array([run["returns"] for run in runs]), -1, 0)
        change, noise = np.diff(mean), np.hypot(error[:, 1:], error[:, :-1])
        taken = kl > 0.0
        sizes[str(max_kl)] = {
            "kl": kl.round(6),
            "returns": {
                f"{share}%": np.percentile(mean, share, axis=0).round(1) for share in (10, 50, 90)
            },
            "steps taken": int(taken.sum()),
            "steps refused": int((~taken).sum()),
            "largest kl": round(float(kl.max()), 6),
            "clearly better": int((taken & (change > 2 * noise)).sum()),
            "clearly worse": int((taken & (change < -2 * noise)).sum()),
            "worst change": round(float(change[taken].min()), 1),
            "after": mean[:, -1].round(1),
            "cpu seconds": round(sum(float(run["cpu_seconds"]) for run in runs), 1),
        }
    settings = {
        "seeds": NUM_SEEDS,
        "updates": NUM_UPDATES,
        "steps": NUM_UPDATES * NUM_ENVS * NUM_STEPS,
        "episodes": NUM_EPISODES,
    }
    recording.write("lab06_trpo", {"settings": settings, "sizes": sizes})


if __name__ == "__main__":
    main()
