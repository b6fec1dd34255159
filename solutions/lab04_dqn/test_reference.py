"""Lab 4's answers against numbers worked by hand, limits, and oracles that share no code."""

import copy
from functools import partial
from typing import Any

import gymnasium as gym
import minatar.gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import DQN
from stable_baselines3.common import buffers as sb3_buffers
from stable_baselines3.common.utils import (
    LinearSchedule,
    get_parameters_by_name,
    polyak_update,
)
from torch import Tensor, nn

from solutions.lab04_dqn import agents, reference
from solutions.lab04_dqn.reference import (
    ConvQNetwork,
    Probe,
    QNetwork,
    ReplayBuffer,
    climb,
    distil,
    double_dqn_target,
    dqn_target,
    epsilon_greedy,
    gather_q,
    greedy_returns,
    huber,
    kd_loss,
    linear_schedule,
    play,
    store_transition,
    sync,
    train_dqn,
)

GAMMA = 0.97
NO, YES = torch.tensor([False]), torch.tensor([True])


# ---- replay -----------------------------------------------------------------------------------


def fill(buffer: ReplayBuffer, numbers: range) -> None:
    for x in numbers:
        buffer.add(np.array([x]), x % 3, x / 2, np.array([x + 1]), x % 5 == 0)


def test_a_ring_of_three_by_hand() -> None:
    """A B C, then D over A, then E over B: rows D, E, C."""
    buffer = ReplayBuffer(3, (1,))
    for count, x in enumerate(range(5), start=1):
        fill(buffer, range(x, x + 1))
        assert len(buffer) == min(count, 3)
    assert buffer.obs[:, 0].tolist() == [3.0, 4.0, 2.0]
    batch = buffer.sample(1_000, np.random.default_rng(0))
    for obs, action, reward, next_obs, terminated in zip(*batch.values(), strict=True):
        x = int(obs[0])
        assert (action, reward, next_obs[0], terminated) == (x % 3, x / 2, x + 1, x % 5 == 0)
    assert set(batch["obs"][:, 0]) == {2.0, 3.0, 4.0}


def test_samples_are_uniform_over_what_is_held() -> None:
    """Chi-squared with 6 degrees of freedom is above 40 with probability 5e-7."""
    buffer = ReplayBuffer(10, (1,))
    fill(buffer, range(7))
    drawn = buffer.sample(70_000, np.random.default_rng(1))["obs"][:, 0].astype(int)
    counts = np.bincount(drawn, minlength=10)
    assert counts[7:].sum() == 0
    assert ((counts[:7] - 10_000) ** 2 / 10_000).sum() < 40.0


def sb3_buffer(capacity: int) -> sb3_buffers.ReplayBuffer:
    box = gym.spaces.Box(-100.0, 100.0, (1,), np.float32)
    return sb3_buffers.ReplayBuffer(capacity, box, gym.spaces.Discrete(3), device="cpu")


def test_rows_and_ends_are_stable_baselines3s_with_its_handling_of_timeouts() -> None:
    """Theirs gets done and a note about the clock; ours gets terminated. Same rows, same ends."""
    ours, theirs = ReplayBuffer(5, (1,)), sb3_buffer(5)
    for x in range(12):
        terminated, truncated = x % 4 == 0, x % 4 == 1
        obs, next_obs = np.array([x], np.float32), np.array([x + 1], np.float32)
        ours.add(obs, x % 3, x / 2, next_obs, terminated)
        done = np.array([terminated or truncated])
        # as their vector environments report it: truncated and not terminated
        notes = [{"TimeLimit.truncated": truncated and not terminated}]
        theirs.add(obs[None], next_obs[None], np.array([x % 3]), np.array([x / 2]), done, notes)
    everything = theirs._get_samples(np.arange(5))
    np.testing.assert_array_equal(ours.obs, everything.observations.numpy())
    np.testing.assert_array_equal(ours.next_obs, everything.next_observations.numpy())
    np.testing.assert_array_equal(ours.action[:, None], everything.actions.numpy())
    np.testing.assert_array_equal(ours.reward[:, None], everything.rewards.numpy())
    np.testing.assert_array_equal(ours.terminated[:, None], everything.dones.numpy())
    assert theirs.dones.sum() > ours.terminated.sum(), "what was stored as done is more"


# ---- targets and losses -----------------------------------------------------------------------


