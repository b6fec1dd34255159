"""Many agents at once learn what single agents learn."""

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
import torch

from labkit.batched import BatchedTabular, epsilon_greedy, train_tables
from solutions.lab02_q_learning_sarsa import reference

SETTINGS = {"epsilon": 0.1, "alpha": 0.5, "gamma": 1.0, "max_steps": 10_000}
TARGETS: dict[str, Callable[..., torch.Tensor]] = {
    "q_learning": lambda q: q.amax(dim=1),
    "sarsa": lambda q, next_action: q.gather(1, next_action[:, None])[:, 0],
    "expected_sarsa": lambda q: 0.9 * q.amax(dim=1) + 0.1 * q.mean(dim=1),
}


def single(method: str) -> reference.Episode:
    def episode(env: reference.TabularEnv, Q: reference.Float, rng: np.random.Generator) -> float:
        if method == "q_learning":
            return reference.q_learning_episode(env, Q, rng=rng, **SETTINGS)
        if method == "sarsa":
            return reference.run_episode_sarsa(env, Q, rng=rng, **SETTINGS)
        target, choose = reference.expected_sarsa_target, reference.choose_action
        return reference.expected_sarsa_episode(env, Q, target, choose, rng=rng, **SETTINGS)

    return episode


def test_steps_agree_with_gymnasium() -> None:
    """Every cell and every action but those in the goal, in one step."""
    cells, actions = torch.arange(47).repeat_interleave(4), torch.arange(4).repeat(47)
    world = BatchedTabular(len(cells))
    assert (world.obs == 36).all()
    world.obs = cells
    next_obs, reward, terminated = world.step(actions)
    env = gym.make("CliffWalking-v1", disable_env_checker=True)
    for i, (cell, action) in enumerate(zip(cells.tolist(), actions.tolist(), strict=True)):
        env.reset()
        env.unwrapped.s = cell
        assert env.step(action)[:3] == (next_obs[i], reward[i], terminated[i])
    assert (world.reset(terminated)[terminated] == 36).all()
    assert (world.obs[~terminated] == next_obs[~terminated]).all()


def test_random_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="is random"):
        BatchedTabular(2, is_slippery=True)


def test_epsilon_greedy_frequencies() -> None:
    """One best of four, and two, at epsilon 0.4; five standard errors."""
    n = 40_000
    generator = torch.Generator().manual_seed(0)
    for row, chance in (([0, 1, 9, 3], [0.1, 0.1, 0.7, 0.1]), ([2, -5, 2, 1], [0.4, 0.1] * 2)):
        actions = epsilon_greedy(torch.tensor([row] * n, dtype=torch.float), 0.4, generator)
        if row[0] == 2:
            chance = [0.4, 0.1, 0.4, 0.1]
        found = torch.bincount(actions, minlength=4).numpy() / n
        error = np.sqrt(np.multiply(chance, np.subtract(1, chance)) / n)
        assert (abs(found - chance) < 5 * error).all()


@pytest.mark.parametrize("method", TARGETS)
def test_a_crowd_learns_what_single_agents_learn(method: str) -> None:
    """Returns early and late in training agree within five standard errors of the loops."""
    num_episodes, late = 60, 20
    _, loops = reference.train(single(method), num_seeds=16, num_episodes=num_episodes, desc=method)
    crowd = train_tables(
        TARGETS[method],
        num_agents=225,
        num_episodes=num_episodes,
        alpha=0.5,
        epsilon=0.1,
        plays_next_action=method == "sarsa",
        late=late,
    )
    for got, wanted in (
        (crowd.curve[:10].mean(), loops[:, :10].mean(axis=1)),
        (crowd.late_return.mean(), loops[:, -late:].mean(axis=1)),
    ):
        error = wanted.std(ddof=1) / 4 + float(crowd.late_return.std()) / 15
        assert abs(float(got) - wanted.mean()) < 5 * error
    assert float(crowd.late_return.mean()) == pytest.approx(
        float(crowd.curve[-late:].mean()), rel=1e-4
    )


def test_methods_differ() -> None:
    """A crowd is large enough to tell the three methods apart, so agreement means something."""
    late = {
        method: float(
            train_tables(
                target,
                num_agents=100,
                num_episodes=120,
                alpha=0.5,
                epsilon=0.1,
                plays_next_action=method == "sarsa",
                late=50,
            ).late_return.mean()
        )
        for method, target in TARGETS.items()
    }
    assert late["q_learning"] < late["sarsa"] - 10 < late["expected_sarsa"] - 12


def test_a_run_repeats() -> None:
    runs = [
        train_tables(
            TARGETS["q_learning"], num_agents=5, num_episodes=3, alpha=0.5, epsilon=0.1, seed=seed
        ).Q
        for seed in (1, 1, 2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


def test_max_steps_cuts_an_episode_but_not_its_future() -> None:
    """One step up with alpha 1, and a target that says 7 everywhere: -1 + 7, nobody ends."""
    result = train_tables(
        lambda q: torch.full_like(q[:, 0], 7.0),
        num_agents=50,
        num_episodes=1,
        alpha=1.0,
        epsilon=1.0,
        max_steps=1,
    )
    up, right = result.Q[:, 36, 0], result.Q[:, 36, 1]
    assert set(up.tolist()) == {0.0, 6.0}
    assert set(right.tolist()) == {0.0, -93.0}
    assert (result.Q != 0).flatten(1).sum(dim=1).eq(1).all()
