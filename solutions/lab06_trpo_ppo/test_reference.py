"""Lab 6's answers against numbers worked by hand, limits, and oracles that share no code."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from torch import Tensor, nn

from labkit.markers import Network
from solutions.lab06_trpo_ppo import agents, reference
from solutions.lab06_trpo_ppo.reference import (
    ActorCritic,
    adaptive_beta,
    categorical_kl,
    conjugate_gradient,
    fisher_vector_product,
    kl_estimators,
    minibatches,
    ppo_clip_loss,
    ppo_value_loss,
    train_trpo,
    trpo_step,
)


def slope(ratio: float, advantage: float) -> float:
    """The loss's derivative with respect to the log-probability, at a ratio."""
    logp = torch.tensor([np.log(ratio)]).requires_grad_()
    loss, _ = ppo_clip_loss(
        logp, torch.zeros(1).double(), torch.tensor([advantage]).double(), clip_coef=0.2
    )
    (gradient,) = torch.autograd.grad(loss, logp)
    return float(gradient)


# ---- PPO --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.5, 1.0, 0.0),  # far enough
        (0.5, 1.0, -0.5),  # wrong side: raise it
        (1.5, -1.0, 1.5),  # wrong side: lower it
        (0.5, -1.0, 0.0),  # far enough
        (1.1, 2.0, -2.2),  # inside: the plain surrogate, d r / d log p = r
        (0.9, -2.0, 1.8),
    ],
)
def test_ppo_gradient_case_by_case(ratio: float, advantage: float, expected: float) -> None:
    assert slope(ratio, advantage) == pytest.approx(expected)


def test_ppo_loss_at_the_old_policy_is_the_policy_gradients() -> None:
    """All ratios are 1: loss -mean(A), nothing clipped, gradient -A / N."""
    logp = -torch.rand(9, generator=torch.Generator().manual_seed(0))
    advantage = torch.randn(9, generator=torch.Generator().manual_seed(1))
    moving = logp.clone().requires_grad_()
    loss, fraction = ppo_clip_loss(moving, logp, advantage, clip_coef=0.2)
    assert float(fraction) == 0.0
    torch.testing.assert_close(torch.autograd.grad(loss, moving)[0], -advantage / 9)
    assert loss.item() == pytest.approx(-advantage.mean().item(), rel=1e-5)


def test_value_loss_by_hand() -> None:
    """The larger of 1 and 1.8^2; 0.25 either way: 3.49 / 4. Without a clip 1.25 / 4."""
    value, old = torch.tensor([1.0, 0.1]), torch.zeros(2)
    returns = torch.tensor([2.0, 0.6])
    clipped = ppo_value_loss(value, old, returns, clip_coef=0.2)
    assert float(clipped) == pytest.approx(3.49 / 4)
    assert float(ppo_value_loss(value, old, returns, clip_coef=None)) == pytest.approx(1.25 / 4)


def test_minibatches_cover_each_pass_once_in_new_orders() -> None:
    rng = np.random.default_rng(0)
    batches = list(minibatches(23, batch_size=8, num_epochs=3, rng=rng))
    assert [len(batch) for batch in batches] == [8, 8, 7] * 3
    passes = np.concatenate(batches).reshape(3, 23)
    assert (np.sort(passes, axis=1) == np.arange(23)).all()
    assert all((one != other).any() for one, other in pairwise(passes))


# ---- divergences ------------------------------------------------------------------------------


def policies(seed: int, scale: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    p = torch.randn(8, 5, generator=generator, dtype=torch.float64)
    return p, p + scale * torch.randn(8, 5, generator=generator, dtype=torch.float64)


def test_categorical_kl_against_torch_distributions() -> None:
    p, q = policies(0, 1.0)
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=p), torch.distributions.Categorical(logits=q)
    )
    torch.testing.assert_close(categorical_kl(p, q), theirs)
    assert (categorical_kl(p, q) - categorical_kl(q, p)).abs().min() > 1e-4
    torch.testing.assert_close(categorical_kl(p, p), torch.zeros(8).double())


def test_k1_and_k3_have_the_kl_as_their_mean_and_k2_has_not() -> None:
    """By enumeration: the mean over the old policy's probabilities, no sampling."""
    p, q = policies(1, 0.8)
    logp, logq = torch.log_softmax(p[0], -1), torch.log_softmax(q[0], -1)
    exact = float(categorical_kl(p[:1], q[:1])[0])
    each = [kl_estimators(logp[a : a + 1], logq[a : a + 1]) for a in range(5)]
    k1, k2, k3 = (sum(float(logp[a].exp()) * float(each[a][i]) for a in range(5)) for i in range(3))
    assert k1 == pytest.approx(exact)
    assert k3 == pytest.approx(exact)
    assert abs(k2 - exact) > 0.01 * exact
    assert min(float(estimate[2]) for estimate in each) >= 0.0


