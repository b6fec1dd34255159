"""What `make gpu` runs for labs 4 and 6, at a tiny size on a processor; MinAtar's ablation."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import (
    lab04_breakout,
    lab04_minatar,
    lab06_batched,
    lab06_pong,
    on_device,
    recording,
    showcase,
)
from labkit.artifacts import load_artifact
from labkit.torch_envs import CartPole


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(recording, "PARTS", tmp_path / "parts")
    monkeypatch.setattr(recording, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("LABKIT_DEVICE", "cpu")
    return tmp_path / "results"


def test_ppo_on_a_device_learns_to_balance() -> None:
    """Random play falls after some 22 steps."""
    world, policy = CartPole(32, seed=0), lab06_batched.policy_for("cpu")
    on_device.train(world, policy, on_device.Settings(8, 32, learning_rate=3e-3), seed=0)
    generator = torch.Generator().manual_seed(0)
    rollout, _ = on_device.collect(world, policy, world.reset(), 100, generator)
    ends = rollout["terminated"] | rollout["truncated"]
    assert ends.numel() > 60 * int(ends.sum())


class Counting:
    """Observations count steps; each episode is cut off after three, or terminates."""

    num_envs = 2

    def reset(self) -> Tensor:
        self.at = torch.zeros(2)
        return self.at[:, None]

    def step(self, action: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        final_obs = self.at + 1
        ended = final_obs == 3
        self.at = torch.where(ended, 0.0, final_obs)
        first = torch.tensor([True, False])
        reward = torch.tensor([1.0, 2.0])
        return self.at[:, None], reward, ended & first, ended & ~first, final_obs[:, None]


def test_what_follows_a_time_limit_counts_and_what_follows_an_end_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """V(obs) = 10 obs: after the third step V is 30 where time ran out, else 0; never V(0)."""
    critic = nn.Linear(1, 1, bias=False)
    nn.init.constant_(critic.weight, 10.0)
    policy = on_device.Policy(nn.Linear(1, 2), critic)
    world = Counting()
    generator = torch.Generator().manual_seed(0)
    rollout, obs = on_device.collect(world, policy, world.reset(), 4, generator)
    assert rollout["obs"].squeeze(-1).tolist() == [[0, 0], [1, 1], [2, 2], [0, 0]]
    assert obs.squeeze(-1).tolist() == [1, 1]
    found = []
    monkeypatch.setattr(on_device.lab05, "normalise", lambda a: found.append(a) or a)
    settings = on_device.Settings(1, 4, num_epochs=1, num_minibatches=1, gamma=0.5, gae_lambda=0.0)
    monkeypatch.setattr(torch, "randperm", lambda n, **_: torch.arange(n))
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.0)
    on_device.learn(policy, optimizer, rollout, settings, generator)
    delta = found[0].view(4, 2)
    assert delta[:, 0].tolist() == [1 + 5 - 0, 1 + 10 - 10, 1 - 20, 1 + 5 - 0]
    assert delta[:, 1].tolist() == [2 + 5 - 0, 2 + 10 - 10, 2 + 15 - 20, 2 + 5 - 0]


def test_games_of_pong_are_counted_and_cut_at_their_ends() -> None:
    """Nobody moves, so the opponent makes 21 points; frames that were handed out stay as they are.

    Stepped by four frames that takes some 760 steps; the games are given a minute of frames.
    """
    games = on_device.AtariGames("pong", 2, seed=0, device="cpu")
    obs = games.reset()
    assert (obs.shape, obs.dtype, games.num_actions) == ((2, 4, 84, 84), torch.uint8, 6)
    first = obs.clone()
    still = torch.zeros(2, dtype=torch.int64)
    for step in range(1_200):
        before = obs
        obs, reward, terminated, truncated, final_obs = games.step(still)
        if step == 0:
            assert torch.equal(before, first)
        changed = (obs != final_obs).flatten(1).any(dim=1)
        assert torch.equal(changed, terminated | truncated)
        if games.scores:
            break
    assert games.scores[0] == -21.0
    assert terminated.any()
    assert reward[terminated].tolist()[0] == -1.0


def test_pong_trains_and_writes_its_curve(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = dataclasses.replace(lab06_pong.SETTINGS, num_steps=3, num_epochs=1, num_minibatches=2)
    monkeypatch.setattr(lab06_pong, "SETTINGS", small)
    lab06_pong.main([])
    assert not results.exists()
    lab06_pong.main(["--updates", "2", "--games", "2"])
    found = recording.read("lab06_pong_cpu")
    assert (found["reached"], found["environment steps"]) == (False, 12)
    assert found["curve"]["score"] == [None]


def test_reaching_the_goal_ends_pong(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last hundred games count, once there are a hundred."""
    scores = [[18.0] * 50, [-21.0] * 30 + [18.0] * 99, [-21.0] + [18.0] * 100, []]

    class Fake:
        num_actions = 6

        def __init__(self, *_: object, **__: object) -> None:
            self.scores: list[float] = []

    def train(games: Fake, *_: object, each, **__: object) -> None:
        for update, now in enumerate(scores, start=1):
            games.scores = now
            if each(update):
                return

    monkeypatch.setattr(on_device, "AtariGames", Fake)
    monkeypatch.setattr(on_device, "train", train)
    curve = lab06_pong.trained(lab06_pong.SETTINGS, 2, "cpu")["curve"]
    assert curve[:, 0].tolist() == [3 * 64 * 2]
    assert curve[0, 2] == 18.0


