"""Lab 5's answers against numbers worked by hand, limits, and oracles that share no code."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from torch import Tensor

from solutions.lab05_policy_gradients import agents, reference
from solutions.lab05_policy_gradients.reference import (
    ActorCritic,
    Collector,
    categorical_entropy,
    categorical_logp,
    gae,
    greedy_returns,
    n_step_advantage,
    normalise,
    reinforce_loss,
    reward_to_go,
    score_grad_exact,
    value_loss,
)

GAMMA, LAMBDA = 0.97, 0.9


def random_rollout(seed: int, num_steps: int = 40, num_envs: int = 3) -> dict[str, Tensor]:
    """One episode in ten terminates, one in ten is truncated; `next_value` follows `value`."""
    rng = np.random.default_rng(seed)
    shape = (num_steps, num_envs)
    terminated = torch.as_tensor(rng.random(shape) < 0.1)
    truncated = torch.as_tensor(rng.random(shape) < 0.1) & ~terminated
    value = torch.as_tensor(rng.normal(size=(num_steps + 1, num_envs)))
    last = torch.as_tensor(rng.normal(size=shape))  # of an episode's last observation
    next_value = torch.where(terminated | truncated, last, value[1:])
    return {
        "reward": torch.as_tensor(rng.normal(size=shape)),
        "value": value[:-1],
        "next_value": next_value,
        "terminated": terminated,
        "truncated": truncated,
    }


# ---- a policy's numbers -----------------------------------------------------------------------


def test_logp_and_entropy_by_hand() -> None:
    """Probabilities 1/4, 1/2, 1/4: log 1/2, and entropy 1.5 log 2."""
    logits = torch.tensor([[0.0, np.log(2.0), 0.0]])
    assert categorical_logp(logits, torch.tensor([1])).item() == pytest.approx(np.log(0.5))
    assert categorical_entropy(logits).item() == pytest.approx(1.5 * np.log(2.0))


def test_logp_and_entropy_against_torch_distributions() -> None:
    logits = torch.randn(50, 7, generator=torch.Generator().manual_seed(0)) * 3.0
    action = torch.randint(7, (50,), generator=torch.Generator().manual_seed(1))
    theirs: Any = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(categorical_logp(logits, action), theirs.log_prob(action))
    torch.testing.assert_close(categorical_entropy(logits), theirs.entropy())


def test_large_logits_stay_finite() -> None:
    logits = torch.tensor([[1000.0, -1000.0]])
    assert categorical_logp(logits, torch.tensor([1])).item() == -2000.0
    assert categorical_entropy(logits).item() == 0.0


def test_exact_score_gradient_by_hand_and_by_autograd() -> None:
    hand = score_grad_exact(torch.zeros(2), torch.tensor([1.0, 3.0]))
    torch.testing.assert_close(hand, torch.tensor([-0.5, 0.5]))
    generator = torch.Generator().manual_seed(2)
    theta = torch.randn(6, generator=generator, dtype=torch.float64).requires_grad_()
    reward = torch.randn(6, generator=generator, dtype=torch.float64)
    (found,) = torch.autograd.grad(torch.softmax(theta, dim=0) @ reward, theta)
    torch.testing.assert_close(score_grad_exact(theta.detach(), reward), found)


def test_the_mean_score_is_zero_and_a_baseline_changes_nothing() -> None:
    theta, reward = torch.tensor([0.3, -1.0, 0.5]).double(), torch.tensor([1.0, 2.0, 4.0]).double()
    assert score_grad_exact(theta, torch.ones(3).double()).abs().max() < 1e-15
    moved = score_grad_exact(theta, reward - 100.0)
    torch.testing.assert_close(moved, score_grad_exact(theta, reward), atol=1e-13, rtol=0.0)


def test_reinforce_samples_agree_with_the_exact_gradient() -> None:
    """Mean of 200,000 sampled losses' gradients within five standard errors, element by element."""
    generator = torch.Generator().manual_seed(3)
    theta, reward = torch.tensor([0.3, -1.0, 0.5]), torch.tensor([1.0, 2.0, 4.0])
    exact = score_grad_exact(theta, reward)
    size = 200_000
    probs = torch.softmax(theta, dim=0)
    action = torch.multinomial(probs, size, replacement=True, generator=generator)
    logits = theta.expand(size, 3).clone().requires_grad_()
    loss = reinforce_loss(categorical_logp(logits, action), reward[action])
    (found,) = torch.autograd.grad(loss, logits)
    samples = -found * size
    error = samples.std(dim=0) / size**0.5
    assert ((samples.mean(dim=0) - exact).abs() < 5 * error).all()