class Recorded(Exception):
    """Carries what Stable-Baselines3's own training compared."""


def sb3_td(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Tensor, Tensor]:
    """Run `DQN.train` of Stable-Baselines3 up to its loss; return its agent, guess and target."""
    model = DQN("MlpPolicy", "CartPole-v1", gamma=GAMMA, learning_starts=0, buffer_size=60, seed=3)
    polyak_update(model.q_net.parameters(), model.q_net_target.parameters(), 0.0)
    with torch.no_grad():
        for parameter in model.q_net_target.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.manual_seed(0)) * 0.1)
    rng = np.random.default_rng(0)
    for step in range(60):
        obs, next_obs = rng.normal(size=(2, 1, 4))
        done = np.array([step % 3 == 0])
        notes = [{"TimeLimit.truncated": step % 6 == 0}]
        reward = rng.normal(size=1)
        assert model.replay_buffer is not None
        model.replay_buffer.add(obs, next_obs, rng.integers(2, size=1), reward, done, notes)
    seen: list[Tensor] = []

    def loss(pred: Tensor, target: Tensor) -> Tensor:
        seen.extend((pred.detach(), target.detach()))
        raise Recorded

    monkeypatch.setattr("stable_baselines3.dqn.dqn.F.smooth_l1_loss", loss)
    with pytest.raises(Recorded):
        model._logger = None  # type: ignore[assignment]
        model._update_learning_rate = lambda *_: None  # type: ignore[method-assign]
        np.random.seed(7)  # noqa: NPY002  (theirs draws from the global generator)
        model.train(gradient_steps=1, batch_size=50)
    return model, seen[0], seen[1]


