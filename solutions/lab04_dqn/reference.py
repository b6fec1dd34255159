"""Lab 4, reference: replay, target networks, Double DQN, distillation; a DQN that learns CartPole.

Arrays of transitions have one row for each transition, tensors the batch first; floating point
unless stated. Observations have the shape ``(batch, *obs_shape)``, values of actions
``(batch, num_actions)``.
"""

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labkit.runtime import progress

VectorEnv = gym.vector.VectorEnv
Batch = dict[str, NDArray[Any]]
Rng = np.random.Generator


class ReplayBuffer:
    """The last ``capacity`` transitions; when it is full, a new one takes the oldest one's place.

    Args:
        capacity: transitions that it holds at most.
        obs_shape: shape of one observation.

    Source: Lin (1992); Mnih et al. (2015), algorithm 1.
    """

    def __init__(self, capacity: int, obs_shape: tuple[int, ...]) -> None:
        self.capacity = capacity
        self.num_added = 0
        self.obs = np.zeros((capacity, *obs_shape), dtype=np.float32)
        self.action = np.zeros(capacity, dtype=np.int64)
        self.reward = np.zeros(capacity, dtype=np.float32)
        self.next_obs = np.zeros((capacity, *obs_shape), dtype=np.float32)
        self.terminated = np.zeros(capacity, dtype=bool)

    def __len__(self) -> int:
        """Return how many transitions it holds."""
        return min(self.num_added, self.capacity)

    def add(
        self,
        obs: NDArray[Any],
        action: int,
        reward: float,
        next_obs: NDArray[Any],
        terminated: bool,
    ) -> None:
        """Store a copy of one transition.

        Args:
            obs: what the agent saw, shape ``obs_shape``.
            action: what it did.
            reward: what that paid.
            next_obs: what it saw then, shape ``obs_shape``.
            terminated: whether ``next_obs`` is terminal. Not whether the episode was cut off.
        """
        row = self.num_added % self.capacity
        self.obs[row] = obs
        self.action[row] = action
        self.reward[row] = reward
        self.next_obs[row] = next_obs
        self.terminated[row] = terminated
        self.num_added += 1

    def sample(self, batch_size: int, rng: Rng) -> Batch:
        """Draw transitions, each of those held being as likely, with replacement.

        Args:
            batch_size: how many; may be more than are held.
            rng: source of all randomness.

        Returns:
            Arrays ``obs``, ``action``, ``reward``, ``next_obs`` and ``terminated`` by name, each
            of length ``batch_size``: float32, but whole numbers for actions, bool for
            ``terminated``.
        """
        row = rng.integers(len(self), size=batch_size)
        names = ("obs", "action", "reward", "next_obs", "terminated")
        return {name: getattr(self, name)[row] for name in names}


def gather_q(q: Tensor, action: Tensor) -> Tensor:
    """Return ``q[b, action[b]]``, the value of the action that each row took.

    Args:
        q: values of all actions, shape ``(batch, num_actions)``.
        action: what was done, whole numbers, shape ``(batch,)``.

    Returns:
        Shape ``(batch,)``.
    """
    return q.gather(1, action.unsqueeze(1)).squeeze(1)


def dqn_target(
    next_q_target: Tensor,
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
) -> Tensor:
    """Return ``r + gamma max_a Q_target(s', a)``; a terminal ``s'`` is worth 0.

    A time limit ends the episode and not the world: ``truncated`` changes nothing. The target is a
    number that the online network is to say: it carries no gradient.

    Args:
        next_q_target: values of all actions in ``s'``, by the target network, shape
            ``(batch, num_actions)``.
        reward: reward of the step, shape ``(batch,)``.
        terminated: whether ``s'`` is terminal, bool, shape ``(batch,)``.
        truncated: whether a time limit ended the episode in ``s'``, bool, shape ``(batch,)``.
        gamma: discount per step, in ``[0, 1]``.

    Returns:
        Shape ``(batch,)``.

    Source: Mnih et al. (2015), eq. 3; for time limits Pardo et al. (2018).
    """
    next_value = next_q_target.detach().max(dim=1).values
    return reward + gamma * next_value * ~terminated


