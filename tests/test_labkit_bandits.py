"""Very many bandits at once are played as single ones are, and what is measured is what was."""

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import lab01_bandits, recording
from labkit.bandits import UCB, EpsilonGreedy, GradientBandit, Rule, run_bandits

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def frequencies(rule: Rule, device: str, num_arms: int, num_bandits: int) -> np.ndarray:
    generator = torch.Generator(device).manual_seed(0)
    found = torch.bincount(rule.choose(generator), minlength=num_arms)
    return found.cpu().numpy() / num_bandits


def taught(rule: Rule, pulls: list[tuple[int, float]], num_arms: int, device: str) -> Rule:
    """Return a rule that three bandits taught the same."""
    rule.reset(num_arms, 3, device)
    for action, reward in pulls:
        rule.learn(torch.full((3,), action, device=device), torch.full((3,), reward, device=device))
    return rule


@pytest.mark.parametrize("device", DEVICES)
class TestByHand:
    """Numbers worked out on paper, and frequencies within five standard errors."""

    @pytest.mark.parametrize(
        ("values", "chances"),
        [((0, 1, 9, 3), (0.1, 0.1, 0.7, 0.1)), ((2, -5, 2, 1), (0.4, 0.1, 0.4, 0.1))],
    )
    def test_epsilon_greedy_shares_ties(
        self, device: str, values: tuple[float, ...], chances: tuple[float, ...]
    ) -> None:
        n = 40_000
        rule = EpsilonGreedy(0.4)
        rule.reset(4, n, device)
        rule.values = torch.tensor(values, device=device, dtype=torch.float32)[:, None].repeat(1, n)
        error = np.sqrt(np.multiply(chances, np.subtract(1, chances)) / n)
        assert (abs(frequencies(rule, device, 4, n) - chances) < 5 * error).all()

    def test_bandits_are_told_apart(self, device: str) -> None:
        """Each has its own best arm, and its own draw."""
        rule = EpsilonGreedy()
        rule.reset(5, 5, device)
        rule.values = torch.eye(5, device=device).roll(2, 0)
        action = rule.choose(torch.Generator(device).manual_seed(0))
        assert action.tolist() == [2, 3, 4, 0, 1]
        rule.learn(action, torch.arange(10.0, 15.0, device=device))
        assert rule.values.T.tolist() == (
            torch.diag(torch.arange(10.0, 15.0)).roll(2, 0).T.tolist()
        )

    def test_averages_and_constant_steps(self, device: str) -> None:
        """Arm 1 pays 2, 4 and 9: averages 2, 3, 5; from 8 with step 0.5 it is 5, 4.5, 6.75."""
        pulls = [(1, 2.0), (0, -1.0), (1, 4.0), (1, 9.0)]
        average = taught(EpsilonGreedy(initial=8), pulls, 3, device)
        assert average.values.T.tolist() == [[-1, 5, 8]] * 3
        assert average.visits.T.tolist() == [[1, 3, 0]] * 3
        constant = taught(EpsilonGreedy(step_size=0.5, initial=8), pulls, 3, device)
        assert constant.values.T.tolist() == [[3.5, 6.75, 8]] * 3

    def test_ucb_weighs_doubt(self, device: str) -> None:
        """Three pulls of 1 against one of 0, at t = 5: arm 1 from c = 1.8652 on.

        1 + c sqrt(log 5 / 3) = c sqrt(log 5); with log 4 it would be 2.0096, with log 6 1.7675.
        """
        pulls = [(0, 1.0), (1, 0.0), (0, 1.0), (0, 1.0)]
        for c, wanted in ((1.85, 0), (1.88, 1)):
            rule = taught(UCB(c), pulls, 2, device)
            generator = torch.Generator(device).manual_seed(0)
            assert rule.choose(generator).tolist() == [wanted] * 3
        assert rule.values.T.tolist() == [[1, 0]] * 3
        assert rule.visits.T.tolist() == [[3, 1]] * 3

    def test_ucb_tries_every_arm_before_any_again(self, device: str) -> None:
        """However much the first ones pay; and whose turn it is, is drawn."""
        n = 30_000
        rule = UCB(0.0)
        rule.reset(3, n, device)
        generator = torch.Generator(device).manual_seed(0)
        first = rule.choose(generator)
        for _ in range(3):
            rule.learn(rule.choose(generator), torch.full((n,), 50.0, device=device))
        assert (rule.visits == 1).all()
        share = torch.bincount(first, minlength=3).cpu().numpy() / n
        assert (abs(share - 1 / 3) < 5 * math.sqrt(2 / 9 / n)).all()

    @pytest.mark.parametrize(
        ("baseline", "wanted"),
        [
            ("earlier", [0.0, 0.5, 0.5 + 1.5 * 0.2689414]),  # ahead by 0, -2 and 5 - 2
            ("so far", [0.0, 0.25, 0.25 + 1.0 * 0.3775407]),  # by 0, -1 and 5 - 3
            ("none", [0.75, 0.3412128, 0.3412128 + 2.5 * 0.3357202]),  # by 3, 1 and 5
        ],
    )
    def test_gradient_steps(self, device: str, baseline: Any, wanted: list[float]) -> None:
        """Arms 0, 1 and 0 pay 3, 1 and 5; with two arms the preferences are opposite."""
        for pulls, preference in enumerate(wanted, 1):
            rule = taught(
                GradientBandit(0.5, baseline), [(0, 3.0), (1, 1.0), (0, 5.0)][:pulls], 2, device
            )
            found = rule.preferences.cpu().numpy()
            np.testing.assert_allclose(found, [[preference] * 3, [-preference] * 3], atol=1e-6)

    def test_gradient_draws_from_the_softmax(self, device: str) -> None:
        """Preferences 0, log 2 and log 5, moved by 100, which must not overflow."""
        n, chances = 40_000, np.array([1, 2, 5]) / 8
        rule = GradientBandit()
        rule.reset(3, n, device)
        rule.preferences += torch.tensor([1.0, 2, 5], device=device).log()[:, None] + 100
        error = np.sqrt(chances * (1 - chances) / n)
        assert (abs(frequencies(rule, device, 3, n) - chances) < 5 * error).all()


