"""Value iteration on a grid finds what a linear program and a linear system say."""

import math

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.linalg import spsolve

from benchmarks import lab01_value_iteration, recording
from labkit.planning import GridWorld, grid_value_iteration, random_grid

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
NEIGHBOURS = {0: (-1, 0), 1: (0, 1), 2: (1, 0), 3: (0, -1)}  # up, right, down, left
Table = dict[tuple[int, int, int], list[tuple[float, int, int]]]


def steps(world: GridWorld) -> Table:
    """Return ``(probability, row, col)`` of where each action ends, cell by cell in words."""
    rows, cols = world.walls.shape
    table: Table = {}
    for row, col in np.ndindex(rows, cols):
        for action in NEIGHBOURS:
            ends = []
            for goes, chance in (
                (action, 1 - world.slip),
                ((action + 1) % 4, world.slip / 2),
                ((action - 1) % 4, world.slip / 2),
            ):
                r, c = row + NEIGHBOURS[goes][0], col + NEIGHBOURS[goes][1]
                if not (0 <= r < rows and 0 <= c < cols) or world.walls[r, c]:
                    r, c = row, col
                ends.append((chance, r, c))
            table[row, col, action] = ends
    return table


def closed(world: GridWorld, row: int, col: int) -> bool:
    return bool(world.walls[row, col] or world.terminal[row, col])


def by_program(world: GridWorld, gamma: float) -> np.ndarray:
    """Return the optimal values: the smallest V with V(s) >= r + gamma V(next) for all actions."""
    rows, cols = world.walls.shape
    lhs, rhs = [], []
    for (row, col, _), ends in steps(world).items():
        if closed(world, row, col):
            continue
        line = np.zeros(rows * cols)
        line[row * cols + col] -= 1
        paid = 0.0
        for chance, r, c in ends:
            line[r * cols + c] += gamma * chance
            paid += chance * world.reward[r, c]
        lhs.append(line)
        rhs.append(-paid)
    bounds = [
        (0, 0) if closed(world, row, col) else (None, None) for row, col in np.ndindex(rows, cols)
    ]
    solved = linprog(np.ones(rows * cols), A_ub=np.array(lhs), b_ub=rhs, bounds=bounds)
    assert solved.success
    return solved.x.reshape(rows, cols)


def by_system(world: GridWorld, policy: np.ndarray, gamma: float) -> np.ndarray:
    """Return the values of a policy by a sparse solve."""
    rows, cols = world.walls.shape
    table = steps(world)
    matrix, paid = sparse.lil_matrix((rows * cols, rows * cols)), np.zeros(rows * cols)
    for row, col in np.ndindex(rows, cols):
        matrix[row * cols + col, row * cols + col] = 1
        if closed(world, row, col):
            continue
        for chance, r, c in table[row, col, int(policy[row, col])]:
            matrix[row * cols + col, r * cols + c] -= gamma * chance
            paid[row * cols + col] += chance * world.reward[r, c]
    return spsolve(matrix.tocsr(), paid).reshape(rows, cols)


def noisy(seed: int, slip: float, shape: tuple[int, int] = (6, 7)) -> GridWorld:
    """A grid with walls, terminal cells and a reward of its own for every cell."""
    rng = np.random.default_rng(seed)
    kind = rng.random(shape)
    return GridWorld(kind < 0.2, kind > 0.9, rng.normal(size=shape), slip)


def corridor() -> GridWorld:
    goal = np.array([[False, False, False, True]])
    return GridWorld(~goal & False, goal, goal.astype(float))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("seed", "slip"), [(0, 0.0), (1, 0.3), (2, 0.3), (3, 1.0)])
