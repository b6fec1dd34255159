"""Time until CartPole is solved: the referee's rules, and that both sides play by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from benchmarks import lab05_speed, lab06_speed, recording, solving


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evaluations of two episodes, every 64 steps."""
    monkeypatch.setattr(solving, "EPISODES", 2)
    monkeypatch.setattr(solving, "EVERY", 64)


def balance(obs: np.ndarray) -> np.ndarray:
    """Push against the fall: never falls in 500 steps."""
    return (obs @ np.array([0.1, 0.5, 3.0, 1.0]) > 0).astype(np.int64)


def right(obs: np.ndarray) -> np.ndarray:
    return np.ones(len(obs), dtype=np.int64)


def test_returns_of_a_policy_that_balances_and_of_one_that_falls() -> None:
    assert solving.mean_return(balance, 0) == 500.0
    assert 8.0 <= solving.mean_return(right, 0) <= 11.0


def test_solved_is_three_evaluations_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """475 counts, 474.9 does not; updates that end between two multiples are passed over."""
    results = iter([475.0, 500.0, 474.9, 475.0, 475.0, 500.0])
    seeds = []

    def mean(_: Any, seed: int) -> float:
        seeds.append(seed)
        return next(results)

    monkeypatch.setattr(solving, "mean_return", mean)
    referee = solving.Referee()
    heard = {
        steps: referee.look(steps, right) for steps in range(1_000, 14_001, 1_000)
    }  # one evaluation at 3,000, 5,000, 7,000, 9,000, 11,000 and 13,000
    assert [steps for steps, solved in heard.items() if solved] == [13_000, 14_000]
    assert referee.steps == 13_000
    assert seeds == [solving.FIRST_SEED + k for k in range(6)]


def test_the_clock_stops_when_it_is_solved(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(solving.time, "perf_counter", lambda: 10 * next(ticks))
    monkeypatch.setattr(solving, "mean_return", lambda *_: 500.0)
    referee = solving.Referee()  # the first tick
    for steps in (2_048, 4_096, 6_144):  # the second
        referee.look(steps, right)
    next(ticks)
    assert float(referee.record()["seconds"]) == 10.0
    assert float(solving.Referee().record()["seconds"]) == 10.0  # not solved: until asked


@pytest.mark.parametrize("method", solving.ZOO)
def test_theirs_is_evaluated_as_it_would_act(
    method: str, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the referee plays is the model's own deterministic prediction; it looks on time."""
    looked: list[tuple[int, bool]] = []
    obs = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    models: list[BaseAlgorithm] = []
    original = BaseAlgorithm._setup_learn

    def remember(self: BaseAlgorithm, *args: Any, **kwargs: Any) -> Any:
        models.append(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(BaseAlgorithm, "_setup_learn", remember)

    class Watched(solving.Referee):
        def evaluate(self, steps: int, act: solving.Act) -> bool:
            theirs, _ = models[0].predict(obs, deterministic=True)
            looked.append((steps, bool((act(obs) == theirs).all())))
            return super().evaluate(steps, act)

    budget = {"TRPO": 1_024, "DQN": 257}.get(method, 256)
    solving.theirs(method, 0, Watched(), budget=budget)
    assert looked and all(same for _, same in looked)
    assert looked[0][0] == {"A2C": 80, "DQN": 256, "PPO": 256, "TRPO": 1_024}[method]
    published = solving.ZOO[method]["settings"]
    for name in published.keys() - {"learning_rate", "clip_range", "train_freq"}:
        assert getattr(models[0], name) == published[name]


def test_what_can_not_be_evaluated_is_named() -> None:
    with pytest.raises(TypeError, match="Sigmoid"):
        solving.greedy(torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Sigmoid()))(
            np.zeros((1, 4), dtype=np.float32)
        )


def test_a_schedule_falls_to_nothing() -> None:
    assert solving.lin(0.2)(1.0) == 0.2
    assert solving.lin(0.2)(0.25) == pytest.approx(0.05)
    assert solving.lin(0.2)(0.0) == 0.0


@pytest.mark.parametrize(
    "train", [lab05_speed.a2c, lab06_speed.ppo, lab06_speed.trpo], ids=["a2c", "ppo", "trpo"]
)
def test_ours_is_stopped_by_the_referee(
    train: solving.Train, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solving, "THRESHOLD", 0.0)
    referee = solving.Referee()
    train(0, referee)
    record = referee.record()
    size = 256 if train is lab05_speed.a2c else 1_024
    assert (bool(record["solved"]), int(record["steps"])) == (True, 3 * size)
    assert len(record["means"]) == 3


def test_results_have_both_sides_and_are_not_measured_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two seeds; one of ours fails. Medians, counts and ratios by hand."""
    monkeypatch.setattr(recording, "PARTS", tmp_path / "parts")
    monkeypatch.setattr(recording, "RESULTS", tmp_path)
    trained = []

    class Told(solving.Referee):
        def told(self, solved: bool, seconds: float) -> None:
            self.solved, self.steps = solved, 4_096
            self._began = (0.0, 0.0)
            self._ended = (seconds, seconds / 2)

    def train(seed: int, referee: Any) -> None:
        trained.append(("ours", seed, torch.get_num_threads()))
        referee.told(seed == 100, seed - 98.0)

    def theirs(method: str, seed: int, referee: Any, *, budget: int | None = None) -> None:
        if budget is None:
            trained.append((method, seed, torch.get_num_threads()))
            referee.told(True, 10.0)

    monkeypatch.setattr(solving, "Referee", Told)
    monkeypatch.setattr(solving, "theirs", theirs)
    for _ in range(2):
        solving.compare("speed", {"PPO": train}, {"note": "tiny"}, ["--seeds", "2"])
    assert trained == [("ours", 100, 1), ("PPO", 100, 1), ("ours", 101, 1), ("PPO", 101, 1)]
    found = recording.read("speed")
    ours, others = found["methods"].values()
    assert (ours["solved"], others["solved"]) == ("1 of 2", "2 of 2")
    assert ours["seconds"] == {"median": 2.5, "low": 2.0, "high": 3.0}
    assert ours["CPU seconds per success"] == 2.5
    assert found["PPO: seconds, ours over theirs"] == 0.25
    assert found["settings"]["note"] == "tiny"