class Loop:
    """One bandit after the other in plain Python: four arms, true values around 1."""

    NUM_ARMS, NUM_STEPS, NUM_BANDITS = 4, 40, 700

    def __init__(self, choose: Callable[..., int], learn: Callable[..., None], initial: float):
        rng = random.Random(1)
        arms = range(self.NUM_ARMS)
        self.reward, self.optimal = [], []
        for _ in range(self.NUM_BANDITS):
            q_star = [rng.gauss(1, 1) for _ in arms]
            best = q_star.index(max(q_star))
            value, rewards, actions = [initial] * len(arms), [], []
            for _ in range(self.NUM_STEPS):
                action = choose(rng, value, actions)
                reward = rng.gauss(q_star[action], 1)
                learn(value, action, reward, actions, rewards)
                actions.append(action)
                rewards.append(reward)
            self.reward.append(rewards)
            self.optimal.append([action == best for action in actions])


def first_best(rng: random.Random, scores: list[float]) -> int:
    return max(rng.sample(range(len(scores)), len(scores)), key=scores.__getitem__)


def loop_epsilon(epsilon: float) -> Callable[..., int]:
    def choose(rng: random.Random, value: list[float], actions: list[int]) -> int:
        return rng.randrange(len(value)) if rng.random() < epsilon else first_best(rng, value)

    return choose


def loop_ucb(c: float) -> Callable[..., int]:
    def choose(rng: random.Random, value: list[float], actions: list[int]) -> int:
        visits = [actions.count(arm) for arm in range(len(value))]
        time = math.log(len(actions) + 1)
        pairs = zip(value, visits, strict=True)
        return first_best(rng, [q + c * (time / n) ** 0.5 if n else math.inf for q, n in pairs])

    return choose


def loop_softmax(rng: random.Random, value: list[float], actions: list[int]) -> int:
    return rng.choices(range(len(value)), [math.exp(h) for h in value])[0]


def loop_average(
    value: list[float], action: int, reward: float, actions: list[int], rewards: list[float]
) -> None:
    earned = [r for a, r in zip(actions, rewards, strict=True) if a == action]
    value[action] = (sum(earned) + reward) / (len(earned) + 1)


def loop_constant(step_size: float) -> Callable[..., None]:
    def learn(value: list[float], action: int, reward: float, *_: object) -> None:
        value[action] = (1 - step_size) * value[action] + step_size * reward

    return learn


