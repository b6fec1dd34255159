"""How long CartPole-v1 takes until it is solved: ours beside Stable-Baselines3, one thread each.

`lab04_speed`, `lab05_speed` and `lab06_speed` name the methods. Solved means that the greedy
policy's mean return over 20 episodes reached 475 at three consecutive evaluations. Both sides are
evaluated by the same `Referee`: at the first end of an update at or past each multiple of 2,048
environment steps, with the same environments and seeds, and the time that takes counts.

Stable-Baselines3 and sb3-contrib run with the settings that rl-baselines3-zoo publishes for
CartPole-v1 (`ZOO`), schedules and budgets included, on a CPU. Ours runs as `train` in its lab does,
with the settings that `settings` of the results name. A seed of one side is one part of
`recording`: what an interrupted run has measured is not measured again. The sides take turns, seed
by seed, so that what else runs on the machine hits both; processor seconds are beside the elapsed
ones because of it.

Keys of the results, a column per side of each method:

- ``solved``: seeds that were, of all.
- ``seconds``: elapsed from before the networks and environments are made until solved, or until
  the budget was spent where it wasn't: median, smallest and largest over the seeds.
- ``CPU seconds``: the same in processor seconds, of which ``evaluating`` went into evaluations.
- ``CPU seconds per success``: all seeds' processor seconds over the number that were solved.
- ``environment steps``: taken until then.
- ``load``: runnable processes on the machine, averaged over the minute before each seed ended.
- ``ratios``: ours divided by theirs, of the medians.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from benchmarks import recording

THRESHOLD, CONSECUTIVE, EPISODES, EVERY = 475.0, 3, 20, 2_048
FIRST_SEED = 30_000  # of evaluations, far from those of training
FIRST_TRAINED, NUM_SEEDS = 100, 10  # settings were looked for on seeds below 100
Act = Callable[[np.ndarray], np.ndarray]


def lin(start: float) -> Callable[[float], float]:
    """Return the zoo's ``lin_`` schedule: from ``start`` to 0 over the training."""
    return lambda left: left * start


