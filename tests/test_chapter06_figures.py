"""Chapter 6: exact values against free ones, batched tasks against Gymnasium, the clip."""

from __future__ import annotations

import dataclasses
import gzip
import re
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch

from benchmarks import control, lab06_speed, recording, solving
from benchmarks.populations import Population, Settings, forward
from book.figures import ppo, speed, trust
from solutions.lab06_trpo_ppo import reference
from tests.node import BOOK, WIDGETS, run_js

sys.path.insert(0, str(BOOK / "_ext"))
from course_site import widget

CHAPTER = Path(__file__).parent.parent / "book" / "chapters" / "06_trpo_ppo.md"
PARTS = (trust, ppo, speed)


# Surrogate and bound


def test_returns_are_those_of_simulated_episodes() -> None:
    P, R, start, _ = trust.world()
    policy = trust.softmax(np.random.default_rng(1).normal(size=R.shape))
    value, visits, advantage = trust.solved(policy)
    state, discounted, seen = start, 0.0, np.zeros_like(start)
    for t in range(400):  # distributions instead of samples
        discounted += trust.GAMMA**t * float(state @ (policy * R).sum(axis=1))
        seen += trust.GAMMA**t * state
        state = np.einsum("s,sa,sax->x", state, policy, P)
    assert value == pytest.approx(discounted)
    assert visits == pytest.approx(seen)
    assert (policy * advantage).sum(axis=1) == pytest.approx(np.zeros(len(start)))


def test_the_bound_holds_and_the_surrogate_begins_as_the_truth_does() -> None:
    found = trust.along(np.linspace(0.0, 8.0, 81))
    assert (found["bound"] <= found["true"] + 1e-12).all()
    near = trust.along(np.array([1e-5]))
    assert near["surrogate"] == pytest.approx(near["true"], rel=1e-3)
    top = int(found["true"].argmax())
    assert 0 < top < 80  # the truth turns where the surrogate goes on
    assert found["surrogate"].argmax() == 80


# The trust region


def test_the_natural_gradient_is_the_steepest_within_the_region() -> None:
    found = trust.directions()
    p = trust.chance(trust.START)
    fisher = np.einsum("s,si,sj->ij", p * (1 - p), trust.FEATURES, trust.FEATURES) / len(p)
    assert found["fisher"] == pytest.approx(fisher, rel=1e-6)
    ahead, back = (trust.chance(trust.START + step * np.eye(2)) for step in (1e-5, -1e-5))
    slope = ((ahead - back) * trust.GAINS).mean(axis=1) / 2e-5
    assert found["gradient"] == pytest.approx(slope, rel=1e-6)
    assert found["natural"] == pytest.approx(np.linalg.solve(fisher, found["gradient"]), rel=1e-6)
    angles = np.linspace(0.0, 2.0 * np.pi, 721)
    steps = [trust.to_edge(np.array([np.cos(a), np.sin(a)])) for a in angles]
    best = max(float(step @ found["gradient"]) for step in steps)
    assert trust.to_edge(found["natural"]) @ found["gradient"] == pytest.approx(best, rel=1e-4)


def test_the_region_is_the_bowl_nearly() -> None:
    edge = trust.START + trust.to_edge(trust.directions()["natural"])
    assert float(trust.mean_kl(edge)) == pytest.approx(trust.MAX_KL, rel=0.1)


@pytest.mark.parametrize("kl", [0.01, 0.5])
def test_estimates_of_a_divergence_are_as_noisy_as_samples_say(kl: float) -> None:
    exact = trust.estimator_errors(kl)
    shift = (2.0 * kl) ** 0.5
    old, new = (torch.distributions.Normal(mean, 1.0) for mean in (0.0, shift))
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(200_000, generator=generator)
    means = reference.kl_estimators(old.log_prob(x), new.log_prob(x))
    for mean, (name, (bias, spread)) in zip(means, exact.items(), strict=True):
        assert float(mean) / kl == pytest.approx(bias, abs=5 * spread / len(x) ** 0.5), name
    assert exact["k1"][0] == pytest.approx(1.0) and exact["k3"][0] == pytest.approx(1.0)
    assert exact["k1"][1] == pytest.approx((2.0 / kl) ** 0.5)