def loop_gradient(step_size: float) -> Callable[..., None]:
    def learn(
        value: list[float], action: int, reward: float, _: list[int], rewards: list[float]
    ) -> None:
        ahead = reward - (sum(rewards) / len(rewards) if rewards else reward)
        total = sum(math.exp(h) for h in value)
        chances = [math.exp(h) / total for h in value]
        for arm, chance in enumerate(chances):
            value[arm] += step_size * ahead * ((arm == action) - chance)

    return learn


CROWDS: dict[str, tuple[Rule, Callable[..., int], Callable[..., None], float]] = {
    "greedy": (EpsilonGreedy(), loop_epsilon(0), loop_average, 0.0),
    "epsilon-greedy": (EpsilonGreedy(0.2), loop_epsilon(0.2), loop_average, 0.0),
    "optimistic": (EpsilonGreedy(0, 0.2, 4.0), loop_epsilon(0), loop_constant(0.2), 4.0),
    "UCB": (UCB(1.5), loop_ucb(1.5), loop_average, 0.0),
    "gradient": (GradientBandit(0.4), loop_softmax, loop_gradient(0.4), 0.0),
}


@pytest.mark.parametrize("name", CROWDS)
def test_a_crowd_plays_as_a_loop_does(name: str) -> None:
    """Rewards and optimal actions, early and late, within five standard errors."""
    rule, choose, learn, initial = CROWDS[name]
    loop = Loop(choose, learn, initial)
    crowd = run_bandits(
        rule, num_bandits=20_000, num_steps=40, num_arms=4, mean=1.0, late=20, seed=3
    )
    for measured, per_bandit, played in (
        (crowd.reward, crowd.late_reward, loop.reward),
        (crowd.optimal, crowd.late_optimal, loop.optimal),
    ):
        assert measured[-20:].mean() == pytest.approx(per_bandit.mean(), rel=1e-5)
        for steps in (slice(0, 1), slice(1, 5), slice(5, 20), slice(20, 40)):
            wanted = np.mean([bandit[steps] for bandit in played], axis=1)
            # the crowd is 29 times as large: its own error is 0.19 of the loop's, or 2% of both
            error = 1.02 * wanted.std(ddof=1) / len(wanted) ** 0.5
            assert abs(measured[steps].mean() - wanted.mean()) < 5 * error, (name, steps)


class Stubborn:
    """Always pulls arm 0, and remembers what everybody earned."""

    def __init__(self) -> None:
        self.rewards: list[list[torch.Tensor]] = []

    def reset(self, num_arms: int, num_bandits: int, device: torch.device | str) -> None:
        self.action = torch.zeros(num_bandits, dtype=torch.int64, device=device)
        self.rewards.append([])

    def choose(self, generator: torch.Generator) -> torch.Tensor:
        return self.action

    def learn(self, action: torch.Tensor, reward: torch.Tensor) -> None:
        self.rewards[-1].append(reward.clone())


