"""Lab 4, cases: what each exercise is tried on.

Batches hold a row that terminated, one that a time limit cut, one that did both and one that goes
on, with values far from 0 everywhere; the two networks disagree about the best action; and rows
that are stored all differ, so that a row that is missing, kept or mixed up shows.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autograder.spec import Case, NormedNetwork, Objects, apart, seed

Rng = np.random.Generator
Cases = Iterator[Case]
NUM_DRAWS = 600


def tensor(values: object) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float64))


def away_from_zero(rng: Rng, *shape: int) -> Tensor:
    """Values of either sign, at least 0.5 from 0."""
    return tensor(rng.choice([-1.0, 1.0], size=shape) * rng.uniform(0.5, 2.5, size=shape))


# ---- 1. ReplayBuffer --------------------------------------------------------------------------


def buffer(
    rng: Rng, capacity: int, num_added: int, obs_shape: tuple[int, ...], *, looks: tuple[int, ...]
) -> Case:
    """Add different transitions; after those counted in ``looks`` ask for the length and draw."""
    calls: list[tuple[str, dict[str, Any]]] = [("__len__", {})]
    size = int(np.prod(obs_shape))
    obs = apart(rng, (num_added + 1, size), 0.5).astype(np.float32)
    for index in range(num_added):
        row = {
            "obs": obs[index].reshape(obs_shape).copy(),
            "action": int(rng.integers(5)),
            "reward": float(np.float32(rng.normal())),
            "next_obs": obs[index + 1].reshape(obs_shape).copy(),
            "terminated": bool(rng.random() < 0.4),
        }
        calls.append(("add", row))
        if index + 1 in looks:
            calls.append(("__len__", {}))
            calls.append(("sample", {"batch_size": NUM_DRAWS, "rng": seed(rng)}))
    calls.append(("__len__", {}))
    return {"init": {"capacity": capacity, "obs_shape": obs_shape}, "calls": calls}


def half_full(rng: Rng) -> Cases:
    """Fewer rows than there is room for: the others must not be drawn."""
    yield buffer(rng, 8, 3, (2,), looks=(1, 3))


def just_full(rng: Rng) -> Cases:
    """And a transition more, only counted."""
    yield buffer(rng, 4, 4, (3,), looks=(3, 4))
    yield buffer(rng, 4, 5, (3,), looks=())


def overwritten(rng: Rng) -> Cases:
    """Over the end, and round a second time: the oldest go first."""
    yield buffer(rng, 4, 11, (2,), looks=(5, 6, 9, 11))


def of_one_row(rng: Rng) -> Cases:
    yield buffer(rng, 1, 3, (1,), looks=(1, 3))


def pictures(rng: Rng) -> Cases:
    """Observations with more than one axis."""
    yield buffer(rng, 3, 5, (2, 3), looks=(2, 5))


# ---- 2. gather_q ------------------------------------------------------------------------------


def values(rng: Rng, batch: int, num_actions: int) -> Tensor:
    return tensor(apart(rng, (batch, num_actions)))


def gather_by_hand(rng: Rng) -> Cases:
    yield {"q": tensor([[1.0, 2.0, 3.0], [6.0, 5.0, 4.0]]), "action": torch.tensor([1, 2])}


def gathers(rng: Rng) -> Cases:
    """As many rows as actions in the second case, so that a wrong axis has the right shape."""
    for batch, num_actions in ((5, 3), (4, 4)):
        q = values(rng, batch, num_actions)
        action = q.argmax(dim=1) + torch.as_tensor(rng.integers(1, num_actions, batch))
        yield {"q": q, "action": action % num_actions}


def gather_one(rng: Rng) -> Cases:
    """A batch of one row."""
    yield {"q": values(rng, 1, 3), "action": torch.as_tensor(rng.integers(3, size=1))}


# ---- 3. and 4. targets ------------------------------------------------------------------------


def ends(terminated: list[int], truncated: list[int]) -> Case:
    return {
        "terminated": torch.tensor(terminated, dtype=torch.bool),
        "truncated": torch.tensor(truncated, dtype=torch.bool),
    }


def target_by_hand(rng: Rng) -> Cases:
    """gamma 1/2: 1 + 8/2 = 5, and 2 where it terminated."""
    yield {
        "next_q_target": tensor([[4.0, 8.0], [6.0, 2.0]]),
        "reward": tensor([1.0, 2.0]),
        **ends([0, 1], [0, 0]),
        "gamma": 0.5,
    }


def transitions(rng: Rng, terminated: list[int], truncated: list[int], *, sign: float) -> Case:
    batch = len(terminated)
    gaps = tensor(apart(rng, (batch, 3), 0.5))
    return {
        "next_q_target": gaps + sign * 12.0,  # all on one side of 0, some rows more than others
        "reward": away_from_zero(rng, batch),
        **ends(terminated, truncated),
        "gamma": float(rng.uniform(0.6, 0.9)),
    }


def goes_on(rng: Rng) -> Cases:
    yield transitions(rng, [0] * 3, [0] * 3, sign=1.0)
    yield transitions(rng, [0] * 4, [0] * 4, sign=-1.0)


def terminates(rng: Rng) -> Cases:
    yield transitions(rng, [0, 1, 0, 1], [0, 0, 0, 0], sign=1.0)


def time_is_up(rng: Rng) -> Cases:
    yield transitions(rng, [0, 0, 0, 0], [1, 0, 0, 1], sign=1.0)


def all_endings(rng: Rng) -> Cases:
    for sign in (1.0, -1.0):
        yield transitions(rng, [1, 0, 1, 0, 0], [0, 1, 1, 0, 0], sign=sign)


def double_by_hand(rng: Rng) -> Cases:
    """The online network likes action 0, which the other one values at 4: 1 + 4/2 = 3, and 2."""
    case = next(target_by_hand(rng))
    yield {"next_q_online": tensor([[9.0, 7.0], [1.0, 3.0]]), **case}


def doubled(rng: Rng, case: Case) -> Case:
    """Opinions that differ: the online network's favourite is never the target network's."""
    best = case["next_q_target"].argmax(dim=1)
    rows = torch.arange(len(best))
    online = tensor(apart(rng, tuple(case["next_q_target"].shape), 0.5))
    favourite = (best + torch.as_tensor(rng.integers(1, 3, len(best)))) % 3
    online[rows, favourite] = online.max() + 2.0
    return {"next_q_online": online, **case}


def double_goes_on(rng: Rng) -> Cases:
    for case in goes_on(rng):
        yield doubled(rng, case)


def double_terminates(rng: Rng) -> Cases:
    for case in terminates(rng):
        yield doubled(rng, case)


def double_time_is_up(rng: Rng) -> Cases:
    for case in time_is_up(rng):
        yield doubled(rng, case)


def double_all_endings(rng: Rng) -> Cases:
    for case in all_endings(rng):
        yield doubled(rng, case)


# ---- 5. huber ---------------------------------------------------------------------------------


def errors(rng: Rng, error: list[float], delta: float) -> Case:
    target = away_from_zero(rng, len(error))
    return {"pred": target + tensor(error), "target": target, "delta": delta}


def huber_by_hand(rng: Rng) -> Cases:
    """Errors 1/2, -1, 3 and -2 with delta 1: (1/8 + 1/2 + 5/2 + 3/2) / 4."""
    yield {
        "pred": tensor([1.5, 1.0, 3.0, 0.0]),
        "target": tensor([1.0, 2.0, 0.0, 2.0]),
        "delta": 1.0,
    }


def small_errors(rng: Rng) -> Cases:
    """The parabola alone."""
    yield errors(rng, list(rng.uniform(-0.9, 0.9, size=5)), 1.0)


def large_errors(rng: Rng) -> Cases:
    """Of either sign; the slope is bounded."""
    yield errors(rng, list(rng.uniform(1.5, 6.0, size=6) * np.repeat([1.0, -1.0], 3)), 1.0)


def other_deltas(rng: Rng) -> Cases:
    for delta in (0.5, 2.0):
        small = rng.uniform(-0.9, 0.9, size=3) * delta
        large = rng.uniform(1.5, 4.0, size=4) * np.array([1.0, -1.0, 1.0, -1.0]) * delta
        yield errors(rng, [*small, *large], delta)


# ---- 6. sync ----------------------------------------------------------------------------------


def networks(rng: Rng, tau: float) -> Case:
    online, target = (NormedNetwork((3, 4, 2), int(rng.integers(1 << 20))) for _ in range(2))
    return {"online": online, "target": target, "tau": tau}


def whole_copies(rng: Rng) -> Cases:
    yield networks(rng, 1.0)


def part_of_the_way(rng: Rng) -> Cases:
    yield networks(rng, 0.25)
    yield networks(rng, float(rng.uniform(0.01, 0.1)))


# ---- 7. linear_schedule -----------------------------------------------------------------------


def schedule_by_hand(rng: Rng) -> Cases:
    """From 1 to 0.2 in the first 50 of 100 steps: at the start, half way, there, and later."""
    for step in (0, 25, 50, 80):
        yield {"step": step, "start": 1.0, "end": 0.2, "fraction": 0.5, "total": 100}


def schedule(rng: Rng, share: float, *, rises: bool = False) -> Case:
    """``share`` counts from 0, where the change begins, to 1, where it is over."""
    start, end = float(rng.uniform(0.6, 1.0)), float(rng.uniform(0.05, 0.3))
    fraction, total = float(rng.uniform(0.2, 0.4)), int(rng.integers(1_000, 5_000))
    step = int(share * fraction * total)
    first, last = (end, start) if rises else (start, end)
    return {"step": step, "start": first, "end": last, "fraction": fraction, "total": total}


def on_the_way(rng: Rng) -> Cases:
    for share in (0.2, 0.7):
        yield schedule(rng, share)


def there(rng: Rng) -> Cases:
    """After the change, but long before the end of the training."""
    for share in (1.2, 2.0, 20.0):
        yield schedule(rng, share)


def upwards(rng: Rng) -> Cases:
    for share in (0.4, 1.5):
        yield schedule(rng, share, rises=True)


# ---- 8. kd_loss -------------------------------------------------------------------------------


def kd_by_hand(rng: Rng) -> Cases:
    """T = 1; the teacher says 1/2, 1/2, the student 1/4, 3/4: log(2) / 2 + log(2/3) / 2."""
    yield {
        "student_logits": tensor([[0.0, np.log(3.0)]]),
        "teacher_logits": tensor([[5.0, 5.0]]),
        "temperature": 1.0,
    }


def distillation(rng: Rng, batch: int, num_actions: int, temperature: float) -> Case:
    student, teacher = rng.normal(scale=2.0, size=(2, batch, num_actions))
    return {
        "student_logits": tensor(student),
        "teacher_logits": tensor(teacher),
        "temperature": temperature,
    }


def kd_plain(rng: Rng) -> Cases:
    yield distillation(rng, 3, 4, 1.0)
    yield distillation(rng, 4, 4, 1.0)


def kd_soft(rng: Rng) -> Cases:
    for temperature in (2.0, 5.0):
        yield distillation(rng, 4, 3, temperature)


def kd_sharp(rng: Rng) -> Cases:
    """Below 1, as where a teacher's values of actions are close to each other."""
    yield distillation(rng, 3, 3, 0.5)


