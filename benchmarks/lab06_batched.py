"""PPO's speed against the number of batched environments: steps per second on CartPole.

``python -m benchmarks.lab06_batched`` writes ``results/lab06_batched_cuda.json`` on a GPU and
``results/lab06_batched_cpu.json``, with fewer environments, on a processor. Environments are those
of `labkit.torch_envs`; a rollout has 32 steps and is learned from in 4 passes of 4 minibatches.
Keys of the results, a row per number of environments:

- ``environment steps per second``: of the whole of PPO, which collects and learns.
- ``collecting``: of the rollouts alone, with actions drawn from the policy.
- ``stepping``: of the environments alone, CartPole and Pendulum.
- ``steps per end of an episode``: in the last rollout, of CartPole: what is timed also learns.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import on_device, recording
from labkit.runtime import device as best_device
from labkit.torch_envs import BatchedEnv, CartPole, Pendulum
from solutions.lab06_trpo_ppo.reference import ActorCritic

NEEDS_GPU = True  # for its full size
NUM_STEPS, NUM_UPDATES = 32, 30
SIZES = {"cpu": (1, 4, 16, 64, 256, 1_024), "cuda": tuple(4**k for k in range(8))}
REPEATED = 3  # measurements, of which the fastest counts: other work only slows


def policy_for(device: str) -> on_device.Policy:
    """Return the lab's networks, the same at every size."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = ActorCritic(CartPole.obs_size, CartPole.num_actions)
    return on_device.Policy(networks.actor, networks.critic).to(device)


def stepping(kind: type[BatchedEnv], num_envs: int, device: str) -> float:
    """Return the seconds that a step of all environments takes."""
    world = kind(num_envs, device=device)
    action = torch.zeros(num_envs, dtype=torch.int64, device=device)
    if kind is Pendulum:
        action = torch.zeros(num_envs, 1, device=device)
    best = float("inf")
    for _ in range(1 + REPEATED):  # the first one warms up, and is the slowest
        begin = on_device.finished(device)
        for _ in range(NUM_STEPS):
            world.step(action)
        best = min(best, (on_device.finished(device) - begin) / NUM_STEPS)
    return best


def speed(num_envs: int, device: str) -> dict[str, np.ndarray]:
    """Return what is measured with so many environments, from disk if an earlier run did."""

    def make() -> Mapping[str, np.ndarray]:
        world, policy = CartPole(num_envs, device=device), policy_for(device)
        settings = on_device.Settings(NUM_UPDATES, NUM_STEPS, learning_rate=1e-3)
        times: list[float] = []

        def each(_: int) -> bool:
            times.append(on_device.finished(device))
            return False

        on_device.train(world, policy, settings, seed=0, each=each)
        generator = torch.Generator(device).manual_seed(1)
        obs, collecting = world.reset(), float("inf")
        for _ in range(REPEATED):
            begin = on_device.finished(device)
            rollout, obs = on_device.collect(world, policy, obs, NUM_STEPS, generator)
            collecting = min(collecting, on_device.finished(device) - begin)
        ends = rollout["terminated"] | rollout["truncated"]
        return {
            "ppo": np.diff(times).min() / NUM_STEPS,
            "collecting": np.array(collecting / NUM_STEPS),
            "CartPole": np.array(stepping(CartPole, num_envs, device)),
            "Pendulum": np.array(stepping(Pendulum, num_envs, device)),
            "length": np.array(ends.numel() / max(1, int(ends.sum()))),
        }

    return recording.part(f"lab06_batched/{device}_{num_envs}", make)


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    device = "cuda" if best_device() == "cuda" else "cpu"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=SIZES[device][-1], help="environments at once")
    most = parser.parse_args(arguments).most
    rows: list[dict[str, Any]] = []
    for num_envs in tqdm([n for n in SIZES[device] if n <= most], desc="environments at once"):
        found = speed(num_envs, device)
        rows.append(
            {
                "environments": num_envs,
                "environment steps per second": round(num_envs / float(found["ppo"])),
                "collecting": round(num_envs / float(found["collecting"])),
                "stepping, CartPole": round(num_envs / float(found["CartPole"])),
                "stepping, Pendulum": round(num_envs / float(found["Pendulum"])),
                "steps per end of an episode": round(float(found["length"]), 1),
            }
        )
    settings = {"steps of a rollout": NUM_STEPS, "updates": NUM_UPDATES, "passes": 4}
    if device == "cpu":
        settings["threads"] = torch.get_num_threads()
    recording.write(f"lab06_batched_{device}", {"settings": settings, "speed": rows}, device=device)


if __name__ == "__main__":
    main()