# ---- returns and advantages -------------------------------------------------------------------


def test_reward_to_go_by_hand() -> None:
    returns = reward_to_go(
        torch.tensor([1.0, 2.0, 1.0, 1.0, 3.0]),
        torch.tensor([9.0, 9.0, 9.0, 8.0, 4.0]),
        torch.tensor([False, True, False, False, False]),
        torch.tensor([False, False, False, True, False]),
        gamma=0.5,
    )
    assert returns.tolist() == [2.0, 2.0, 3.5, 5.0, 5.0]


def sb3_buffer(rollout: dict[str, Tensor], *, corrects: bool) -> RolloutBuffer:
    """Stable-Baselines3's buffer, filled as its own collect_rollouts fills it.

    It has one kind of ending, the start of an episode; on a time limit its caller adds
    ``gamma * V(last observation)`` to the reward (``corrects``).
    """
    num_steps, num_envs = rollout["reward"].shape
    buffer = RolloutBuffer(
        num_steps, gym.spaces.Box(-1, 1, (1,)), gym.spaces.Discrete(2),
        gamma=GAMMA, gae_lambda=LAMBDA, n_envs=num_envs,
    )  # fmt: skip
    ended = (rollout["terminated"] | rollout["truncated"]).numpy()
    reward = rollout["reward"].numpy().copy()
    if corrects:
        reward += GAMMA * (rollout["next_value"] * rollout["truncated"]).numpy()
    starts = np.vstack([np.zeros((1, num_envs)), ended[:-1]])
    nothing = np.zeros((num_envs, 1))
    for t in range(num_steps):
        value = rollout["value"][t].float()
        buffer.add(nothing, nothing, reward[t], starts[t], value, torch.zeros(num_envs))
    buffer.compute_returns_and_advantage(rollout["next_value"][-1].float(), ended[-1])
    return buffer


def ours(rollout: dict[str, Tensor]) -> tuple[np.ndarray[Any, Any], ...]:
    found = gae(**rollout, gamma=GAMMA, gae_lambda=LAMBDA)
    return tuple(each.numpy() for each in found)


@pytest.mark.parametrize("seed", range(5))
def test_gae_is_stable_baselines3s_with_its_correction_at_time_limits(seed: int) -> None:
    rollout = random_rollout(seed)
    assert rollout["truncated"].any()
    assert rollout["terminated"].any()
    buffer = sb3_buffer(rollout, corrects=True)
    advantage, returns = ours(rollout)
    np.testing.assert_allclose(advantage, buffer.advantages, atol=1e-5)  # theirs is float32
    np.testing.assert_allclose(returns, buffer.returns, atol=1e-5)


def test_gae_is_not_stable_baselines3s_without_that_correction() -> None:
    rollout = random_rollout(0)
    difference = abs(ours(rollout)[0] - sb3_buffer(rollout, corrects=False).advantages)
    assert difference[rollout["truncated"].numpy()].min() > 1e-3


def test_gae_with_lambda_one_is_the_return_and_with_zero_the_td_error() -> None:
    rollout = random_rollout(7)
    whole = gae(**rollout, gamma=GAMMA, gae_lambda=1.0)[0]
    for env in range(3):
        column = {name: value[:, env] for name, value in rollout.items()}
        value = column.pop("value")
        torch.testing.assert_close(whole[:, env], reward_to_go(**column, gamma=GAMMA) - value)
        one_step = n_step_advantage(**column, value=value, gamma=GAMMA, n=1)
        found = gae(**rollout, gamma=GAMMA, gae_lambda=0.0)[0][:, env]
        torch.testing.assert_close(found, one_step)


def test_gae_is_the_weighted_average_of_n_step_advantages() -> None:
    """(1 - lambda) sum_n lambda^(n-1) A^(n), the definition, on a rollout without endings."""
    rollout = random_rollout(8, num_steps=6, num_envs=1)
    for name in ("terminated", "truncated"):
        rollout[name] = torch.zeros_like(rollout[name])
    column = {name: value[:, 0] for name, value in rollout.items()}
    average = torch.zeros(6, dtype=torch.float64)
    for n in range(1, 400):  # from 6 on they are all the same
        weight = (1.0 - LAMBDA) * LAMBDA ** (n - 1)
        average += weight * n_step_advantage(**column, gamma=GAMMA, n=min(n, 6))
    found = gae(**rollout, gamma=GAMMA, gae_lambda=LAMBDA)[0][:, 0]
    torch.testing.assert_close(found, average)