def double_dqn_target(
    next_q_online: Tensor,
    next_q_target: Tensor,
    reward: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    *,
    gamma: float,
) -> Tensor:
    """Return ``r + gamma Q_target(s', argmax_a Q_online(s', a))``; a terminal ``s'`` is worth 0.

    One network chooses the action, the other one says what it is worth. No gradient goes into
    either, and a time limit changes nothing.

    Args:
        next_q_online: values of all actions in ``s'``, by the online network, shape
            ``(batch, num_actions)``.
        next_q_target: the same by the target network.
        reward: reward of the step, shape ``(batch,)``.
        terminated: whether ``s'`` is terminal, bool, shape ``(batch,)``.
        truncated: whether a time limit ended the episode in ``s'``, bool, shape ``(batch,)``.
        gamma: discount per step, in ``[0, 1]``.

    Returns:
        Shape ``(batch,)``.

    Source: van Hasselt et al. (2016), eq. 4.
    """
    best = next_q_online.argmax(dim=1, keepdim=True)
    next_value = next_q_target.detach().gather(1, best).squeeze(1)
    return reward + gamma * next_value * ~terminated


def huber(pred: Tensor, target: Tensor, *, delta: float = 1.0) -> Tensor:
    """Return the mean of ``e^2 / 2`` where ``|e| <= delta``, else ``delta (|e| - delta / 2)``.

    ``e = pred - target``. A parabola that goes on as a straight line: the slope is ``e``, but
    never more than ``delta`` either way.

    Args:
        pred: what was said, shape ``(batch,)``.
        target: what should have been said, shape ``(batch,)``.
        delta: where the line begins, above 0.

    Returns:
        Shape ``()``.

    Source: Huber (1964); Mnih et al. (2015), Methods, where it is called clipping the error term.
    """
    error = (pred - target).abs()
    bent = torch.where(error <= delta, 0.5 * error**2, delta * (error - 0.5 * delta))
    return bent.mean()


def sync(online: nn.Module, target: nn.Module, *, tau: float = 1.0) -> None:
    """Move ``target`` in place: each parameter becomes ``tau * online + (1 - tau) * target``.

    Buffers (such as the running means of a normalising layer) are statistics, not weights: they
    are copied whole. The networks stay two: what happens to ``online`` later does not happen to
    ``target``.

    Args:
        online: the network that learns; it does not change.
        target: the network that follows, of the same architecture.
        tau: how far it follows, in ``(0, 1]``; 1 makes it a copy.

    Source: Mnih et al. (2015), algorithm 1 (tau = 1); Lillicrap et al. (2016), section 3.
    """
    with torch.no_grad():
        for new, old in zip(online.parameters(), target.parameters(), strict=True):
            old.copy_(tau * new + (1.0 - tau) * old)
        for source, kept in zip(online.buffers(), target.buffers(), strict=True):
            kept.copy_(source)


def linear_schedule(step: int, *, start: float, end: float, fraction: float, total: int) -> float:
    """Return a value that goes from ``start`` to ``end`` in a straight line, and then stays there.

    Args:
        step: steps taken so far, 0 or more.
        start: value at step 0.
        end: value from step ``fraction * total`` on.
        fraction: share of the steps that the change takes, in ``(0, 1]``.
        total: steps of the whole training.
    """
    progress_made = min(step / (fraction * total), 1.0)
    return start + progress_made * (end - start)


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """Return ``T^2`` times the mean over the batch of ``KL(softmax(z / T) || softmax(v / T))``.

    ``z`` are the teacher's logits and ``v`` the student's. No gradient goes into the teacher.

    Args:
        student_logits: unnormalised log-probabilities, shape ``(batch, num_actions)``.
        teacher_logits: the same by the teacher.
        temperature: above 0; the higher, the softer both distributions.

    Returns:
        Shape ``()``; 0 where both agree, never below.

    Source: Hinton et al. (2015), section 2; for policies Rusu et al. (2016), eq. 3, who divide the
    teacher's values alone.
    """
    log_teacher = torch.log_softmax(teacher_logits.detach() / temperature, dim=1)
    log_student = torch.log_softmax(student_logits / temperature, dim=1)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum(dim=1)
    return temperature**2 * divergence.mean()