@pytest.mark.parametrize("chunk", [1, 64, 100, 299, 300, None])
def test_every_bandit_counts_once_whatever_the_chunks(chunk: int | None) -> None:
    """What is returned are the means, and their errors, of what a rule was shown."""
    rule = Stubborn()
    run = run_bandits(rule, num_bandits=300, num_steps=7, num_arms=3, mean=2.0, late=4, chunk=chunk)
    assert max(len(steps[0]) for steps in rule.rewards) == min(chunk or 300, 300)
    shown = torch.cat([torch.stack(steps) for steps in rule.rewards], dim=1).double().numpy()
    assert shown.shape == (7, 300)
    np.testing.assert_allclose(run.reward, shown.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(run.reward_stderr, shown.std(axis=1) / 300**0.5, rtol=1e-4)
    np.testing.assert_allclose(run.late_reward, shown[3:].mean(axis=0), atol=1e-6)
    assert set(run.late_optimal) == {0.0, 1.0}  # who sticks to an arm is always right or never
    share = run.late_optimal.mean()
    np.testing.assert_allclose(run.optimal, share)
    np.testing.assert_allclose(run.optimal_stderr, (share * (1 - share) / 300) ** 0.5)
    assert abs(share - 1 / 3) < 5 * (2 / 9 / 300) ** 0.5
    # a reward has variance 2 around the mean, half of it shared by a bandit's steps
    assert abs(shown.mean() - 2) < 5 * ((1 + 1 / 7) / 300) ** 0.5
    assert np.cov(shown)[0, 1:].mean() == pytest.approx(1, abs=5 * (2 / 300) ** 0.5)


def test_chunks_do_not_change_the_statistics() -> None:
    late = [
        run_bandits(EpsilonGreedy(0.1), num_bandits=6_000, num_steps=50, late=50, chunk=chunk)
        for chunk in (6_000, 1_700)
    ]
    for name in ("late_reward", "late_optimal"):
        one, other = (vars(run)[name] for run in late)
        error = math.hypot(one.std(), other.std()) / 6_000**0.5
        assert 0 < abs(one.mean() - other.mean()) < 5 * error


def test_a_run_repeats() -> None:
    runs = [
        run_bandits(UCB(), num_bandits=20, num_steps=12, late=3, chunk=8, seed=seed).late_reward
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).all()
    chunks = runs[0][:8], runs[0][8:16]
    assert not np.isin(*chunks).any()  # each chunk has bandits of its own


def test_the_bar_says_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    run_bandits(UCB(), num_bandits=20, num_steps=10, late=1, chunk=8)
    assert capsys.readouterr().err == ""
    run_bandits(UCB(), num_bandits=20, num_steps=10, late=1, chunk=8, desc="much doubt")
    shown = capsys.readouterr().err.split("\r")[-1]
    assert shown.startswith("much doubt: 100%")
    assert "200/200" in shown  # pulls


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: EpsilonGreedy(1.5), "epsilon is a probability, not 1.5"),
        (lambda: EpsilonGreedy(math.nan), "epsilon is a probability, not nan"),
        (lambda: EpsilonGreedy(0.1, 0), r"the step size must lie in \(0, 1\], but is 0"),
        (lambda: EpsilonGreedy(0.1, 2), r"the step size must lie in \(0, 1\], but is 2"),
        (lambda: UCB(-1), "c must not be negative, but is -1"),
        (lambda: GradientBandit(0), "the step size must be positive, but is 0"),
        (lambda: GradientBandit(1, "mean"), 'a baseline is "earlier", "so far" or "none", not'),
        (lambda: run_bandits(UCB(), num_bandits=0), "num_bandits must be at least 1, but is 0"),
        (
            lambda: run_bandits(UCB(), num_bandits=1, num_steps=0),
            "num_steps must be at least 1, but is 0",
        ),
        (
            lambda: run_bandits(UCB(), num_bandits=1, chunk=0),
            "chunk must be at least 1, but is 0",
        ),
        (
            lambda: run_bandits(UCB(), num_bandits=1, num_steps=50),
            "the last 100 of 50 steps cannot be averaged",
        ),
    ],
)
def test_bad_input_gets_a_sentence(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


class TestMeasured:
    """The committed numbers, and the benchmark that made them."""

    def test_the_best_arm_of_ten(self) -> None:
        """Tables of normal order statistics say 1.53875; a million draws agree."""
        limits = lab01_bandits.exact()
        best = limits["mean of the largest true value"]
        assert best == pytest.approx(1.53875, abs=5e-6)
        draws = np.random.default_rng(0).normal(size=(100_000, 10)).max(axis=1)
        assert abs(draws.mean() - best) < 5 * draws.std() / len(draws) ** 0.5
        assert limits["most reward at epsilon 0.1"] == pytest.approx(0.9 * best)
        assert limits["most optimal actions at epsilon 0.1"] == pytest.approx(0.91)

    def test_torch_and_numpy_agree(self) -> None:
        """A crowd on the device, and runs of 2,000 in numpy: within five standard errors."""
        result = recording.read("lab01_bandits_cpu")
        pairs = zip(result["figure 2.2"], result["numpy runs"], strict=True)
        for crowd, runs in pairs:
            assert crowd["rule"] == f"epsilon {runs['epsilon']:g}"
            for what in ("late reward", "late optimal"):
                error = math.hypot(crowd[what]["stderr"], runs[what]["stderr"])
                assert abs(crowd[what]["mean"] - runs[what]["mean"]) < 5 * error

    def test_a_numpy_run_agrees_with_a_crowd(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lab01_bandits, "NUM_STEPS", 150)
        reward, optimal = lab01_bandits.numpy_run(0.1, seed=5)
        crowd = run_bandits(EpsilonGreedy(0.1), num_bandits=10_000, num_steps=150)
        for got, wanted in ((reward, crowd.late_reward), (optimal, crowd.late_optimal)):
            error = wanted.std() * (1 / 2_000 + 1 / 10_000) ** 0.5
            assert abs(got - wanted.mean()) < 5 * error