class TestOracles:
    def test_values_are_those_of_a_linear_program(
        self, device: str, seed: int, slip: float
    ) -> None:
        world = noisy(seed, slip)
        plan = grid_value_iteration(world, gamma=0.9, tol=1e-6, device=device)
        np.testing.assert_allclose(plan.V, by_program(world, 0.9), atol=1e-6)

    def test_the_policy_loses_no_more_than_tol(self, device: str, seed: int, slip: float) -> None:
        """Also when tol is coarse, and then the values are within half of it."""
        world = noisy(seed, slip, (20, 25))
        best = grid_value_iteration(world, gamma=0.9, tol=1e-9, device=device)
        exact = by_system(world, best.policy, 0.9)
        np.testing.assert_allclose(best.V, exact, atol=1e-9)
        plan = grid_value_iteration(world, gamma=0.9, tol=0.5, device=device)
        assert plan.num_sweeps < best.num_sweeps
        assert abs(plan.V - exact).max() <= 0.25
        lost = exact - by_system(world, plan.policy, 0.9)
        assert -1e-9 < lost.min() <= lost.max() <= 0.5

    def test_the_policy_is_greedy_for_the_values(self, device: str, seed: int, slip: float) -> None:
        """Each action is the first of the best by the values returned, walls and ends have none."""
        world = noisy(seed, slip)
        plan = grid_value_iteration(world, gamma=0.9, tol=0.3, device=device)
        table = steps(world)
        for row, col in np.ndindex(*world.walls.shape):
            if closed(world, row, col):
                assert plan.policy[row, col] == -1
                assert plan.V[row, col] == 0
                continue
            worth = [
                sum(p * (world.reward[r, c] + 0.9 * plan.V[r, c]) for p, r, c in table[row, col, a])
                for a in NEIGHBOURS
            ]
            best = [a for a in NEIGHBOURS if worth[a] > max(worth) - 1e-12]
            assert plan.policy[row, col] in best
            if slip == 0:  # then ties are exact
                assert plan.policy[row, col] == best[0]

    def test_numpy_agrees(self, device: str, seed: int, slip: float) -> None:
        """The benchmark compares like with like."""
        world = noisy(seed, slip, (30, 20))
        plan = grid_value_iteration(world, gamma=0.95, tol=1e-4, device=device)
        V, policy, num_sweeps = lab01_value_iteration.numpy_value_iteration(
            world, gamma=0.95, tol=1e-4
        )
        np.testing.assert_allclose(plan.V, V, atol=1e-12)
        np.testing.assert_array_equal(plan.policy, policy)
        assert plan.num_sweeps == num_sweeps


def test_a_corridor_by_hand() -> None:
    """Values 0.81, 0.9 and 1 come in one sweep each, and a fourth sees that nothing changes."""
    plan = grid_value_iteration(corridor(), gamma=0.9, tol=0.1)
    np.testing.assert_allclose(plan.V, [[0.81, 0.9, 1, 0]])
    assert plan.policy.tolist() == [[1, 1, 1, -1]]
    assert (plan.num_sweeps, plan.change) == (4, 0.0)
    assert plan.V.dtype == np.float64


def test_the_first_of_equal_actions() -> None:
    """Right and down are as good in a corner of a square; where nothing pays, up is the first."""
    goal = np.zeros((2, 2), bool)
    goal[1, 1] = True
    plan = grid_value_iteration(
        GridWorld(~goal & False, goal, goal.astype(float)), gamma=0.5, tol=0.1
    )
    assert plan.policy.tolist() == [[1, 2], [1, -1]]
    plan = grid_value_iteration(
        GridWorld(~goal & False, ~goal & False, goal * 0.0), gamma=0.5, tol=0.1
    )
    assert (plan.policy == 0).all()
    assert plan.num_sweeps == 1


def test_it_stops_at_the_bound_and_not_before() -> None:
    """Where each step costs 1 for ever, sweep n changes every value by gamma**(n - 1).

    That is below 0.1 * 0.1 / 1.8 for the first time at n = 51; the error is then
    0.9**51 / 0.1 = 0.0464, and one sweep before it was 0.0515, more than half of tol.
    """
    everywhere = np.zeros((3, 5), bool)
    world = GridWorld(everywhere, everywhere, np.full((3, 5), -1.0), 0.2)
    plan = grid_value_iteration(world, gamma=0.9, tol=0.1)
    assert plan.num_sweeps == 51
    assert plan.change == pytest.approx(0.9**50)
    np.testing.assert_allclose(plan.V, -10 * (1 - 0.9**51))


def test_nobody_enters_a_walled_room() -> None:
    """What the cell inside would pay is not seen outside, and inside it pays for ever."""
    walls = np.zeros((5, 5), bool)
    walls[1:4, 1:4] = True
    walls[2, 2] = False
    reward = np.zeros((5, 5))
    reward[2, 2] = 1.0
    plan = grid_value_iteration(GridWorld(walls, walls & False, reward), gamma=0.5, tol=1e-6)
    assert plan.V[2, 2] == pytest.approx(2, abs=1e-6)
    assert (plan.V[walls | (reward == 0)] == 0).all()