def store_transition(
    obs: NDArray[Any],
    action: NDArray[Any],
    reward: NDArray[Any],
    next_obs: NDArray[Any],
    terminated: NDArray[np.bool_],
    truncated: NDArray[np.bool_],
    infos: dict[str, Any],
    *,
    mode: str,
    ended_before: NDArray[np.bool_],
) -> Batch:
    """Return the transitions that really happened in one step of a vector environment.

    - ``"next_step"``: an environment whose episode ended in the step before only resets in this
      one: its action was ignored and its reward is 0. Its row is left out.
    - ``"same_step"``: an environment whose episode ends resets within the same step. Its row of
      ``next_obs`` is the first observation of the next episode; the last one of this episode is
      in ``infos["final_obs"]``, an object array with an observation for each environment that
      ended and None for the others. The key is there only if an episode ended.
    - ``"disabled"``: nothing resets by itself, and every row is what it seems to be.

    Args:
        obs: what the environments showed before the step, shape ``(num_envs, *obs_shape)``.
        action: what was sent, shape ``(num_envs,)``.
        reward: what came back, shape ``(num_envs,)``.
        next_obs: what they showed after the step, shape ``(num_envs, *obs_shape)``.
        terminated: whether a terminal state was reached, bool, shape ``(num_envs,)``.
        truncated: whether a time limit struck, bool, shape ``(num_envs,)``.
        infos: whatever else the environments said.
        mode: when they reset, one of the three above.
        ended_before: ``terminated | truncated`` of the step before, all false in the first step.

    Returns:
        Arrays ``obs``, ``action``, ``reward``, ``next_obs`` and ``terminated`` by name, in the
        order of the environments; ``terminated`` as it came, whatever the clock did.

    Source: Gymnasium's documentation of ``AutoresetMode``.
    """
    happened = ~ended_before if mode == "next_step" else np.ones_like(terminated)
    last_obs = next_obs.copy()
    if mode == "same_step":
        for env in np.flatnonzero(terminated | truncated):
            last_obs[env] = infos["final_obs"][env]
    rows = {"obs": obs, "action": action, "reward": reward}
    rows |= {"next_obs": last_obs, "terminated": terminated}
    return {name: value[happened] for name, value in rows.items()}


class QNetwork(nn.Sequential):
    """Values of all actions, by a network with two hidden layers.

    Args:
        obs_size: numbers in an observation.
        num_actions: number of actions.
        hidden: width of the hidden layers.
    """

    def __init__(self, obs_size: int, num_actions: int, hidden: int = 128) -> None:
        super().__init__(
            nn.Linear(obs_size, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, num_actions),
        )


class ConvQNetwork(nn.Module):
    """Values of all actions of a MinAtar game, by a convolution and a hidden layer.

    Args:
        num_channels: kinds of things on the grid of 10 by 10 cells.
        num_actions: number of actions.

    Source: Young & Tian (2019), section 3.
    """

    def __init__(self, num_channels: int, num_actions: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(num_channels, 16, kernel_size=3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * 8 * 8, 128),
            nn.ReLU(),
            nn.Linear(128, num_actions),
        )

    def forward(self, obs: Tensor) -> Tensor:
        """Return the values of all actions for observations of shape ``(batch, 10, 10, kinds)``."""
        values: Tensor = self.layers(obs.float().permute(0, 3, 1, 2))
        return values


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's parameters are; what has none computes on the processor."""
    return next(network.parameters(), torch.empty(0)).device


@torch.no_grad()
def epsilon_greedy(
    q_network: nn.Module, obs: NDArray[Any], epsilon: float, rng: Rng
) -> NDArray[np.int64]:
    """Return the best action of each row, or with probability ``epsilon`` any action.

    Args:
        q_network: maps observations to values of actions.
        obs: shape ``(num_envs, ...)``.
        epsilon: share of actions that are drawn at random.
        rng: source of all randomness.
    """
    q = q_network(torch.as_tensor(obs, device=device_of(q_network))).cpu().numpy()
    explores = rng.random(len(obs)) < epsilon
    return np.where(explores, rng.integers(q.shape[1], size=len(obs)), q.argmax(axis=1))