# What was measured, and on what


def test_the_acrobot_is_gymnasiums() -> None:
    env = gym.make("Acrobot-v1").unwrapped
    env.reset(seed=3)
    ours = control.Acrobot(1, dtype=torch.float64)
    for action in np.random.default_rng(0).integers(3, size=150):
        state = torch.tensor(np.array(env.state, dtype=float))[None]
        obs, reward, terminated, _, _ = env.step(int(action))
        moved, our_reward, our_end = ours.dynamics(state, torch.tensor([int(action)]))
        np.testing.assert_allclose(moved[0], env.state, atol=1e-9)
        np.testing.assert_allclose(ours.observe(moved)[0], obs, atol=1e-6)
        assert (float(our_reward), bool(our_end)) == (reward, terminated)
    up = torch.tensor([[np.pi, 0.0, 0.0, 0.0]])
    assert bool(ours.dynamics(up, torch.tensor([1]))[2]), "a raised arm ends the episode"


@pytest.mark.parametrize("smooth", [control.SmoothCartPole, control.SmoothAcrobot])
def test_a_smooth_task_is_the_other_one_at_its_ends(smooth: type[control.BatchedEnv]) -> None:
    plain = smooth.__mro__[1](3, seed=1)
    ends = {2: [0, 1], 3: [0, 2]}[plain.num_actions]
    for value, action in zip((-1.0, 1.0), ends, strict=True):
        pushed = smooth(3, seed=1).dynamics(plain.state, torch.full((3, 1), 2.0 * value))[0]
        wanted = plain.dynamics(plain.state, torch.full((3,), action))[0]
        torch.testing.assert_close(pushed, wanted)


def test_agents_of_a_population_learn_as_one_agent_would() -> None:
    settings = Settings(num_envs=2, num_steps=16, num_epochs=1, batch_size=32, num_updates=1)
    settings = dataclasses.replace(settings, anneal=False)
    population = Population(control.CartPole, 3, settings)
    data, _ = population.collect()
    actors, critics = (
        [[(w[i].detach().clone(), b[i].detach().clone()) for w, b in net] for i in range(3)]
        for net in (population.actor, population.critic)
    )
    population.improve(data)
    for agent in range(3):
        nets = actors[agent] + critics[agent]
        tensors = [tensor.requires_grad_() for layer in nets for tensor in layer]
        optimizer = torch.optim.Adam(tensors, lr=settings.learning_rate, eps=1e-5)
        obs = data["obs"][agent]

        def run(net: list[tuple[torch.Tensor, torch.Tensor]], x: torch.Tensor) -> torch.Tensor:
            for weight, bias in net[:-1]:
                x = (x @ weight + bias).tanh()
            return x @ net[-1][0] + net[-1][1]

        logp = torch.log_softmax(run(actors[agent], obs), -1)
        taken = logp.gather(-1, data["action"][agent][:, None])[:, 0]
        advantage = data["advantage"][agent]
        scaled = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        loss, _ = reference.ppo_clip_loss(taken, data["logp"][agent], scaled, clip_coef=0.2)
        value = run(critics[agent], obs)[:, 0]
        loss = loss + 0.25 * ((value - data["returns"][agent]) ** 2).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(tensors, 0.5)
        optimizer.step()
        with torch.no_grad():
            want, got = run(actors[agent], obs), forward(population.actor, data["obs"])[agent]
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)


def test_every_accepted_step_of_trpo_stays_inside_its_region() -> None:
    for size, found in ppo.results("trpo")["sizes"].items():
        kl = np.array(found["kl"])
        assert kl.max() <= float(size) and found["steps taken"] == (kl > 0).sum() > kl.size / 2
        assert np.median(kl[kl > 0]) > float(size) / 4


