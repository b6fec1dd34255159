"""Lab 6, cases: what each exercise is tried on.

Ratios lie on both sides of the clip range with advantages of both signs, values move further than
their clip allows, and networks are small enough that a Fisher matrix could be written down.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from autograder.spec import Case, LinearMap, Network, seed

Rng = np.random.Generator
Cases = Iterator[Case]


def tensor(values: object) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


# ---- 1. the clipped surrogate -----------------------------------------------------------------


def surrogate(rng: Rng, ratio: list[float], advantage: list[float]) -> Case:
    logp_old = tensor(-rng.uniform(0.5, 2.0, size=len(ratio)))
    return {
        "logp": logp_old + torch.log(tensor(ratio)),
        "logp_old": logp_old,
        "advantage": tensor(advantage),
        "clip_coef": 0.2,
    }


def clip_by_hand(rng: Rng) -> Cases:
    """min(1.5, 1.2) = 1.2 and min(-0.5, -0.8) = -0.8: the loss is -0.2, and both are clipped."""
    yield surrogate(rng, [1.5, 0.5], [1.0, -1.0])


def near_one(rng: Rng) -> Cases:
    """Nothing to clip: the plain surrogate and its gradient."""
    ratio = 1.0 + rng.uniform(-0.15, 0.15, size=6)
    yield surrogate(rng, list(ratio), list(rng.normal(size=6)))


def good_side(rng: Rng) -> Cases:
    """Already moved the way that the advantage wants: the gradient is 0."""
    up, down = 1.0 + rng.uniform(0.3, 0.9, size=3), 1.0 - rng.uniform(0.3, 0.7, size=3)
    advantage = rng.uniform(0.5, 2.0, size=6) * np.repeat([1.0, -1.0], 3)
    yield surrogate(rng, [*up, *down], list(advantage))


def bad_side(rng: Rng) -> Cases:
    """Moved against what the advantage wants: the gradient must bring it back."""
    down, up = 1.0 - rng.uniform(0.3, 0.7, size=3), 1.0 + rng.uniform(0.3, 0.9, size=3)
    advantage = rng.uniform(0.5, 2.0, size=6) * np.repeat([1.0, -1.0], 3)
    yield surrogate(rng, [*down, *up], list(advantage))


def all_sides(rng: Rng) -> Cases:
    for _ in range(2):
        ratio = rng.permutation([0.4, 0.7, 0.9, 1.05, 1.15, 1.3, 1.6, 0.55])
        advantage = rng.choice([-1.0, 1.0], size=8) * rng.uniform(0.5, 2.0, size=8)
        yield surrogate(rng, list(ratio), list(advantage)) | {"clip_coef": 0.25}


# ---- 2. the critic ----------------------------------------------------------------------------


def critic_by_hand(rng: Rng) -> Cases:
    """The larger of 1 and (0.2 - 2)^2 = 3.24, and 0.25 either way: (3.24 + 0.25) / 4."""
    yield {
        "value": tensor([1.0, 0.1]),
        "value_old": tensor([0.0, 0.0]),
        "returns": tensor([2.0, 0.6]),
        "clip_coef": 0.2,
    }


def critic(rng: Rng, clip_coef: float | None, *, heavy: tuple[int, int] = (4, 7)) -> Case:
    """Half of the values moved too far; returns on either side of them, ``heavy`` far away.

    The clipped error is the larger one of 4 and 7, the plain error that of 5 and 6.
    """
    value_old = tensor(rng.normal(size=8))
    step = np.array([0.1, -0.1, 0.15, -0.15, 0.9, -0.9, 1.3, -1.3])
    side = np.array([1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0]) * rng.uniform(0.6, 2.0, size=8)
    side[list(heavy)] *= 3.0
    value = value_old + tensor(step)
    return {
        "value": value,
        "value_old": value_old,
        "returns": value + tensor(side),
        "clip_coef": clip_coef,
    }


def critics_clipped(rng: Rng) -> Cases:
    yield critic(rng, 0.2)
    yield critic(rng, 0.5, heavy=(5, 6))


def critics_free(rng: Rng) -> Cases:
    yield critic(rng, None)


# ---- 3. and 4. divergences --------------------------------------------------------------------


def kl_by_hand(rng: Rng) -> Cases:
    """r = 2 and 1/4: with l = log 2, k1 = l / 2, k2 = 5 l^2 / 4, k3 = (1 / 4 + l) / 2."""
    yield {
        "logp_old": tensor([-1.0, -2.0]),
        "logp": tensor([-1.0 + np.log(2.0), -2.0 - np.log(4.0)]),
    }


def kl_samples(rng: Rng) -> Cases:
    for scale in (0.2, 0.8):
        logp_old = tensor(-rng.uniform(0.5, 3.0, size=9))
        moved = tensor(rng.normal(loc=-0.1, scale=scale, size=9))
        yield {"logp_old": logp_old, "logp": logp_old + moved}


def kl_small(rng: Rng) -> Cases:
    """The policy has barely moved: exp(x) - 1 - x loses all digits where x is small."""
    logp_old = tensor(-rng.uniform(0.5, 3.0, size=6))
    yield {"logp_old": logp_old, "logp": logp_old + tensor(rng.normal(scale=1e-7, size=6))}


def two_by_hand(rng: Rng) -> Cases:
    """p = 1/2, 1/2 and q = 1/4, 3/4: log 2 / 2 + log(2/3) / 2."""
    yield {"p_logits": tensor([[0.0, 0.0]]), "q_logits": tensor([[0.0, np.log(3.0)]])}


def two_policies(rng: Rng) -> Cases:
    for batch, num_actions in ((3, 5), (4, 4)):
        p, q = rng.normal(scale=1.3, size=(2, batch, num_actions))
        yield {"p_logits": tensor(p), "q_logits": tensor(q)}


def two_large(rng: Rng) -> Cases:
    p = tensor([[900.0, 0.0, -900.0]]) + tensor(rng.normal(size=(1, 3)))
    yield {"p_logits": p, "q_logits": p.flip(-1) / 4.0}


# ---- 5. the penalty's weight ------------------------------------------------------------------


def betas_by_hand(rng: Rng) -> Cases:
    yield {"beta": 1.0, "kl": 0.02, "target": 0.01}
    yield {"beta": 1.0, "kl": 0.005, "target": 0.01}
    yield {"beta": 1.0, "kl": 0.01, "target": 0.01}


def betas(rng: Rng) -> Cases:
    """Just inside and just outside of the two thresholds."""
    for factor in (0.3, 0.6, 0.72, 1.4, 1.6, 3.0):
        target = float(rng.uniform(0.005, 0.05))
        yield {"beta": float(rng.uniform(0.2, 3.0)), "kl": factor * target, "target": target}


# ---- 6. conjugate gradient --------------------------------------------------------------------


def definite(rng: Rng, size: int, spread: float) -> LinearMap:
    """A positive definite matrix with eigenvalues from 1 to ``spread``."""
    basis = np.linalg.qr(rng.normal(size=(size, size)))[0]
    values = np.geomspace(1.0, spread, size)
    matrix = basis @ np.diag(values) @ basis.T
    return LinearMap((matrix + matrix.T) / 2)


def systems_by_hand(rng: Rng) -> Cases:
    """diag(1, 4) x = (1, 4): two products suffice for x = (1, 1)."""
    yield {
        "hvp": LinearMap(np.diag([1.0, 4.0])),
        "b": tensor([1.0, 4.0]),
        "num_iterations": 10,
        "tolerance": 1e-12,
    }


def solved(rng: Rng) -> Cases:
    for size in (4, 7):
        b = tensor(rng.normal(size=size))
        yield {"hvp": definite(rng, size, 20.0), "b": b, "num_iterations": 30, "tolerance": 1e-14}


def out_of_iterations(rng: Rng) -> Cases:
    """Far from solved when the products are spent."""
    for count in (1, 2, 3):
        b = tensor(rng.normal(size=8))
        yield {
            "hvp": definite(rng, 8, 100.0),
            "b": b,
            "num_iterations": count,
            "tolerance": 1e-14,
        }


def good_enough(rng: Rng) -> Cases:
    """The tolerance stops it first."""
    for _ in range(2):
        b = tensor(rng.normal(size=8))
        squared = float(b @ b)
        yield {
            "hvp": definite(rng, 8, 30.0),
            "b": b,
            "num_iterations": 30,
            "tolerance": 0.02 * squared,
        }


def nothing_to_do(rng: Rng) -> Cases:
    """The residual of x = 0 is below the tolerance: no product is needed."""
    for b in (np.zeros(5), 0.01 * rng.normal(size=5)):
        yield {
            "hvp": definite(rng, 5, 10.0),
            "b": tensor(b),
            "num_iterations": 10,
            "tolerance": 0.1,
        }


# ---- 7. Fisher vector products ----------------------------------------------------------------


def fisher(rng: Rng, sizes: tuple[int, ...], damping: float) -> Case:
    network = Network(sizes, int(rng.integers(1 << 20)))
    count = sum(p.numel() for p in network.build().parameters())
    return {
        "policy": network,
        "obs": tensor(rng.normal(size=(9, sizes[0]))),
        "v": tensor(rng.normal(size=count)),
        "damping": damping,
    }


def products(rng: Rng) -> Cases:
    yield fisher(rng, (3, 4, 3), 0.1)


def products_undamped(rng: Rng) -> Cases:
    yield fisher(rng, (2, 3), 0.0)
    yield fisher(rng, (3, 4, 2), 0.0)


# ---- 8. the line search -----------------------------------------------------------------------


def trust_region(
    rng: Rng, *, uphill: bool = True, scale: float, max_kl: float = 0.01, tries: int = 10
) -> Case:
    """A direction near the natural gradient, and a curvature that is ``scale`` of the true one."""
    from solutions.lab06_trpo_ppo.reference import conjugate_gradient, fisher_vector_product

    network = Network((3, 5, 3), int(rng.integers(1 << 20)))
    policy = network.build()
    obs = tensor(rng.normal(size=(30, 3)))
    with torch.no_grad():
        action = torch.as_tensor(rng.integers(3, size=30))
    advantage = tensor(rng.normal(size=30))
    logp = torch.log_softmax(policy(obs), dim=-1).gather(-1, action.unsqueeze(-1)).squeeze(-1)
    gain = (logp * advantage).mean()
    gradient = torch.cat([g.reshape(-1) for g in torch.autograd.grad(gain, policy.parameters())])

    def product(v: Tensor) -> Tensor:
        return fisher_vector_product(policy, obs, v, damping=1e-3)

    direction = conjugate_gradient(product, gradient, num_iterations=20, tolerance=1e-12)
    curvature = float(direction @ product(direction))
    return {
        "policy": network,
        "obs": obs,
        "action": action,
        "advantage": advantage,
        "direction": direction if uphill else -direction,
        "curvature": curvature * scale,
        "max_kl": max_kl,
        "num_backtracks": tries,
    }


def likelier_but_no_better(rng: Rng) -> Case:
    """A step with which log-ratios times advantages improve, but ratios times advantages don't."""
    case = trust_region(rng, scale=20.0, max_kl=0.05, tries=1)
    policy, action = case["policy"].build(), case["action"].unsqueeze(-1)
    with torch.no_grad():
        old = torch.log_softmax(policy(case["obs"]), dim=-1)
        start = torch.nn.utils.parameters_to_vector(policy.parameters())
        length = (2.0 * case["max_kl"] / case["curvature"]) ** 0.5
        torch.nn.utils.vector_to_parameters(start + length * case["direction"], policy.parameters())
        new = torch.log_softmax(policy(case["obs"]), dim=-1)
        log_ratio = (new - old).gather(-1, action).squeeze(-1)
        change = torch.expm1(log_ratio)
    return case | {"advantage": log_ratio / log_ratio.norm() - change / change.norm()}


