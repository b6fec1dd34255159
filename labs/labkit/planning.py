"""Value iteration on a grid world of a million cells, in torch: a sweep is a few shifts of a grid.

Grids have shape ``(num_rows, num_cols)``. Actions are 0 up, 1 right, 2 down and 3 left.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Int = NDArray[np.int64]

_SHIFTS = ((-1, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns that each action goes."""


@dataclasses.dataclass(frozen=True)
class GridWorld:
    """A grid whose moves may slip to a side, and stay where a wall or the border is in the way.

    An action goes its own way with probability ``1 - slip`` and with ``slip / 2`` each to the left
    or the right of that.

    Args:
        walls: which cells nobody can enter.
        terminal: which cells end an episode.
        reward: what a step that ends in a cell pays; a step that could not move ends where it
            began.
        slip: probability of going to a side.

    Raises:
        ValueError: if the grids differ in shape, a terminal cell is a wall, or slip is no
            probability.
    """

    walls: Bool
    terminal: Bool
    reward: Float
    slip: float = 0.0

    def __post_init__(self) -> None:
        shapes = {np.shape(grid) for grid in (self.walls, self.terminal, self.reward)}
        if len(shapes) != 1 or len(shapes.pop()) != 2:
            raise ValueError("walls, terminal and reward must be grids of the same shape")
        if np.any(np.logical_and(self.walls, self.terminal)):
            raise ValueError("a terminal cell cannot be a wall")
        if not 0 <= self.slip <= 1:
            raise ValueError(f"slip is a probability, not {self.slip}")

    def blocked(self) -> Bool:
        """Return which actions cannot move, shape ``(4, num_rows, num_cols)``."""
        ringed = np.pad(np.asarray(self.walls, bool), 1, constant_values=True)
        rows, cols = np.shape(self.walls)
        return np.stack([ringed[1 + r : 1 + r + rows, 1 + c : 1 + c + cols] for r, c in _SHIFTS])


def random_grid(
    num_rows: int,
    num_cols: int,
    *,
    wall_share: float = 0.2,
    pit_share: float = 0.001,
    slip: float = 0.1,
    seed: int = 0,
) -> GridWorld:
    """Return a grid of random walls and pits, with a goal in its last row and column.

    Entering the goal pays 1 and a pit -1, and both are terminal; no other step pays. So with a
    discount the way to the goal should be short, but safe. Some cells may be walled in.

    Args:
        num_rows: rows of the grid.
        num_cols: columns of the grid.
        wall_share: probability that a cell is a wall; from about 0.4 on walls part the grid.
        pit_share: probability that a cell without a wall is a pit.
        slip: see `GridWorld`.
        seed: seed of the walls and pits.

    Raises:
        ValueError: if a share is no probability.
    """
    for name, share in (("wall_share", wall_share), ("pit_share", pit_share)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} is a probability, not {share}")
    rng = np.random.default_rng(seed)
    walls = rng.random((num_rows, num_cols)) < wall_share
    terminal = (rng.random((num_rows, num_cols)) < pit_share) & ~walls
    reward = np.where(terminal, -1.0, 0.0)
    walls[-1, -1], terminal[-1, -1], reward[-1, -1] = False, True, 1.0
    return GridWorld(walls, terminal, reward, slip)


@dataclasses.dataclass(frozen=True)
class GridPlan:
    """What `grid_value_iteration` found.

    Attributes:
        V: value of each cell; 0 for walls and terminal cells.
        policy: the first of the best actions in each cell by V; -1 for walls and terminal cells.
        num_sweeps: number of sweeps, the last one included.
        change: largest change of a value in the last sweep.
    """

    V: Float
    policy: Int
    num_sweeps: int
    change: float