def test_without_the_clip_the_divergence_explodes() -> None:
    found = ppo.results("reuse")["variants"]
    last = {name: rows["kl after each pass"]["50%"][-1] for name, rows in found.items()}
    assert last["no clip"] > 50 * last["clip 0.2"]
    gains = [np.array(found[name]["surrogate gain"]) for name in ("clip 0.2", "no clip")]
    assert (gains[0] < gains[1]).all()  # and the surrogate does not warn
    assert np.median(found["clip 0.2"]["after"]) > 2 * np.median(found["no clip"]["after"])


def test_the_pessimistic_objective_is_largest_where_ppo_went() -> None:
    where, kl = ppo.peak()
    assert where == pytest.approx(1.0, abs=0.3) and 0.005 < kl < 0.05
    curves = ppo.results("interpolation")["curves"]
    assert (np.array(curves["min"]["mean"]) <= np.array(curves["surrogate"]["mean"]) + 1e-9).all()


def test_the_papers_scores_are_its_table() -> None:
    paper = [row["paper"] for row in ppo.results("surrogates")["table"].values()]
    assert paper == [-0.39, 0.76, 0.82, 0.70, 0.68, 0.74, 0.71, 0.62, 0.71, 0.72, 0.69]


def test_the_prose_says_of_each_detail_what_was_measured() -> None:
    tasks = ("CartPole", "Acrobot")
    variants = list(ppo.results("details")["tasks"]["CartPole"]["variants"])
    clear = {
        (name, task): ppo.effect(task, name, "during")[0] > 0
        for name in variants
        for task in tasks
        if name != ppo.ALL and ppo.clear(task, name)
    }
    assert clear == {  # True: better without
        ("last layer of the policy with gain 1", "CartPole"): False,
        ("last layer of the policy with gain 1", "Acrobot"): False,
        ("torch's own initialisation", "Acrobot"): False,
        ("advantages: never normalised", "Acrobot"): False,
        ("value clipping", "Acrobot"): False,
        ("no annealing", "CartPole"): True,
        ("no annealing", "Acrobot"): True,
        ("none of them", "Acrobot"): False,
    }
    change, error = ppo.effect(ppo.SHORT, "a time limit counts as an end", "after")
    assert change < -2 * error


def test_the_prose_says_of_table_1_what_was_measured() -> None:
    found = ppo.results("surrogates")
    means = {name: row["mean"] for name, row in found["table"].items()}
    best = means["clipping, 0.2"]
    assert max(means.values()) == best
    error = 2 * found["table"]["clipping, 0.2"]["stderr"]
    for close in ("adaptive KL, target 0.01", "fixed KL, weight 1"):
        assert best - means[close] < error
    targets = [means[f"adaptive KL, target {target}"] for target in ("0.003", "0.01", "0.03")]
    assert targets[1] == max(targets)
    assert max(means["fixed KL, weight 3"], means["fixed KL, weight 10"]) < best - 0.15
    acrobot = found["tasks"]["acrobot, any torque"]["scores"]
    gap = np.median(acrobot["clipping, 0.2"]) - np.median(acrobot["no clipping or penalty"])
    assert 0.0 < gap < 0.05


# The interactive figure


def test_a_sample_of_the_clip_is_the_references() -> None:
    rows = [
        (float(np.exp(log_ratio)), advantage, epsilon)
        for log_ratio in np.log([0.01, 0.45, 0.79, 0.81, 0.95, 1.0, 1.07, 1.19, 1.21, 1.6, 2.0])
        for advantage in (-1.7, -1.0, 0.0, 0.4, 2.0)
        for epsilon in (0.05, 0.2, 0.5)
        if abs(abs(np.exp(log_ratio) - 1.0) - epsilon) > 1e-6
    ]
    got = run_js("ppo-clip-core.js", "data.map((row) => core.sample(...row))", rows)
    kinds = set()
    for (ratio, advantage, epsilon), found in zip(rows, got, strict=True):
        logp = torch.tensor([ratio], dtype=torch.float64).log().requires_grad_()
        loss, fraction = reference.ppo_clip_loss(
            logp, torch.zeros(1), torch.tensor([advantage], dtype=logp.dtype), clip_coef=epsilon
        )
        (gradient,) = torch.autograd.grad(loss, logp)
        assert found["value"] == pytest.approx(-loss.item(), abs=1e-9)
        assert found["push"] == pytest.approx(-gradient.item(), abs=1e-9)
        assert found["outside"] == bool(fraction)
        kinds.add((found["active"], found["outside"], found["push"] == 0.0))
    assert {("plain", True, False), ("clipped", True, True), ("both", False, False)} <= kinds