class Probe(gym.Env[NDArray[np.float32], np.int64]):
    """Five tiny environments, each of which needs one thing more than the one before.

    1. One observation, one action, reward 1, and the episode is over: can the network say 1?
    2. The observation is -1 or 1 and so is the reward: does it look at the observation?
    3. Two steps, and only the second one pays: do values travel back, discounted?
    4. One observation, two actions: 1 pays 1 and 0 costs 1: do actions get their own values?
    5. The action that agrees with the observation pays 1, the other one costs 1: all of it.

    Args:
        rung: 1 to 5.
    """

    def __init__(self, rung: int) -> None:
        self.rung = rung
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(1 if rung <= 3 else 2)
        self.at = np.zeros(1, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Start an episode: at -1 or 1 where observations matter, else at 0."""
        super().reset(seed=seed)
        start = self.np_random.choice([-1.0, 1.0]) if self.rung in (2, 5) else 0.0
        self.at = np.array([start], dtype=np.float32)
        return self.at, {}

    def step(
        self, action: np.int64
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Pay; every episode ends after its first step, in the third probe after its second."""
        seen = float(self.at[0])
        if self.rung == 3 and seen == 0.0:
            self.at = np.ones(1, dtype=np.float32)
            return self.at, 0.0, False, False, {}
        sign = 1.0 if action else -1.0
        paid = {1: 1.0, 2: seen, 3: 1.0, 4: sign, 5: sign * seen}[self.rung]
        return self.at, paid, True, False, {}

    def truth(self, gamma: float) -> dict[float, list[float]]:
        """Return the values of all actions for every observation that can be met."""
        return {
            1: {0.0: [1.0]},
            2: {-1.0: [-1.0], 1.0: [1.0]},
            3: {0.0: [gamma], 1.0: [1.0]},
            4: {0.0: [-1.0, 1.0]},
            5: {-1.0: [1.0, -1.0], 1.0: [-1.0, 1.0]},
        }[self.rung]


def train_dqn(
    env: VectorEnv,
    answers: dict[str, Callable[..., Any]],
    *,
    seed: int,
    total_timesteps: int,
    mode: str,
    hidden: int = 128,
    capacity: int = 50_000,
    batch_size: int = 128,
    learning_starts: int = 1_000,
    updates_per_step: int = 4,
    sync_every: int = 40,
    tau: float = 1.0,
    delta: float = 1.0,
    gamma: float = 0.98,
    learning_rate: float = 2.3e-3,
    end_epsilon: float = 0.04,
    exploration_fraction: float = 0.08,
    max_grad_norm: float = 10.0,
    network: nn.Module | None = None,
    evaluate: Callable[[nn.Module], float] | None = None,
    evaluate_every: int = 2_000,
    stop_at: float = np.inf,
) -> tuple[nn.Module, list[tuple[int, float]]]:
    """Learn values of actions with replay, a target network and Double DQN's targets.

    Args:
        env: a vector environment with discrete actions.
        answers: ``ReplayBuffer``, ``store_transition``, ``gather_q``, ``double_dqn_target`` (or
            ``dqn_target`` in its place), ``huber``, ``sync`` and ``linear_schedule``, by name.
        seed: of the network, the environments, the exploration and the samples.
        total_timesteps: steps of all environments together.
        mode: when the environments reset, see `store_transition`; "disabled" is not for this loop,
            which resets none itself.
        hidden: width of the hidden layers of a `QNetwork`, for flat observations.
        capacity: transitions in the replay buffer.
        batch_size: transitions in a gradient step.
        learning_starts: transitions before the first gradient step.
        updates_per_step: gradient steps after each step of the vector environment.
        sync_every: gradient steps between two copies of the network to its target.
        tau: how far the target follows then.
        delta: where Huber's loss becomes a straight line.
        gamma: discount per step.
        learning_rate: Adam's; it falls to 0 in a straight line.
        end_epsilon: share of random actions in the end; it starts at 1.
        exploration_fraction: share of the training in which it falls.
        max_grad_norm: the gradient is scaled down to this length.
        network: is trained in place of a `QNetwork`, on the device where it is.
        evaluate: says how good a network is; the best one is kept. None keeps the last.
        evaluate_every: environment steps between evaluations.
        stop_at: three evaluations in a row that reach it end the training.

    Returns:
        The network, and after each evaluation the environment steps taken and its result.

    Source: Mnih et al. (2015), algorithm 1; van Hasselt et al. (2016).
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    obs_space: Any = env.single_observation_space
    action_space: Any = env.single_action_space
    if network is None:
        network = QNetwork(obs_space.shape[0], int(action_space.n), hidden)
    q_network = network
    target_network = copy.deepcopy(q_network)
    optimizer = torch.optim.Adam(q_network.parameters(), lr=learning_rate, fused=True)
    buffer = answers["ReplayBuffer"](capacity, obs_space.shape)
    history: list[tuple[int, float]] = []
    best, kept = -np.inf, q_network.state_dict()
    obs, _ = env.reset(seed=seed)
    ended = np.zeros(env.num_envs, dtype=bool)
    num_updates = 0
    for step in progress(range(0, total_timesteps, env.num_envs), desc=f"DQN, seed {seed}"):
        epsilon = answers["linear_schedule"](
            step, start=1.0, end=end_epsilon, fraction=exploration_fraction, total=total_timesteps
        )
        action = epsilon_greedy(q_network, obs, epsilon, rng)
        next_obs, reward, terminated, truncated, infos = env.step(action)
        rows = answers["store_transition"](
            obs, action, reward, next_obs, terminated, truncated, infos,
            mode=mode, ended_before=ended,
        )  # fmt: skip
        for row in zip(*rows.values(), strict=True):
            buffer.add(*row)
        obs, ended = next_obs, terminated | truncated
        for _ in range(updates_per_step if len(buffer) >= learning_starts else 0):
            optimizer.param_groups[0]["lr"] = learning_rate * (1.0 - step / total_timesteps)
            batch = buffer.sample(batch_size, rng)
            loss = dqn_loss(q_network, target_network, batch, answers, gamma=gamma, delta=delta)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(q_network.parameters(), max_grad_norm)
            optimizer.step()
            num_updates += 1
            if num_updates % sync_every == 0:
                answers["sync"](q_network, target_network, tau=tau)
        if evaluate is not None and num_updates and step % evaluate_every < env.num_envs:
            history.append((step, evaluate(q_network)))
            if history[-1][1] >= best:
                best, kept = history[-1][1], copy.deepcopy(q_network.state_dict())
            if len(history) >= 3 and min(score for _, score in history[-3:]) >= stop_at:
                break
    if evaluate is not None:
        q_network.load_state_dict(kept)
    return q_network, history


def dqn_loss(
    q_network: nn.Module,
    target_network: nn.Module,
    batch: Batch,
    answers: dict[str, Callable[..., Any]],
    *,
    gamma: float,
    delta: float,
) -> Any:
    """Return the Huber loss of a batch against Double DQN's targets, or DQN's without them."""
    device = device_of(q_network)
    rows = {name: torch.as_tensor(value, device=device) for name, value in batch.items()}
    ends = rows["reward"], rows["terminated"], torch.zeros_like(rows["terminated"])
    with torch.no_grad():
        following = [target_network(rows["next_obs"])]
        if "double_dqn_target" in answers:
            following.insert(0, q_network(rows["next_obs"]))
    name = "double_dqn_target" if len(following) == 2 else "dqn_target"
    target = answers[name](*following, *ends, gamma=gamma)
    return answers["huber"](
        answers["gather_q"](q_network(rows["obs"]), rows["action"]), target, delta=delta
    )


def climb(
    answers: dict[str, Callable[..., Any]], *, seed: int = 0, gamma: float = 0.9
) -> list[float]:
    """Train on the five probes, one after the other, and return how far off each one's values are.

    The first rung that is not near 0 says where to look.

    Args:
        answers: as for `train_dqn`.
        seed: of each training.
        gamma: discount per step.

    Returns:
        For each probe the largest error of the learned values, in reward units.
    """
    same_step = gym.vector.AutoresetMode.SAME_STEP
    largest = []
    for rung in range(1, 6):
        env = gym.vector.SyncVectorEnv([partial(Probe, rung)] * 8, autoreset_mode=same_step)
        network, _ = train_dqn(
            env, answers, seed=seed, total_timesteps=480, mode="same_step", hidden=16,
            capacity=500, batch_size=64, learning_starts=64, updates_per_step=2, sync_every=10,
            gamma=gamma, learning_rate=1e-2, end_epsilon=0.5,
        )  # fmt: skip
        truth = Probe(rung).truth(gamma)
        with torch.no_grad():
            found = network(torch.tensor(list(truth)).unsqueeze(1))
        largest.append(float((found - torch.tensor(list(truth.values()))).abs().max()))
    return largest


def greedy_returns(q_network: nn.Module, *, num_episodes: int, seed: int) -> list[float]:
    """Return the sum of rewards of each of ``num_episodes`` CartPole episodes, best actions.

    Args:
        q_network: maps observations, shape ``(batch, 4)``, to values or logits, ``(batch, 2)``.
        num_episodes: they are played side by side.
        seed: of the environments.
    """
    env = gym.make_vec("CartPole-v1", num_episodes, vectorization_mode="vector_entry_point")
    return play(env, q_network, seed=seed)


@torch.no_grad()
def play(env: VectorEnv, q_network: nn.Module, *, seed: int, max_steps: int = 500) -> list[float]:
    """Return the sum of rewards of an episode in each environment, best actions.

    Args:
        env: a vector environment.
        q_network: maps its observations to values or logits of actions.
        seed: of the environments.
        max_steps: where an episode is cut off that has not ended by itself.
    """
    obs, _ = env.reset(seed=seed)
    total, playing = np.zeros(env.num_envs), np.ones(env.num_envs, dtype=bool)
    device = device_of(q_network)
    for _ in range(max_steps):
        action = q_network(torch.as_tensor(obs, device=device)).argmax(dim=1).cpu().numpy()
        obs, reward, terminated, truncated, _ = env.step(action)
        total += reward * playing
        playing &= ~(terminated | truncated)
        if not playing.any():
            break
    found: list[float] = total.tolist()
    return found


def train_cartpole(
    answers: dict[str, Callable[..., Any]], *, seed: int, total_timesteps: int = 50_000
) -> tuple[nn.Module, list[tuple[int, float]]]:
    """Train on CartPole-v1, and keep the network whose greedy episodes were the best.

    Args:
        answers: as for `train_dqn`.
        seed: of everything random.
        total_timesteps: environment steps at most; three evaluations in a row at 475 end it.

    Returns:
        The network, and the mean of 20 greedy episodes after each 2,000 steps.
    """
    env = gym.make_vec("CartPole-v1", 16, vectorization_mode="vector_entry_point")

    def evaluate(q_network: nn.Module) -> float:
        return float(np.mean(greedy_returns(q_network, num_episodes=20, seed=1_000 + seed)))

    return train_dqn(
        env, answers, seed=seed, total_timesteps=total_timesteps, mode="next_step",
        evaluate=evaluate, stop_at=475.0,
    )  # fmt: skip


def distil(
    teacher: nn.Module,
    kd_loss: Callable[..., Tensor],
    *,
    seed: int,
    hidden: int = 32,
    temperature: float = 0.1,
    num_updates: int = 2_000,
    batch_size: int = 256,
    num_envs: int = 16,
    epsilon: float = 0.2,
    learning_rate: float = 5e-3,
) -> QNetwork:
    """Teach a small network what a trained one would do on CartPole.

    The teacher plays, with some random actions, so that it shows also how to recover; the student
    sees the same observations and imitates the teacher's soft choice. Nobody tells it a reward.

    Args:
        teacher: maps observations to values of actions, which serve as logits.
        kd_loss: your function.
        seed: of the student, the environments, the exploration and the samples.
        hidden: width of the student's hidden layers.
        temperature: divides the logits of both. Values of actions differ by little, so it is small.
        num_updates: gradient steps, and steps of the vector environment before them.
        batch_size: observations in a gradient step.
        num_envs: environments that step together.
        epsilon: share of random actions.
        learning_rate: Adam's; it falls to 0 in a straight line.

    Source: Rusu et al. (2016), section 3.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    env = gym.make_vec("CartPole-v1", num_envs, vectorization_mode="vector_entry_point")
    seen = [env.reset(seed=seed)[0]]
    for _ in range(num_updates - 1):
        seen.append(env.step(epsilon_greedy(teacher, seen[-1], epsilon, rng))[0])
    obs = torch.as_tensor(np.concatenate(seen))
    with torch.no_grad():
        q_teacher = teacher(obs)
    student = QNetwork(obs.shape[1], q_teacher.shape[1], hidden)
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate, fused=True)
    for update in progress(range(num_updates), desc=f"distilling, seed {seed}"):
        optimizer.param_groups[0]["lr"] = learning_rate * (1.0 - update / num_updates)
        rows = torch.as_tensor(rng.integers(len(obs), size=batch_size))
        loss: Any = kd_loss(student(obs[rows]), q_teacher[rows], temperature=temperature)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return student