def kd_large(rng: Rng) -> Cases:
    """Values in the hundreds: exp would be infinite, or 0 and its logarithm infinite."""
    case = distillation(rng, 2, 3, 1.0)
    lift = tensor([[900.0, 0.0, -900.0], [-900.0, 0.0, -900.0]])
    yield case | {name: case[name] + lift for name in ("student_logits", "teacher_logits")}


# ---- 9. store_transition ----------------------------------------------------------------------


def vector_step(
    rng: Rng, mode: str, terminated: list[int], truncated: list[int], ended_before: list[int]
) -> Case:
    """One step of as many environments, as Gymnasium's `SyncVectorEnv` returns it.

    A step that was really taken may pay 0 as well: the first of those does.
    """
    num_envs = len(terminated)
    rows = apart(rng, (3, num_envs, 2), 0.1).astype(np.float32)
    obs, next_obs, final_obs = rows
    done = np.array(terminated, dtype=bool) | np.array(truncated, dtype=bool)
    infos: dict[str, Any] = {}
    if mode == "same_step" and done.any():
        ending = tuple(final_obs[i].copy() if done[i] else None for i in range(num_envs))
        infos = {"final_obs": Objects(ending), "_final_obs": done.copy()}
    before = np.array(ended_before, dtype=bool)
    reward = rng.uniform(0.5, 2.0, size=num_envs)
    if mode == "next_step":
        reward[before] = 0.0
    reward[np.flatnonzero(~before)[0]] = 0.0
    return {
        "obs": obs,
        "action": rng.integers(4, size=num_envs),
        "reward": reward,
        "next_obs": next_obs,
        "terminated": np.array(terminated, dtype=bool),
        "truncated": np.array(truncated, dtype=bool),
        "infos": infos,
        "mode": mode,
        "ended_before": before,
    }


def nothing_ended(rng: Rng) -> Cases:
    for mode in ("next_step", "same_step", "disabled"):
        yield vector_step(rng, mode, [0, 0, 0], [0, 0, 0], [0, 0, 0])


def next_step(rng: Rng) -> Cases:
    """Some environments reset in this step; others end in it."""
    yield vector_step(rng, "next_step", [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0])
    yield vector_step(rng, "next_step", [0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 1, 1, 0])


def same_step(rng: Rng) -> Cases:
    """Environments that end show the next episode's first observation."""
    yield vector_step(rng, "same_step", [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0])
    yield vector_step(rng, "same_step", [0, 1, 0, 1], [1, 0, 0, 1], [0, 0, 1, 0])


def disabled(rng: Rng) -> Cases:
    """What ended before was reset by hand, and its step is one like any other."""
    yield vector_step(rng, "disabled", [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1])