@torch.inference_mode()
def grid_value_iteration(
    world: GridWorld,
    *,
    gamma: float,
    tol: float,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    desc: str | None = None,
) -> GridPlan:
    """Sweep ``V(s) = max_a E[reward + gamma * V(next)]`` until the greedy policy is good enough.

    It stops when no value changed by ``tol * (1 - gamma) / (2 * gamma)`` or more. Then V is within
    ``tol / 2`` of the optimal values and the greedy policy loses at most ``tol``, wherever it
    starts (Puterman, Markov Decision Processes, 1994, theorem 6.3.1).

    The bound holds if rounding is small beside that change, which is what float64 is for: with
    gamma 0.999 and tol 0.001 values near 1 must be told apart at 5e-7, and float32 rounds them
    to 6e-8 several times per sweep. A sweep does little arithmetic with each value that it reads,
    so that float64 costs what it takes to read twice the bytes, no more.

    Args:
        world: where to plan.
        gamma: discount per step, between 0 and 1.
        tol: what the policy may lose against the best one.
        dtype: of the values.
        device: where to compute; ``"mps"`` has no float64.
        desc: what the progress bar says, whose end is the most sweeps that can be needed; None
            hides it.

    Raises:
        ValueError: if gamma is not strictly between 0 and 1, tol is not positive, or rounding in
            this dtype is too coarse for the bound.
    """
    if not 0 < gamma < 1:
        raise ValueError(f"gamma must lie strictly between 0 and 1, but is {gamma}")
    if not tol > 0:
        raise ValueError(f"tol must be positive, but is {tol}")
    threshold = limit = tol * (1 - gamma) / (2 * gamma)
    sweep = _Sweep(world, gamma, dtype, device)
    change, num_sweeps, most = math.inf, 0, 1
    with tqdm(total=1, desc=desc, disable=desc is None, unit="sweep") as bar:
        while change >= limit > 0 and num_sweeps < most:
            change = sweep()
            num_sweeps += 1
            bar.update()
            if num_sweeps == 1 and change >= threshold:
                # each sweep shrinks the change by gamma or more; two sweeps more for rounding
                most = bar.total = 3 + math.ceil(math.log(threshold / change) / math.log(gamma))
            elif change < threshold == limit:
                limit = threshold - sweep.rounding()
                most *= 2  # what is left is held up by rounding, if anything is left
        bar.total = num_sweeps
        bar.refresh()
    if change >= limit:
        raise ValueError(f"{dtype} is too coarse for tol {tol}; take float64 or a larger tol")
    V, policy = sweep.V.cpu().numpy().astype(np.float64), sweep.greedy().cpu().numpy()
    return GridPlan(V, policy, num_sweeps, change)


class _Sweep:
    """The tensors of a sweep; calling it makes one and returns the largest change."""

    def __init__(
        self, world: GridWorld, gamma: float, dtype: torch.dtype, device: torch.device | str
    ) -> None:
        rows, cols = np.shape(world.walls)
        self.slip, self.gamma = world.slip, gamma
        self.blocked = torch.tensor(world.blocked(), device=device)
        self.reward = torch.tensor(world.reward, dtype=dtype, device=device)
        self.closed = torch.tensor(np.logical_or(world.walls, world.terminal), device=device)
        # what arriving in a cell is worth, in a ring of cells that nobody enters
        ringed = torch.zeros(rows + 2, cols + 2, dtype=dtype, device=device)
        self.arrival = ringed[1:-1, 1:-1]
        self.beside = [ringed[1 + r : 1 + r + rows, 1 + c : 1 + c + cols] for r, c in _SHIFTS]
        self.V = torch.zeros_like(self.reward)
        self.ends = torch.zeros(4, rows, cols, dtype=dtype, device=device)
        self.spare = torch.zeros(3, rows, cols, dtype=dtype, device=device)

    def look(self) -> torch.Tensor:
        """Return what each action is worth where it doesn't slip, and store it in ``ends``."""
        torch.add(self.reward, self.V, alpha=self.gamma, out=self.arrival)
        for end, blocked, beside in zip(self.ends, self.blocked, self.beside, strict=True):
            torch.where(blocked, self.arrival, beside, out=end)
        return self.ends

    def __call__(self) -> float:
        up, right, down, left = self.look()
        upright, across, new = self.spare
        # of two opposite actions the better one is best, for they slip to the same sides
        torch.maximum(up, down, out=upright).mul_(1 - self.slip)
        torch.maximum(right, left, out=across).mul_(1 - self.slip)
        upright.add_(right.add_(left), alpha=self.slip / 2)
        across.add_(up.add_(down), alpha=self.slip / 2)
        torch.maximum(upright, across, out=new).masked_fill_(self.closed, 0)
        self.V.sub_(new).abs_()
        change = float(self.V.max())
        self.V.copy_(new)
        return change

    def rounding(self) -> float:
        """Return a bound of what rounding adds to a change.

        A new value is rounded seven times on its way, by half an eps of the largest value each.
        """
        largest = max(float(grid.abs().max()) for grid in (self.V, self.arrival))
        return 4 * torch.finfo(self.V.dtype).eps * largest

    def greedy(self) -> torch.Tensor:
        """Return the first best action of each cell."""
        ends = self.look()
        sides = ends.roll(1, 0) + ends.roll(-1, 0)
        values = (1 - self.slip) * ends + self.slip / 2 * sides
        return values.argmax(dim=0).masked_fill_(self.closed, -1)