def first_try(rng: Rng) -> Cases:
    """A curvature that is too large: the first step is well inside."""
    yield trust_region(rng, scale=4.0, max_kl=0.02)


def last_try(rng: Rng) -> Cases:
    """A curvature that is far too small: the first three tries leave the region."""
    yield trust_region(rng, scale=1 / 32, tries=4)


def shortened(rng: Rng) -> Cases:
    yield from last_try(rng)
    yield trust_region(rng, scale=0.2, max_kl=0.003)


def gain_in_logarithms(rng: Rng) -> Cases:
    yield likelier_but_no_better(rng)


def no_gain(rng: Rng) -> Cases:
    """Downhill, level, or better only in logarithms: no step improves, so none is taken."""
    yield trust_region(rng, uphill=False, scale=1.0)
    level = trust_region(rng, scale=1.0)
    yield level | {"advantage": torch.zeros_like(level["advantage"])}
    yield from gain_in_logarithms(rng)


def out_of_tries(rng: Rng) -> Cases:
    """The fourth try would be inside, but three are allowed; ten halvings are far too few."""
    yield trust_region(rng, scale=1 / 32, tries=3)
    yield trust_region(rng, scale=1e-9)


# ---- 9. minibatches ---------------------------------------------------------------------------


def passes(rng: Rng) -> Cases:
    yield {"num_samples": 24, "batch_size": 8, "num_epochs": 3, "rng": seed(rng)}


def passes_with_a_rest(rng: Rng) -> Cases:
    for num_samples in (23, 17):
        yield {"num_samples": num_samples, "batch_size": 8, "num_epochs": 2, "rng": seed(rng)}