class TestFloats:
    def test_float32_is_close(self) -> None:
        world = random_grid(30, 30, slip=0.2)
        plans = [
            grid_value_iteration(world, gamma=0.95, tol=1e-3, dtype=dtype)
            for dtype in (torch.float64, torch.float32)
        ]
        assert 0 < abs(plans[0].V - plans[1].V).max() <= 1e-3

    @pytest.mark.parametrize("tol", [1e-3, 2e-3, 5e-3])
    def test_float32_is_refused_where_its_rounding_hides_changes(self, tol: float) -> None:
        """Near -100 neighbours are 7.6e-6 apart; a change of 5e-6, 1e-5 or 2.5e-5 may be one."""
        with pytest.raises(ValueError, match=rf"torch\.float32 is too coarse for tol {tol}; take"):
            grid_value_iteration(self.toll(), gamma=0.99, tol=tol, dtype=torch.float32)
        plan = grid_value_iteration(self.toll(), gamma=0.99, tol=tol)
        assert abs(plan.V + 100).max() <= tol / 2

    def test_float32_sweeps_on_until_rounding_is_paid_for(self) -> None:
        """A change of 1e-4 could be 4 eps * 100 more, so that it goes down to about half of it."""
        plans = [
            grid_value_iteration(self.toll(), gamma=0.99, tol=0.02, dtype=dtype)
            for dtype in (torch.float64, torch.float32)
        ]
        rounding = 4 * 2**-23 * 100
        assert plans[1].change < 1e-4 / 0.99 - rounding * 0.99
        assert plans[0].num_sweeps + 50 < plans[1].num_sweeps < plans[0].num_sweeps + 90
        assert abs(plans[1].V + 100).max() <= 0.01

    def toll(self) -> GridWorld:
        """Every step costs 1, for ever."""
        everywhere = np.zeros((3, 3), bool)
        return GridWorld(everywhere, everywhere, np.full((3, 3), -1.0))


class TestRandomGrid:
    def test_shares(self) -> None:
        world = random_grid(200, 300, wall_share=0.3, pit_share=0.05, slip=0.4, seed=7)
        assert world.walls.shape == (200, 300)
        assert world.slip == 0.4
        assert abs(world.walls.mean() - 0.3) < 5 * math.sqrt(0.3 * 0.7 / 60_000)
        pits = world.reward == -1
        open_cells = (~world.walls).sum()
        assert abs(pits.sum() / open_cells - 0.05) < 5 * math.sqrt(0.05 * 0.95 / open_cells)
        assert (world.terminal == (world.reward != 0)).all()
        assert not (world.walls & world.terminal).any()

    def test_goal_and_seed(self) -> None:
        worlds = [random_grid(20, 10, wall_share=1.0, seed=seed) for seed in (0, 1)]
        for world in worlds:
            assert world.reward[-1, -1] == 1
            assert world.walls.sum() == 199
        first, same, other = (random_grid(20, 10, seed=seed).walls for seed in (0, 0, 1))
        assert (first == same).all()
        assert (first != other).any()


GRID = np.zeros((2, 3), bool)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GridWorld(GRID, GRID.T, GRID * 1.0), "must be grids of the same shape"),
        (lambda: GridWorld(GRID[0], GRID[0], GRID[0] * 1.0), "must be grids of the same shape"),
        (lambda: GridWorld(~GRID, ~GRID, GRID * 1.0), "a terminal cell cannot be a wall"),
        (lambda: GridWorld(GRID, GRID, GRID * 1.0, 1.2), "slip is a probability, not 1.2"),
        (lambda: random_grid(2, 2, wall_share=-1), "wall_share is a probability, not -1"),
        (lambda: random_grid(2, 2, pit_share=math.nan), "pit_share is a probability, not nan"),
        (
            lambda: grid_value_iteration(corridor(), gamma=1.0, tol=0.1),
            "gamma must lie strictly between 0 and 1, but is 1.0",
        ),
        (
            lambda: grid_value_iteration(corridor(), gamma=0.9, tol=0),
            "tol must be positive, but is 0",
        ),
    ],
)
def test_bad_input_gets_a_sentence(make: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_the_bar_ends_where_the_sweeps_do(capsys: pytest.CaptureFixture[str]) -> None:
    grid_value_iteration(corridor(), gamma=0.9, tol=0.1)
    assert capsys.readouterr().err == ""
    grid_value_iteration(corridor(), gamma=0.9, tol=0.1, desc="sweeping")
    shown = capsys.readouterr().err.strip().split("\r")[-1]
    assert shown.startswith("sweeping: 100%")
    assert "4/4" in shown


def test_measured_plans_agree() -> None:
    """In the committed numbers torch found numpy's values, in as many sweeps."""
    result = recording.read("lab01_value_iteration_cpu")
    assert result["settings"]["cells"] == 1_000_000
    baseline, torch64 = (result["methods"][name] for name in ("numpy", "torch on cpu, float64"))
    assert baseline["sweeps"] == torch64["sweeps"]
    assert torch64["largest difference"] < 1e-12
    assert torch64["same action"] == 1