ZOO: dict[str, dict[str, Any]] = {
    "A2C": {  # commit c6c209e7d487635f0b835fb916ec4468142b28ff, hyperparams/a2c.yml
        "n_envs": 8,
        "n_timesteps": 500_000,
        "settings": {"ent_coef": 0.0},
    },
    "DQN": {  # commit ce95481b041fe5314c1b2f1a53940d169b9253fc, hyperparams/dqn.yml
        "n_envs": 1,
        "n_timesteps": 50_000,
        "settings": {
            "learning_rate": 2.3e-3,
            "batch_size": 64,
            "buffer_size": 100_000,
            "learning_starts": 1_000,
            "gamma": 0.99,
            "target_update_interval": 10,
            "train_freq": 256,
            "gradient_steps": 128,
            "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
    },
    "PPO": {  # commit 00128b5d46d497b772f3bd891ae9f520919e8971, hyperparams/ppo.yml
        "n_envs": 8,
        "n_timesteps": 100_000,
        "settings": {
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "ent_coef": 0.0,
            "learning_rate": lin(0.001),
            "clip_range": lin(0.2),
        },
    },
    "TRPO": {  # commit 13a3fe74510342bc368b09d459d8117e470ab620, hyperparams/trpo.yml
        "n_envs": 2,
        "n_timesteps": 100_000,
        "settings": {
            "n_steps": 512,
            "batch_size": 512,
            "cg_damping": 1e-3,
            "gae_lambda": 0.98,
            "gamma": 0.99,
            "learning_rate": 1e-3,
            "n_critic_updates": 20,
        },
    },
}
"""Settings that github.com/DLR-RM/rl-baselines3-zoo publishes, with the commit of each."""


class Referee:
    """Evaluates a policy now and then, and says when the task is solved; its clock runs from birth.

    Attributes:
        means: mean return of each evaluation so far.
        solved: whether the last three reached the threshold.
        steps: environment steps at the last evaluation.
    """

    def __init__(self) -> None:
        self.means: list[float] = []
        self.solved, self.steps, self._due = False, 0, EVERY
        self._began = time.perf_counter(), time.process_time()
        self._ended: tuple[float, float] | None = None
        self._evaluating = 0.0

    def look(self, steps: int, act: Act) -> bool:
        """Evaluate if it is time to; return whether the task is solved.

        Args:
            steps: environment steps that training has taken so far.
            act: returns the likeliest actions for a batch of observations.
        """
        if self.solved or steps < self._due:
            return self.solved
        self._due = (steps // EVERY + 1) * EVERY
        return self.evaluate(steps, act)

    def evaluate(self, steps: int, act: Act) -> bool:
        """Evaluate now; return whether the task is solved."""
        begin = time.process_time()
        self.means.append(mean_return(act, FIRST_SEED + len(self.means)))
        self._evaluating += time.process_time() - begin
        self.steps = steps
        last = self.means[-CONSECUTIVE:]
        self.solved = len(last) == CONSECUTIVE and min(last) >= THRESHOLD
        if self.solved:
            self._ended = time.perf_counter(), time.process_time()
        return self.solved

    def record(self) -> dict[str, np.ndarray]:
        """Return what was measured, until the task was solved or else until now."""
        ended = self._ended or (time.perf_counter(), time.process_time())
        return {
            "solved": np.array(self.solved),
            "seconds": np.array(ended[0] - self._began[0]),
            "cpu": np.array(ended[1] - self._began[1]),
            "evaluating": np.array(self._evaluating),
            "steps": np.array(self.steps),
            "means": np.array(self.means),
            "load": np.array(os.getloadavg()[0]),
        }


def mean_return(act: Act, seed: int) -> float:
    """Return the mean return of 20 greedy episodes of CartPole-v1, played side by side."""
    env = gym.make_vec("CartPole-v1", EPISODES, vectorization_mode="vector_entry_point")
    obs, _ = env.reset(seed=seed)
    total, playing = np.zeros(EPISODES), np.ones(EPISODES, dtype=bool)
    while playing.any():
        obs, reward, terminated, truncated, _ = env.step(act(obs))
        total += reward * playing
        playing &= ~(terminated | truncated)
    return float(total.mean())


def greedy(network: nn.Module) -> Act:
    """Return a policy that takes the action with the largest output of a network.

    It computes in numpy: for twenty observations at once torch takes four times as long, and
    evaluations would be half of what is measured.

    Args:
        network: linear layers, tanh and ReLU, one after the other.

    Raises:
        TypeError: for any other part of a network.
    """
    steps: list[Act] = []
    for part in network.modules():
        match part:
            case nn.Linear():
                weight, bias = part.weight.detach().numpy().T, part.bias.detach().numpy()
                steps.append(lambda x, weight=weight, bias=bias: x @ weight + bias)
            case nn.Tanh():
                steps.append(np.tanh)
            case nn.ReLU():
                steps.append(lambda x: np.maximum(x, 0.0))
            case nn.Flatten():
                pass
            case _ if not list(part.children()):
                raise TypeError(f"{part} is not among the layers that can be evaluated here")

    def act(obs: np.ndarray) -> np.ndarray:
        for step in steps:
            obs = step(obs)
        return obs.argmax(axis=-1)

    return act


def theirs(method: str, seed: int, referee: Referee, *, budget: int | None = None) -> None:
    """Train with Stable-Baselines3 or sb3-contrib until solved.

    Args:
        method: a key of `ZOO`.
        seed: of the networks, the environments and the actions.
        referee: who evaluates.
        budget: environment steps at most; None is what the zoo gives.
    """
    from sb3_contrib import TRPO
    from stable_baselines3 import A2C, DQN, PPO
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    class Watch(BaseCallback):
        def _look(self) -> None:
            policy: Any = self.model.policy
            if method == "DQN":
                network = policy.q_net
            else:
                network = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
            referee.look(self.num_timesteps, greedy(network))

        def _on_rollout_start(self) -> None:
            self._look()

        def _on_training_end(self) -> None:
            self._look()

        def _on_step(self) -> bool:
            return not referee.solved

    kind = {"A2C": A2C, "DQN": DQN, "PPO": PPO, "TRPO": TRPO}[method]
    published = ZOO[method]
    env = make_vec_env("CartPole-v1", published["n_envs"], seed=seed)
    model = kind("MlpPolicy", env, seed=seed, device="cpu", **published["settings"])
    model.learn(budget or published["n_timesteps"], callback=Watch())


Train = Callable[[int, Referee], None]


def measured(name: str, seed: int, train: Train) -> dict[str, np.ndarray]:
    """Train once on one thread and return the referee's record, or an earlier run's."""

    def make() -> Mapping[str, np.ndarray]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            referee = Referee()
            train(seed, referee)
            return referee.record()
        finally:
            torch.set_num_threads(threads)

    return recording.part(f"speed/{name}/{seed}", make)


def column(runs: list[dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return what the results say of one side."""
    solved = sum(bool(run["solved"]) for run in runs)
    cpu = sum(float(run["cpu"]) for run in runs)
    return {
        "solved": f"{solved} of {len(runs)}",
        "seconds": middle(runs, "seconds"),
        "CPU seconds": middle(runs, "cpu"),
        "evaluating": middle(runs, "evaluating"),
        "CPU seconds per success": round(cpu / solved, 2) if solved else "none succeeded",
        "environment steps": middle(runs, "steps"),
        "load": middle(runs, "load"),
        "seconds by seed": [round(float(run["seconds"]), 2) for run in runs],
        "CPU seconds by seed": [round(float(run["cpu"]), 2) for run in runs],
        "solved by seed": [bool(run["solved"]) for run in runs],
        "load by seed": [round(float(run["load"]), 1) for run in runs],
    }


def middle(runs: list[dict[str, np.ndarray]], key: str) -> dict[str, float]:
    values = np.array([float(run[key]) for run in runs])
    return {
        "median": round(float(np.median(values)), 2),
        "low": round(float(values.min()), 2),
        "high": round(float(values.max()), 2),
    }


def compare(
    name: str,
    ours: Mapping[str, Train],
    settings: Mapping[str, Any],
    arguments: list[str] | None,
) -> None:
    """Measure methods of ours beside theirs and write ``results/NAME.json``.

    Args:
        name: of the results.
        ours: how ours trains, by method.
        settings: what else the results shall say about ours.
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=NUM_SEEDS)
    num_seeds = parser.parse_args(arguments).seeds
    columns: dict[str, dict[str, Any]] = {}
    ratios: dict[str, Any] = {}
    for method, train in ours.items():
        sides: dict[str, Train] = {
            f"{method}, ours": train,
            f"{method}, {'sb3-contrib' if method == 'TRPO' else 'Stable-Baselines3'}": (
                lambda seed, referee, method=method: theirs(method, seed, referee)
            ),
        }
        runs: dict[str, list[dict[str, np.ndarray]]] = {side: [] for side in sides}
        theirs(method, 0, Referee(), budget=2_048)  # imports and first calls aren't timed
        for seed in tqdm(range(FIRST_TRAINED, FIRST_TRAINED + num_seeds), desc=method):
            for side, way in sides.items():
                runs[side].append(measured(side.replace(", ", "_"), seed, way))
        columns |= {side: column(found) for side, found in runs.items()}
        our_side, their_side = (columns[side] for side in sides)
        ratios |= {
            f"{method}: {key}, ours over theirs": round(
                our_side[key]["median"] / their_side[key]["median"], 3
            )
            for key in ("seconds", "CPU seconds")
        }
    recording.write(
        name,
        {
            "settings": {
                "threshold": THRESHOLD,
                "consecutive evaluations": CONSECUTIVE,
                "episodes of an evaluation": EPISODES,
                "environment steps between evaluations": EVERY,
                "threads": 1,
                "seeds": num_seeds,
                **{
                    f"{package} version": recording.version(package)
                    for package in ("stable_baselines3", "sb3_contrib")
                },
                **settings,
            },
            "methods": columns,
            **ratios,
        },
    )
