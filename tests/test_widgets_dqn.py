"""Chapter 4's interactive figure computes what Gymnasium, torch and lab 4's reference compute."""

from __future__ import annotations

import copy
import gzip
import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from solutions.lab04_dqn import agents, reference
from tests.node import BOOK, WIDGETS, run_js

sys.path.insert(0, str(BOOK / "_ext"))
from course_site import widget

CORE = "replay-target-core.js"
GAMMA, DELTA = 0.9, 0.3
Batch = dict[str, NDArray[Any]]


def random_batch(rng: np.random.Generator, size: int = 16) -> Batch:
    return {
        "obs": rng.normal(size=(size, 4)),
        "action": rng.integers(2, size=size),
        "reward": rng.normal(size=size),
        "next_obs": rng.normal(size=(size, 4)),
        "terminated": rng.random(size) < 0.4,
    }


def rows(batch: Batch) -> list[dict[str, Any]]:
    """Return the batch as the figure keeps it."""
    names = {"next_obs": "nextObs"}
    columns = {names.get(name, name): value.tolist() for name, value in batch.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def weights(network: torch.nn.Module) -> list[list[float]]:
    """Return the layers as the figure keeps them: a row for each output, then the biases."""
    flat = [value.detach().flatten().tolist() for value in network.parameters()]
    return [flat[i] + flat[i + 1] for i in range(0, len(flat), 2)]


def networks(seed: int) -> tuple[reference.QNetwork, reference.QNetwork]:
    torch.manual_seed(seed)
    return reference.QNetwork(4, 2, 6).double(), reference.QNetwork(4, 2, 6).double()


def loss(online: torch.nn.Module, target: torch.nn.Module, batch: Batch) -> Any:
    answers = agents.answers(dqn_target=reference.dqn_target)
    del answers["double_dqn_target"]
    return reference.dqn_loss(online, target, batch, answers, gamma=GAMMA, delta=DELTA)


def test_the_pole_falls_as_gymnasiums() -> None:
    env = gym.make("CartPole-v1").unwrapped
    rng = np.random.default_rng(0)
    cases = [(rng.uniform(-1, 1, 4) * [3, 3, 0.25, 3], int(rng.integers(2))) for _ in range(60)]
    data = [(state.tolist(), action) for state, action in cases]
    got = run_js(CORE, "data.map(([state, action]) => core.step(state, action))", data)
    ends = set()
    for (state, action), step in zip(cases, got, strict=True):
        env.reset(seed=0)
        env.state = tuple(state)  # type: ignore[attr-defined]
        env.steps_beyond_terminated = None  # type: ignore[attr-defined]
        _, _, terminated, _, _ = env.step(action)
        np.testing.assert_allclose(step["state"], env.state, rtol=1e-12)  # type: ignore[attr-defined]
        assert step["terminated"] == terminated
        ends.add(terminated)
    assert ends == {False, True}


def test_a_target_is_the_references() -> None:
    batch = random_batch(np.random.default_rng(1), 50)
    next_q = np.random.default_rng(2).normal(size=(50, 2))
    data = [
        (q.tolist(), float(reward), bool(terminated))
        for q, reward, terminated in zip(next_q, batch["reward"], batch["terminated"], strict=True)
    ]
    got = run_js(CORE, "data.map(([q, r, end]) => core.dqnTarget(q, r, end, 0.9))", data)
    ends = torch.as_tensor(batch["terminated"])
    expected = reference.dqn_target(
        torch.as_tensor(next_q), torch.as_tensor(batch["reward"]), ends, ~ends, gamma=GAMMA
    )
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("delta", [0.5, 1.0, 10.0])
def test_the_loss_and_its_slope_are_the_references(delta: float) -> None:
    error = torch.linspace(-3, 3, 41, dtype=torch.float64, requires_grad=True)
    each = torch.stack([reference.huber(e[None], torch.zeros(1), delta=delta) for e in error])
    (slope,) = torch.autograd.grad(each.sum(), error)
    expression = (
        "data.errors.map((e) => [core.huber(e, data.delta), core.huberSlope(e, data.delta)])"
    )
    got = run_js(CORE, expression, {"errors": error.tolist(), "delta": delta})
    np.testing.assert_allclose(got, torch.stack([each, slope], dim=1).detach(), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_a_gradient_is_autograds_of_the_references_loss(seed: int) -> None:
    online, target = networks(seed)
    batch = random_batch(np.random.default_rng(seed))
    expression = (
        "(() => { const { slopes, off } = core.gradient("
        "...['online', 'target'].map((name) => data[name].map((w) => Float64Array.from(w))),"
        " data.batch, { gamma: 0.9, delta: 0.3 });"
        " return { slopes: slopes.map((w) => Array.from(w)), off }; })()"
    )
    data = {"online": weights(online), "target": weights(target), "batch": rows(batch)}
    got = run_js(CORE, expression, data)
    loss(online, target, batch).backward()
    flat = [parameter.grad.flatten().tolist() for parameter in online.parameters()]  # type: ignore[union-attr]
    for i, slopes in enumerate(got["slopes"]):
        np.testing.assert_allclose(slopes, flat[2 * i] + flat[2 * i + 1], atol=1e-12)


@pytest.mark.parametrize("sync_every", [1, 7])
def test_twenty_updates_and_copies_end_where_torchs_end(sync_every: int) -> None:
    online, _ = networks(0)
    target = copy.deepcopy(online)
    rng = np.random.default_rng(0)
    batches = [random_batch(rng) for _ in range(20)]
    expression = (
        "(() => { const net = data.online.map((w) => Float64Array.from(w));"
        " const lagged = net.map((w) => w.slice()), adam = new core.Adam(net, 0.01);"
        " data.batches.forEach((batch, i) => {"
        " adam.move(net, core.gradient(net, lagged, batch, { gamma: 0.9, delta: 0.3 }).slopes);"
        " if ((i + 1) % data.every === 0) core.sync(net, lagged); });"
        " return net.map((w) => Array.from(w)); })()"
    )
    data = {"online": weights(online), "batches": [rows(b) for b in batches], "every": sync_every}
    got = run_js(CORE, expression, data)
    optimizer = torch.optim.Adam(online.parameters(), lr=0.01)
    for i, batch in enumerate(batches, start=1):
        optimizer.zero_grad()
        loss(online, target, batch).backward()
        optimizer.step()
        if i % sync_every == 0:
            reference.sync(online, target)
    for found, expected in zip(got, weights(online), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_an_agent_without_replay_learns_from_its_latest_steps_alone() -> None:
    expression = (
        "[true, false].map((replay) => { const agent = new core.Agent({ replay, target: true,"
        " batchSize: 8, syncEvery: 50, seed: 1, steps: 600 });"
        " for (let i = 0; i < 520; i++) agent.step(); return agent.memory.length; })"
    )
    assert run_js(CORE, expression, None) == [520, 8]


def test_without_a_target_network_a_capped_loss_lets_values_leave_the_world() -> None:
    """The pole falls the same way each time, and every state's target is above its own value.

    With a target network this can't be: each copy adds a reward at most, and here are seven.
    """
    expression = (
        "[[true, 1], [false, 1e9], [false, 1]].map(([target, delta]) => {"
        " const agent = new core.Agent({ replay: true, target, delta, batchSize: 16,"
        " syncEvery: 200, seed: 1, steps: 1600 });"
        " for (let i = 0; i < 1600; i++) agent.step();"
        " const episode = []; let state = agent.start(), ended = false;"
        " while (!ended && episode.length < 50) {"
        " const q = Array.from(core.values(agent.net, state)); episode.push(q);"
        " ({ state, terminated: ended } = core.step(state, Number(q[1] > q[0]))); }"
        " return [agent.believed(), episode]; })"
    )
    (lagged, _), (squared, _), (alone, episode) = run_js(CORE, expression, None)
    assert 1 < lagged < 100
    assert 1 < squared < 100
    assert alone > 500
    values = np.array(episode)
    assert len(set(values.argmax(axis=1))) == 1
    assert (1 + 0.99 * values.max(axis=1)[1:] > values.max(axis=1)[:-1]).all()


def test_the_figure_is_small_and_says_how_tall_it_is() -> None:
    paths = [WIDGETS / name for name in ("replay-target.js", CORE, "parts.js")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in paths) < 15_000
    wide, narrow = widget.reserved_height(paths[0].read_text("utf-8"))
    assert 200 < wide < narrow