def test_minatar_trains_and_writes_its_curve(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = functools.partial(
        lab04_minatar.Settings, num_envs=4, learning_starts=40, frames_per_update=4, batch_size=8
    )
    monkeypatch.setattr(lab04_minatar, "Settings", small)
    lab04_minatar.main([])
    assert not results.exists()
    lab04_minatar.main(["--frames", "160", "--seeds", "1"])
    found = recording.read("lab04_minatar_cpu")
    (row,) = found["seeds"]
    assert row["gradient steps"] == 40 - 9  # the tenth step of four fills forty rows
    assert row["episodes"] > 4
    assert len(found["curve"]) == 100


def test_the_replay_wraps_around() -> None:
    replay = lab04_minatar.Replay(5, (2,), "cpu")

    def rows(*numbers: int) -> dict[str, np.ndarray]:
        at = np.array(numbers)
        obs = np.stack((at % 2 == 0, at > 2), axis=1)
        return {"obs": obs, "action": at, "reward": 1.0 * at, "next_obs": obs, "terminated": at > 3}

    replay.add(rows(1, 2, 3))
    assert set(replay.sample(200, torch.Generator())["action"].tolist()) == {1, 2, 3}
    replay.add(rows(4, 5, 6, 7))
    assert replay.columns["action"].tolist() == [6, 7, 3, 4, 5]
    assert replay.columns["obs"].tolist()[:3] == [[True, True], [False, True], [False, True]]
    assert set(replay.sample(4, torch.Generator())["action"].tolist()) < {3, 4, 5, 6, 7}
    assert replay.sample(5, torch.Generator())["action"].tolist() == [6, 7, 3, 4, 5]


def test_minatar_learns_the_value_of_a_sure_reward() -> None:
    """One transition that terminates with reward 2: its value goes to 2, others' stay free."""
    torch.manual_seed(0)
    online, target = lab04_minatar.network(4, 3), lab04_minatar.network(4, 3)
    obs = torch.rand(8, 10, 10, 4) < 0.3
    batch = {
        "obs": obs,
        "action": torch.full((8,), 1),
        "reward": torch.full((8,), 2.0),
        "next_obs": obs,
        "terminated": torch.ones(8, dtype=torch.bool),
    }
    optimizer = torch.optim.Adam(online.parameters(), lr=1e-2)
    for _ in range(60):
        lab04_minatar.update(online, target, optimizer, batch, lab04_minatar.Settings())
    with torch.no_grad():
        assert (online(obs)[:, 1] - 2.0).abs().max() < 0.3


@pytest.mark.parametrize("name", lab04_breakout.SETTINGS)
def test_what_is_taken_from_an_agent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without replay a batch is the last 32 steps; without a target network the copy is fresh."""
    rows: list[Tensor] = []
    fresh: list[bool] = []
    add = lab04_minatar.Replay.add

    def noted(replay: lab04_minatar.Replay, row: dict[str, np.ndarray]) -> None:
        rows.append(torch.from_numpy(row["obs"]))
        add(replay, row)

    def looked_at(online, target, optimizer, batch, settings) -> None:
        pairs = zip(online.parameters(), target.parameters(), strict=True)
        fresh.append(all(torch.equal(*pair) for pair in pairs))
        recent = torch.cat(rows[-32:]).flatten(1).int()
        seen = batch["obs"].flatten(1).int()
        in_a_row.append(bool((recent.sum(0) == seen.sum(0)).all()))
        update(online, target, optimizer, batch, settings)

    in_a_row: list[bool] = []
    update = lab04_minatar.update
    monkeypatch.setattr(lab04_minatar.Replay, "add", noted)
    monkeypatch.setattr(lab04_minatar, "update", looked_at)
    setting = dataclasses.replace(lab04_breakout.SETTINGS[name], frames=600, learning_starts=500)
    found = lab04_minatar.trained(setting, 0, "cpu", progress=False)
    assert len(fresh) == found["updates"] == 26
    assert fresh == [True] + [name in ("replay only", "neither")] * 25
    assert in_a_row == [name in ("target only", "neither")] * 26


def test_the_end_of_each_run_counts(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes are sorted into parts of the training by the frame in which they ended."""
    monkeypatch.setattr(lab04_breakout, "BASE", lab04_minatar.Settings(frames=1_000))
    run = {
        "returns": np.array([1.0, 3.0, 8.0, 10.0]),
        "ends": np.array([0, 5, 900, 999]),
        "believed": np.array([0.5, 2.0]),
        "collected": np.array([0.5, 1.0]),
    }
    found = lab04_breakout.summary([run, run | {"returns": np.array([1.0, 3.0, 6.0, 4.0])}])
    assert found["late"]["mean"] == 7.0
    assert found["late, each run"].tolist() == [9.0, 5.0]
    assert found["curves"][:, [0, 90, 99]].tolist() == [[2.0, 8.0, 10.0], [2.0, 6.0, 4.0]]
    assert np.isnan(found["curves"]).sum() == 2 * 97


def test_speed_against_the_number_of_environments(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab06_batched, "NUM_UPDATES", 2)
    monkeypatch.setattr(lab06_batched, "NUM_STEPS", 8)
    lab06_batched.main(["--most", "4"])
    rows = recording.read("lab06_batched_cpu")["speed"]
    assert [row["environments"] for row in rows] == [1, 4]
    for row in rows:
        assert min(row.values()) > 0


def test_landers_report_their_last_observation() -> None:
    """In the step that ends an episode the next one starts; what is seen of both is kept apart."""
    world = showcase.Vectorized("LunarLander-v3", 2, seed=0)
    single = gym.make("LunarLander-v3")
    seen, _ = single.reset(seed=0)
    obs = world.reset()
    assert obs[0].tolist() == seen.tolist()
    ended = torch.zeros(2, dtype=torch.bool)
    while not ended[0]:
        obs, reward, terminated, truncated, final_obs = world.step(torch.zeros(2, dtype=int))
        ended = terminated | truncated
        seen, wanted, *_ = single.step(0)
        assert final_obs[0].tolist() == seen.tolist()
        assert float(reward[0]) == pytest.approx(wanted)
        assert torch.equal((obs != final_obs).any(dim=1), ended)


def test_a_landing_is_told_as_it_was_flown() -> None:
    """A network that never fires: the lander falls onto ground that it doesn't go through."""
    still = nn.Linear(8, 4)
    nn.init.zeros_(still.weight)
    still.bias.data = torch.tensor([1.0, 0.0, 0.0, 0.0])
    told = showcase.landing(still, seed=3, others=2)
    assert len(told["returns"]) == 2
    assert {engine for *_, engine in told["path"]} == {0}
    assert len(told["path"]) == 1 + -(-told["steps"] // showcase.FRAME)
    heights = [y for _, y, _, _ in told["path"]]
    assert heights[0] > 1.0 > heights[-1]
    xs, ys = zip(*told["ground"], strict=True)
    assert (xs[0], xs[-1]) == (-1.0, 1.0)
    pad = [y for x, y in told["ground"] if abs(x) <= 0.2]
    assert pad and max(pad) == min(pad) < 0.0
    x, y, _, _ = told["path"][-1]
    assert y > np.interp(x, xs, ys)


def test_showcase_trains_what_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(showcase, "FOLDER", tmp_path)
    monkeypatch.setitem(showcase.lab06_speed.PPO, "num_updates", 1)
    showcase.main(["cartpole_ppo"])
    (path,) = tmp_path.iterdir()
    assert load_artifact(path)["0.weight"].shape == (64, 4)
    with pytest.raises(SystemExit):
        showcase.main(["cartpole_ppx"])


def test_scores_are_of_one_game_each() -> None:
    """Rewards 1, 1 and the end; then 1 and the end: 2 and 1, not 2 and 3."""

    class Scripted:
        ends = iter([False, True, True])

        def step(self, action: np.ndarray) -> tuple:
            obs, no = np.zeros((1, 4, 84, 84), np.uint8), np.zeros(1, dtype=bool)
            ended = np.array([next(self.ends)])
            return obs, np.ones(1), ended, no, {"final_obs": obs}

    games = on_device.AtariGames("pong", 1, seed=0, device="cpu")
    games.games = Scripted()
    for _ in range(3):
        games.step(torch.zeros(1, dtype=torch.int64))
    assert games.scores == [2.0, 1.0]
