"""Batched environments move as Gymnasium's own do, step by step."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
import torch

from labkit.torch_envs import BatchedEnv, CartPole, Pendulum

ENVS = {"CartPole-v1": CartPole, "Pendulum-v1": Pendulum}


def actions(env_id: str, obs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Choose at random; but CartPole's first environment is balanced, to its time limit."""
    n = len(obs)
    if env_id == "Pendulum-v1":
        return 6.0 * torch.rand(n, 1, generator=generator, dtype=obs.dtype) - 3.0  # cut off at 2
    action = torch.randint(2, (n,), generator=generator)
    action[0] = int(obs[0] @ torch.tensor([0.1, 0.5, 3.0, 1.0], dtype=obs.dtype) > 0)
    return action


@pytest.mark.parametrize("env_id", ENVS)
def test_steps_agree_with_gymnasium(env_id: str) -> None:
    """States, observations, rewards and ends, over whole episodes, in float64."""
    num_envs = 3
    world = ENVS[env_id](num_envs, seed=1, dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    singles = [gym.make(env_id, disable_env_checker=True) for _ in range(num_envs)]

    def restart(i: int) -> None:
        singles[i].reset()
        singles[i].unwrapped.state = world.state[i].numpy().copy()

    obs = world.reset()
    for i in range(num_envs):
        restart(i)
    ends = {"terminated": 0, "truncated": 0}
    for _ in range(world.max_episode_steps + 2):
        action = actions(env_id, obs, generator)
        obs, reward, terminated, truncated, final_obs = world.step(action)
        for i, single in enumerate(singles):
            seen, *rest, _ = single.step(action[i].numpy() if action.ndim > 1 else int(action[i]))
            np.testing.assert_allclose(final_obs[i].numpy(), seen, rtol=0, atol=5e-7)  # float32
            assert rest[1:] == [bool(terminated[i]), bool(truncated[i])]
            assert float(reward[i]) == pytest.approx(rest[0], rel=1e-9, abs=1e-12)
            if rest[1] or rest[2]:
                ends["terminated"] += rest[1]
                ends["truncated"] += rest[2]
                restart(i)
                assert not torch.equal(obs[i], final_obs[i])
            else:
                np.testing.assert_allclose(
                    world.state[i].numpy(), single.unwrapped.state, rtol=1e-9, atol=1e-9
                )
                assert torch.equal(obs[i], final_obs[i])
    assert ends["truncated"] >= 1
    assert (ends["terminated"] > 10) == (env_id == "CartPole-v1")


@pytest.mark.parametrize("env_id", ENVS)
def test_episodes_start_where_gymnasium_starts_them(env_id: str) -> None:
    """Bounds and spread of 2,000 starts, the first ones and those after a time limit."""
    single = gym.make(env_id, disable_env_checker=True)
    wanted = []
    for seed in range(500):
        single.reset(seed=seed)
        wanted.append(single.unwrapped.state)
    high, spread = np.abs(wanted).max(axis=0), np.std(wanted, axis=0)
    world = ENVS[env_id](2_000, max_episode_steps=1)
    action = actions(env_id, world.reset(), torch.Generator().manual_seed(0))
    for state in (world.state, (world.step(action), world.state)[1]):
        np.testing.assert_allclose(state.abs().amax(dim=0), high, rtol=0.03)
        np.testing.assert_allclose(state.std(dim=0), spread, rtol=0.1)
        assert (state.mean(dim=0).abs() < 5 * state.std(dim=0) / 2_000**0.5).all()


def test_each_environment_has_its_own_clock() -> None:
    """Who ended early is truncated later than who did not."""
    world = CartPole(2, max_episode_steps=10, seed=0)
    world.reset()
    world.state[0, 0] = 3.0  # beyond the edge: terminates in the first step
    ends = []
    for t in range(11):
        _, _, terminated, truncated, _ = world.step(torch.tensor([t % 2, t % 2]))
        ends += [(t, i, bool(terminated[i])) for i in range(2) if terminated[i] | truncated[i]]
    assert ends == [(0, 0, True), (9, 1, False), (10, 0, False)]
    assert world.steps.any()
    world.reset()
    assert not world.steps.any()


@pytest.mark.parametrize("kind", ENVS.values())
def test_a_run_repeats_and_leaves_the_global_generator_alone(kind: type[BatchedEnv]) -> None:
    before = torch.get_rng_state()
    first, same, other = (kind(5, seed=seed, max_episode_steps=2) for seed in (3, 3, 4))
    action = torch.ones(5, 1) if kind is Pendulum else torch.ones(5, dtype=torch.int64)
    for world in (first, same, other):
        world.reset()
        for _ in range(4):
            world.step(action)
    assert torch.equal(first.state, same.state)
    assert not torch.equal(first.state, other.state)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.reset().dtype == torch.float32