def test_the_shaded_region_has_no_gradient_and_all_else_has() -> None:
    expression = (
        "data.map(([ratio, advantage, epsilon]) => [core.flatRegion(advantage, epsilon, 2),"
        " core.sample(ratio, advantage, epsilon).slope])"
    )
    rows = [(r / 40 + 0.01, a, 0.2) for r in range(80) for a in (-1.0, 1.0)]
    for (ratio, *_), ((low, high), slope) in zip(
        rows, run_js("ppo-clip-core.js", expression, rows), strict=True
    ):
        assert (slope == 0) == (low < ratio < high)


def test_the_figure_is_small_and_says_how_tall_it_is() -> None:
    names = ("ppo-clip.js", "ppo-clip-core.js", "parts.js")
    assert sum(len(gzip.compress((WIDGETS / name).read_bytes())) for name in names) < 15_000
    wide, narrow = widget.reserved_height((WIDGETS / names[0]).read_text("utf-8"))
    assert 200 < wide < narrow


# The prose


def test_every_number_of_the_prose_exists_and_is_used() -> None:
    used = set(re.findall(r"\{glue:text\}`(\w+)`", CHAPTER.read_text(encoding="utf-8")))
    made = [key for part in PARTS for key in part.numbers()]
    assert len(made) == len(set(made))
    assert used == set(made)


def test_every_figure_is_named_once_and_has_words_for_who_cannot_see_it() -> None:
    drawn = [
        getattr(part, name)().data for part in PARTS for name in dir(part) if name[:5] == "draw_"
    ]
    names = [re.search(r'svg class="([\w-]+)"', page)[1] for page in drawn]
    assert len(names) == len(set(names)) == 8
    for page in drawn:
        assert len(re.search(r'aria-label="([^"]*)"', page)[1]) > 80


# How long it takes


def test_the_table_has_each_side_of_each_method_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def side(k: int) -> dict[str, object]:
        seconds = {"median": 10.0 * k, "low": k, "high": 20.0 * k}
        return {"seconds": seconds, "environment steps": {"median": 1_000 * k}, "solved": f"{k}"}

    names = ("DQN", "A2C", "TRPO", "PPO")
    methods = {f"{name}, theirs": side(4) for name in names}
    methods |= {f"{name}, ours": side(1) for name in names}
    monkeypatch.setattr(recording, "read", lambda name: {"methods": methods})
    speed.sides.cache_clear()
    lines = speed.table().data.splitlines()
    expected = "10.0 (1.0 to 20.0) | 40.0 (4.0 to 80.0) | 1,000 | 4,000 | 1 | 4 |"
    assert lines[2:] == [f"| {name} | {expected}" for name in names]
    assert set(speed.numbers().values()) == {"0.25"}
    speed.sides.cache_clear()


def test_the_text_counts_gradient_steps_as_the_settings_do() -> None:
    ours, zoo = lab06_speed.PPO, solving.ZOO["PPO"]
    theirs = zoo["settings"] | {"num_envs": zoo["n_envs"]}

    def updates(num_envs: int, num_steps: int, batch_size: int, num_epochs: int) -> float:
        return 1_024 / (num_envs * num_steps) * num_epochs * (num_envs * num_steps / batch_size)

    names = ("num_envs", "n_steps", "batch_size", "n_epochs")
    of_theirs = updates(*(theirs[name] for name in names))
    of_ours = updates(*(ours[n] for n in ("num_envs", "num_steps", "batch_size", "num_epochs")))
    words = (
        f"{of_theirs:.0f} gradient steps with {theirs['batch_size']} samples each,"
        f" ours for {of_ours:.0f} with {ours['batch_size']}."
    )
    assert words in CHAPTER.read_text("utf-8")