def test_targets_and_guesses_are_stable_baselines3s(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own training step, stopped where it has computed both; its batch is drawn once more."""
    model, guess, target = sb3_td(monkeypatch)
    np.random.seed(7)  # noqa: NPY002
    rows = model.replay_buffer.sample(50)
    with torch.no_grad():
        next_q, q = model.q_net_target(rows.next_observations), model.q_net(rows.observations)
    terminated = rows.dones[:, 0].bool()
    assert 0 < terminated.sum() < 50
    truncated = torch.ones(50, dtype=torch.bool)  # has no say
    found = dqn_target(next_q, rows.rewards[:, 0], terminated, truncated, gamma=GAMMA)
    torch.testing.assert_close(found, target[:, 0])
    torch.testing.assert_close(gather_q(q, rows.actions[:, 0]), guess[:, 0])
    monkeypatch.undo()
    theirs = torch.nn.functional.smooth_l1_loss(guess, target)
    torch.testing.assert_close(huber(guess[:, 0], target[:, 0]), theirs)


def test_targets_by_hand() -> None:
    """gamma 1/2: 1 + 8/2 = 5; 2 where it terminated; a time limit alone changes nothing."""
    next_q = torch.tensor([[4.0, 8.0]])
    reward = torch.tensor([1.0])
    assert dqn_target(next_q, reward, NO, NO, gamma=0.5).item() == 5.0
    assert dqn_target(next_q, reward, NO, YES, gamma=0.5).item() == 5.0
    assert dqn_target(next_q, reward, YES, NO, gamma=0.5).item() == 1.0
    assert dqn_target(next_q, reward, YES, YES, gamma=0.5).item() == 1.0
    online = torch.tensor([[3.0, 2.0]])  # chooses the action that the target values at 4
    assert double_dqn_target(online, next_q, reward, NO, YES, gamma=0.5).item() == 3.0
    assert double_dqn_target(online, next_q, reward, YES, NO, gamma=0.5).item() == 1.0


def test_one_network_in_both_roles_makes_double_dqn_plain_dqn() -> None:
    generator = torch.Generator().manual_seed(1)
    q, reward = torch.randn(40, 5, generator=generator), torch.randn(40, generator=generator)
    terminated = torch.rand(40, generator=generator) < 0.3
    ends = reward, terminated, ~terminated
    plain = dqn_target(q, *ends, gamma=GAMMA)
    torch.testing.assert_close(double_dqn_target(q, q, *ends, gamma=GAMMA), plain)
    other = double_dqn_target(torch.randn(40, 5, generator=generator), q, *ends, gamma=GAMMA)
    assert (other <= plain).all()
    assert (other < plain).any()


def test_double_targets_are_unbiased_where_plain_ones_are_too_high() -> None:
    """Four actions worth 0, two independent noisy opinions: 1.0294 against 0, se 0.0032."""
    generator = torch.Generator().manual_seed(2)
    one, other = torch.randn(2, 100_000, 4, generator=generator)
    nothing = torch.zeros(100_000)
    never = torch.zeros(100_000, dtype=torch.bool)
    plain = dqn_target(other, nothing, never, never, gamma=1.0).mean().item()
    double = double_dqn_target(one, other, nothing, never, never, gamma=1.0).mean().item()
    assert plain == pytest.approx(1.0294, abs=0.016)
    assert double == pytest.approx(0.0, abs=0.016)


def test_huber_by_hand_and_against_torch() -> None:
    """(1/8 + 1/2 + 5/2 + 3/2) / 4 = 1.15625; the slope is the error, at most delta."""
    pred = torch.tensor([1.5, 1.0, 3.0, 0.0], requires_grad=True)
    loss = huber(pred, torch.tensor([1.0, 2.0, 0.0, 2.0]))
    assert loss.item() == 1.15625
    (slope,) = torch.autograd.grad(loss * 4, pred)
    assert slope.tolist() == [0.5, -1.0, 1.0, -1.0]
    generator = torch.Generator().manual_seed(3)
    for delta in (0.3, 1.0, 4.0):
        pred, target = torch.randn(2, 200, generator=generator, dtype=torch.float64) * 3.0
        theirs = nn.HuberLoss(delta=delta)(pred, target)
        torch.testing.assert_close(huber(pred, target, delta=delta), theirs)
        smooth = nn.functional.smooth_l1_loss(pred, target, beta=delta)
        torch.testing.assert_close(theirs, smooth * delta)


def test_a_huge_delta_is_the_squared_error_and_a_tiny_one_the_absolute() -> None:
    pred, target = torch.tensor([1.0, -4.0]), torch.tensor([3.0, 1.0])
    assert huber(pred, target, delta=1e6).item() == pytest.approx((4.0 + 25.0) / 4)
    assert huber(pred, target, delta=1e-4).item() / 1e-4 == pytest.approx(3.5, rel=1e-4)


def test_kd_loss_by_hand_and_against_torch() -> None:
    student, teacher = torch.tensor([[0.0, np.log(3.0)]]), torch.tensor([[5.0, 5.0]])
    expected = 0.5 * np.log(2.0) + 0.5 * np.log(2.0 / 3.0)
    assert kd_loss(student, teacher, temperature=1.0).item() == pytest.approx(expected)
    generator = torch.Generator().manual_seed(4)
    student, teacher = torch.randn(2, 30, 6, generator=generator, dtype=torch.float64) * 2.0
    for temperature in (0.1, 1.0, 4.0):
        p: Any = torch.distributions.Categorical(logits=teacher / temperature)
        q: Any = torch.distributions.Categorical(logits=student / temperature)
        theirs = torch.distributions.kl_divergence(p, q).mean() * temperature**2
        torch.testing.assert_close(kd_loss(student, teacher, temperature=temperature), theirs)


def test_at_high_temperature_distillation_is_regression_on_centred_logits() -> None:
    """Hinton et al. (2015), section 2.1: the gradient tends to (v - z) / num_actions."""
    generator = torch.Generator().manual_seed(5)
    student, teacher = torch.randn(2, 8, 3, generator=generator, dtype=torch.float64)
    student = (student - student.mean(dim=1, keepdim=True)).requires_grad_()
    teacher = teacher - teacher.mean(dim=1, keepdim=True)
    (slope,) = torch.autograd.grad(kd_loss(student, teacher, temperature=1e4) * 8, student)
    torch.testing.assert_close(slope, (student - teacher).detach() / 3, atol=1e-3, rtol=1e-3)


# ---- networks and schedules -------------------------------------------------------------------


def pair() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(6)
    online = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    target = copy.deepcopy(online)
    online(torch.randn(20, 3) + 2.0)  # running means of one move
    with torch.no_grad():
        for parameter in online.parameters():
            parameter.add_(1.0)
    return online, target


@pytest.mark.parametrize("tau", [1.0, 0.05])
def test_sync_is_stable_baselines3s_update_of_parameters_and_statistics(tau: float) -> None:
    online, target = pair()
    theirs = copy.deepcopy(target)
    polyak_update(online.parameters(), theirs.parameters(), tau)
    new, old = (get_parameters_by_name(network, ["running_"]) for network in (online, theirs))
    polyak_update(new, old, 1.0)
    sync(online, target, tau=tau)
    count = "1.num_batches_tracked"  # theirs leaves it behind
    expected = theirs.state_dict() | {count: online.state_dict()[count]}
    for name, found in target.state_dict().items():
        torch.testing.assert_close(found, expected[name])


def test_what_the_online_network_does_later_stays_its_own() -> None:
    online, target = pair()
    sync(online, target)
    before = copy.deepcopy(target.state_dict())
    with torch.no_grad():
        for parameter in online.parameters():
            parameter.mul_(2.0)
    assert all(torch.equal(before[name], found) for name, found in target.state_dict().items())


def test_schedule_by_hand_and_against_stable_baselines3() -> None:
    settings: dict[str, Any] = {"start": 1.0, "end": 0.2, "fraction": 0.5, "total": 100}
    found = [linear_schedule(step, **settings) for step in (0, 25, 50, 80)]
    assert found == pytest.approx([1.0, 0.6, 0.2, 0.2])
    theirs = LinearSchedule(1.0, 0.2, 0.5)
    for step in range(0, 101, 7):
        assert linear_schedule(step, **settings) == pytest.approx(theirs(1.0 - step / 100))


# ---- what vector environments say -------------------------------------------------------------


class Clock(gym.Env[np.ndarray[Any, Any], np.int64]):
    """Counts its steps: episode ``e`` shows 100 e + t. Even ones terminate, odd ones run out."""

    observation_space = gym.spaces.Box(0.0, 1e6, (1,), np.float64)
    action_space = gym.spaces.Discrete(10)

    def __init__(self, length: int) -> None:
        self.length, self.episode, self.t = length, -1, 0

    def _see(self) -> np.ndarray[Any, Any]:
        return np.array([100.0 * self.episode + self.t])

    def reset(self, **_: Any) -> tuple[np.ndarray[Any, Any], dict[str, Any]]:
        self.episode, self.t = self.episode + 1, 0
        return self._see(), {}

    def step(
        self, action: np.int64
    ) -> tuple[np.ndarray[Any, Any], float, bool, bool, dict[str, Any]]:
        self.t += 1
        over, even = self.t == self.length, self.episode % 2 == 0
        return self._see(), float(action), over and even, over and not even, {}


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_stored_rows_are_what_single_environments_would_have_shown(mode: AutoresetMode) -> None:
    """Gymnasium's own vector environment in each mode; every row continues its own episode."""
    lengths = (2, 3, 5)
    env = SyncVectorEnv([partial(Clock, n) for n in lengths], autoreset_mode=mode)
    obs, _ = env.reset()
    ended = np.zeros(3, dtype=bool)
    rng = np.random.default_rng(0)
    rows: list[tuple[float, ...]] = []
    for _ in range(40):
        action = rng.integers(1, 10, size=3)
        next_obs, reward, terminated, truncated, infos = env.step(action)
        kept = store_transition(
            obs, action, reward, next_obs, terminated, truncated, infos,
            mode=mode.name.lower(), ended_before=ended,
        )  # fmt: skip
        columns = (np.reshape(column, (len(column),)) for column in kept.values())
        rows += zip(*(column.tolist() for column in columns), strict=True)
        obs, ended = next_obs, terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            obs, _ = env.reset(options={"reset_mask": ended.copy()})
    for seen, sent, paid, after, terminal in rows:
        assert after == seen + 1.0, "one step further in the same episode"
        assert paid == sent > 0, "the environment heard this action"
        assert not (terminal and (after // 100) % 2), "odd episodes run out of time"
    ends = [row for row in rows if row[4]]
    assert ends
    assert all(after % 100 in lengths for _, _, _, after, _ in ends)
    dummies = 120 - len(rows)
    assert dummies > 20 if mode is AutoresetMode.NEXT_STEP else dummies == 0


# ---- the loop ---------------------------------------------------------------------------------


def test_epsilon_greedy_explores_as_often_as_it_says() -> None:
    """Half of the random actions are the best one as well: 1 - 0.3 / 2 = 0.85, se 0.0036."""
    torch.manual_seed(0)
    network = QNetwork(4, 2)
    obs = np.zeros((10_000, 4), dtype=np.float32)
    best = int(network(torch.zeros(4)).argmax())
    found = epsilon_greedy(network, obs, 0.3, np.random.default_rng(0))
    assert (found == best).mean() == pytest.approx(0.85, abs=0.018)
    assert (epsilon_greedy(network, obs, 0.0, np.random.default_rng(0)) == best).all()


def test_probes_pay_what_their_truth_says() -> None:
    """Every action from every start, with gamma 1/2, against the returns that come of it."""
    for rung in range(1, 6):
        env = Probe(rung)
        for seed in range(6):
            for first in range(len(env.truth(0.5)[0.0 if rung not in (2, 5) else 1.0])):
                obs, _ = env.reset(seed=seed)
                at, total, discount, over, action = float(obs[0]), 0.0, 1.0, False, first
                while not over:
                    _, reward, over, truncated, _ = env.step(np.int64(action))
                    assert not truncated
                    total, discount, action = total + discount * reward, discount / 2, 0
                assert total == env.truth(0.5)[at][first]


def test_right_answers_climb_the_ladder() -> None:
    assert max(climb(agents.answers())) < 0.1


def test_each_broken_answer_shows_on_its_rung() -> None:
    """What the notebook says about them: the first rung that is off."""

    def unmasked(*args: Any, gamma: float) -> Tensor:
        online, target, reward, terminated, truncated = args
        never = torch.zeros_like(terminated)
        return double_dqn_target(online, target, reward, never, truncated, gamma=gamma)

    def best(q: Tensor, action: Tensor) -> Tensor:
        return q.max(dim=1).values

    def nothing(online: nn.Module, target: nn.Module, *, tau: float = 1.0) -> None:
        pass

    broken: dict[int, dict[str, Any]] = {
        1: {"double_dqn_target": unmasked},
        3: {"sync": nothing},
        4: {"gather_q": best},
    }
    for rung, change in broken.items():
        errors = climb(agents.answers(**change))
        assert next(i for i, error in enumerate(errors, start=1) if error >= 0.1) == rung


class Right(nn.Module):
    def forward(self, obs: Tensor) -> Tensor:
        return torch.tensor([0.0, 1.0]).expand(len(obs), 2)


def test_greedy_returns_stop_at_the_first_end() -> None:
    returns = greedy_returns(Right(), num_episodes=30, seed=5)
    assert 8 <= min(returns) <= max(returns) <= 11


def test_play_is_cut_off() -> None:
    env = gym.make_vec("CartPole-v1", 3, vectorization_mode="vector_entry_point")
    assert play(env, Right(), seed=5, max_steps=5) == [5.0] * 3


def test_a_convolution_is_trained_on_breakout() -> None:
    """What the lab's cell for a GPU does, in small."""
    if "MinAtar/Breakout-v1" not in gym.registry:
        minatar.gym.register_envs()
    games = [gym.make_vec("MinAtar/Breakout-v1", 4, vectorization_mode="sync") for _ in range(2)]
    kinds = games[0].single_observation_space.shape
    assert kinds == (10, 10, 4)
    network = ConvQNetwork(4, 3)
    before = copy.deepcopy(network.state_dict())
    trained, history = train_dqn(
        games[0], agents.answers(), seed=0, total_timesteps=400, mode="next_step", network=network,
        capacity=300, learning_starts=100, evaluate_every=100,
        evaluate=lambda each: float(np.mean(play(games[1], each, seed=1, max_steps=50))),
    )  # fmt: skip
    assert trained is network
    assert all((before[name] != value).any() for name, value in network.state_dict().items())
    assert [step for step, _ in history] == [200, 300]  # before, it held too little
    assert min(score for _, score in history) >= 0.0


def test_a_student_agrees_with_its_teacher() -> None:
    """A linear teacher that any network can imitate; their greedy actions agree."""
    teacher = nn.Linear(4, 2)
    with torch.no_grad():
        teacher.weight.copy_(torch.tensor([[0.0, 0.0, -1.0, -1.0], [0.0, 0.0, 1.0, 1.0]]))
        teacher.bias.zero_()
    student = distil(teacher, reference.kd_loss, seed=0, num_updates=300)
    obs = torch.randn(2_000, 4, generator=torch.Generator().manual_seed(0)) * 0.2
    agree = (student(obs).argmax(dim=1) == teacher(obs).argmax(dim=1)).float().mean()
    assert agree > 0.9