def test_normalise_by_hand_and_with_a_mask() -> None:
    """Mean 3 and deviation 2; what does not count is 0."""
    values = torch.tensor([1.0, 3.0, 99.0, 5.0])
    mask = torch.tensor([True, True, False, True])
    torch.testing.assert_close(normalise(values, mask), torch.tensor([-1.0, 0.0, 0.0, 1.0]))
    assert normalise(torch.full((3,), 7.0)).tolist() == [0.0, 0.0, 0.0]


def test_value_loss_takes_the_critics_column() -> None:
    """Errors 1 and -3: 5. Against a library that complains about the shapes."""
    value, returns = torch.tensor([[2.0], [1.0]]), torch.tensor([1.0, 4.0])
    assert value_loss(value, returns).item() == 5.0
    torch.testing.assert_close(
        value_loss(value, returns), torch.nn.functional.mse_loss(value[:, 0], returns)
    )


# ---- the loop ---------------------------------------------------------------------------------


def test_a_collector_marks_the_steps_that_nobody_took() -> None:
    """Against the same environment stepped by hand, with Gymnasium's own kind of reset."""
    env = gym.make_vec("CartPole-v1", 4, vectorization_mode="vector_entry_point")
    collector = Collector(env, seed=3)
    rollout = collector.collect(ActorCritic(4, 2), 200)
    again = gym.make_vec("CartPole-v1", 4, vectorization_mode="vector_entry_point")
    obs, _ = again.reset(seed=3)
    after_an_end = np.zeros(4, dtype=bool)
    for t in range(200):
        np.testing.assert_array_equal(rollout["obs"][t].numpy(), obs)
        np.testing.assert_array_equal(rollout["valid"][t].numpy(), ~after_an_end)
        obs, reward, terminated, truncated, _ = again.step(rollout["action"][t].numpy())
        np.testing.assert_array_equal(rollout["reward"][t].numpy(), reward)
        after_an_end = terminated | truncated
    assert (~rollout["valid"]).sum() > 10
    lengths = sum(collector.finished) + float(collector.running.sum())
    assert lengths == float(rollout["valid"].sum())  # CartPole pays 1 a step


def test_values_of_a_rollout_belong_to_where_steps_led() -> None:
    env = gym.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point")
    model = ActorCritic(4, 2)
    with torch.no_grad():
        for parameter in model.critic.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(0))
    rollout = Collector(env, seed=0).collect(model, 60)
    with torch.no_grad():
        expected = model.critic(rollout["obs"]).squeeze(-1)
    torch.testing.assert_close(rollout["value"], expected)
    torch.testing.assert_close(rollout["next_value"][:-1], expected[1:])


def test_greedy_returns_stop_at_the_first_end() -> None:
    """A policy that always pushes right falls within a dozen steps; nobody plays on."""

    class Right(torch.nn.Module):
        def forward(self, obs: Tensor) -> Tensor:
            return torch.tensor([0.0, 1.0]).expand(len(obs), 2)

    returns = greedy_returns(Right(), num_episodes=30, seed=5)
    assert 8 <= min(returns) <= max(returns) <= 11


def test_a2c_learns_to_balance() -> None:
    """Never below 150 over twenty seeds: benchmarks/results/lab05_a2c.json."""
    assert agents.greedy_mean(agents.trained()) >= 150.0


def test_training_with_a_mask_that_is_wrong_is_another_training() -> None:
    """The loop hands `valid` to the functions that it was given."""
    seen = []

    def spy(advantage: Tensor, mask: Tensor) -> Tensor:
        seen.append(mask)
        return reference.normalise(advantage, mask)

    reference.train_a2c(agents.answers(normalise=spy), seed=1, num_updates=20, normalised=True)
    assert any(not mask.all() for mask in seen)


def test_training_ends_when_it_is_told_to() -> None:
    heard = []

    def enough(update: int, model: ActorCritic) -> bool:
        heard.append(update)
        return update == 2

    _, finished = reference.train_a2c(agents.answers(), seed=0, num_updates=5, on_update=enough)
    assert heard == [1, 2]
    assert finished