def test_k3_is_the_quietest_of_the_unbiased() -> None:
    p, q = policies(2, 0.3)
    logp, logq = torch.log_softmax(p[0], -1), torch.log_softmax(q[0], -1)
    sampled = torch.multinomial(
        logp.exp(), 20_000, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    spread = [
        np.std([float(kl_estimators(logp[a].view(1), logq[a].view(1))[i]) for a in sampled[:2_000]])
        for i in (0, 2)
    ]
    assert spread[1] < spread[0] / 2


def test_adaptive_beta_by_hand() -> None:
    assert [adaptive_beta(3.0, kl, 0.01) for kl in (0.02, 0.01, 0.005)] == [6.0, 3.0, 1.5]


# ---- natural gradients ------------------------------------------------------------------------


def spd(size: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(size, size))
    matrix: np.ndarray = factor @ factor.T + np.eye(size)
    return matrix


def test_conjugate_gradient_solves_and_counts_its_products() -> None:
    """In exact arithmetic n products suffice; each one counts."""
    matrix, b = spd(9, 0), np.random.default_rng(1).normal(size=9)
    asked = []

    def hvp(v: Tensor) -> Tensor:
        asked.append(v)
        return torch.from_numpy(matrix) @ v

    x = conjugate_gradient(hvp, torch.from_numpy(b), num_iterations=50, tolerance=1e-18)
    np.testing.assert_allclose(x.numpy(), np.linalg.solve(matrix, b), rtol=1e-7)
    assert len(asked) <= 14


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_conjugate_gradient_is_scipys_after_every_number_of_products(count: int) -> None:
    matrix, b = spd(12, count), np.random.default_rng(count).normal(size=12)
    theirs, _ = scipy.sparse.linalg.cg(matrix, b, rtol=0.0, atol=0.0, maxiter=count)
    ours = conjugate_gradient(
        lambda v: torch.from_numpy(matrix) @ v,
        torch.from_numpy(b),
        num_iterations=count,
        tolerance=0.0,
    )
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9, atol=1e-12)


def fisher_matrix(policy: nn.Module, obs: Tensor) -> Tensor:
    """``E_s E_a [score score^T]``, score by score: the definition, not the Hessian."""
    parameters = list(policy.parameters())
    size = sum(p.numel() for p in parameters)
    total = torch.zeros(size, size, dtype=torch.float64)
    for row in obs:
        logp = torch.log_softmax(policy(row), dim=-1)
        for action in range(len(logp)):
            score = torch.autograd.grad(logp[action], parameters, retain_graph=True)
            flat = torch.cat([part.reshape(-1) for part in score])
            total += float(logp[action].detach().exp()) * torch.outer(flat, flat)
    return total / len(obs)


def test_fisher_vector_product_is_the_fisher_matrix_times_a_vector() -> None:
    policy = Network((3, 4, 3), seed=0).build()
    generator = torch.Generator().manual_seed(0)
    obs = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    matrix = fisher_matrix(policy, obs)
    for _ in range(3):
        v = torch.randn(len(matrix), generator=generator, dtype=torch.float64)
        found = fisher_vector_product(policy, obs, v, damping=0.3)
        torch.testing.assert_close(found, matrix @ v + 0.3 * v)


def trust_region() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(3)
    policy = Network((3, 8, 3), seed=3).build()
    obs = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    action = torch.randint(3, (50,), generator=generator)
    advantage = torch.randn(50, generator=generator, dtype=torch.float64)
    logp = torch.log_softmax(policy(obs), -1).gather(-1, action[:, None])[:, 0]
    parts = torch.autograd.grad((logp * advantage).mean(), list(policy.parameters()))
    gradient = torch.cat([part.reshape(-1) for part in parts])
    matrix = fisher_matrix(policy, obs) + 1e-3 * torch.eye(len(gradient)).double()
    direction = torch.linalg.solve(matrix, gradient)
    return {
        "policy": policy,
        "obs": obs,
        "action": action,
        "advantage": advantage,
        "direction": direction,
        "curvature": float(direction @ matrix @ direction),
    }


def test_a_trpo_step_stays_inside_and_improves() -> None:
    case = trust_region()
    policy, obs = case["policy"], case["obs"]
    before = policy(obs).detach()
    accepted, kl = trpo_step(**case, max_kl=0.01)
    after = policy(obs).detach()
    assert accepted
    assert kl == pytest.approx(float(categorical_kl(before, after).mean()))
    assert 0.002 < kl <= 0.01


def test_a_rejected_trpo_step_leaves_the_policy_bit_for_bit() -> None:
    case = trust_region()
    policy = case["policy"]
    before = [p.detach().clone() for p in policy.parameters()]
    downhill = case | {"direction": -case["direction"]}
    assert trpo_step(**downhill, max_kl=0.01) == (False, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))


# ---- the loops --------------------------------------------------------------------------------


def test_the_first_weights_are_orthogonal() -> None:
    torch.manual_seed(0)
    model = ActorCritic(4, 2)
    for network, last in ((model.actor, 0.01), (model.critic, 1.0)):
        weights = [part.weight.detach() for part in network if isinstance(part, nn.Linear)]
        first, final = weights[0], weights[-1]
        torch.testing.assert_close(first.T @ first, 2.0 * torch.eye(4))
        torch.testing.assert_close(final @ final.T, last**2 * torch.eye(len(final)))


def test_ppo_learns_to_balance_and_starts_with_nothing_clipped() -> None:
    model, history = reference.train_ppo(agents.answers(), seed=0)
    assert agents.greedy_mean(agents.parameters(model)) >= 200.0
    assert history["clip_fraction"][0] == 0.0
    assert history["approx_kl"][0] == pytest.approx(0.0, abs=1e-9)


def test_every_trpo_step_stays_inside() -> None:
    names = ("conjugate_gradient", "fisher_vector_product", "trpo_step", "minibatches")
    parts = {name: getattr(reference, name) for name in names}
    _, history = train_trpo(parts, seed=0, num_updates=8)
    assert max(history["kl"]) <= 0.02
    assert sum(kl > 0.0 for kl in history["kl"]) >= 6


def test_training_ends_when_it_is_told_to() -> None:
    names = ("conjugate_gradient", "fisher_vector_product", "trpo_step")
    parts = agents.answers(**{name: getattr(reference, name) for name in names})
    for train in (reference.train_ppo, train_trpo):
        heard: list[int] = []

        def enough(update: int, model: ActorCritic, heard: list[int] = heard) -> bool:
            heard.append(update)
            return update == 2

        train(parts, seed=0, num_updates=4, num_steps=16, on_update=enough)
        assert heard == [1, 2]
