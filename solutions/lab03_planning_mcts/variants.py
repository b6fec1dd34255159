"""Right answers in another style: loops for vectors, torch for numpy, another order of the same.

Each function is self-contained, since it is pasted into a notebook under its exercise's name; the
rules of tic-tac-toe are in that notebook.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from solutions.lab03_planning_mcts.reference import is_terminal, legal_moves, play, to_move, winner

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Transition = tuple[int, int, float, int, bool]
State = tuple[int, ...]


def value_iteration_in_place(
    P: Float, R: Float, terminal: NDArray[np.bool_], *, gamma: float, tol: float
) -> tuple[Float, list[int]]:
    """One value at a time, each from the newest of the others."""
    num_obs, num_actions = R.shape
    V = np.zeros(num_obs)

    def worth(s: int, a: int) -> float:
        return float(R[s, a] + gamma * sum(P[s, a, x] * V[x] for x in range(num_obs)))

    while True:
        delta = 0.0
        for s in range(num_obs):
            if terminal[s]:
                continue
            old, V[s] = V[s], max(worth(s, a) for a in range(num_actions))
            delta = max(delta, abs(V[s] - old))
        if delta < tol * (1 - gamma) / (2 * gamma):
            break
    pi = np.array([np.argmax([worth(s, a) for a in range(num_actions)]) for s in range(num_obs)])
    return V, pi  # type: ignore[return-value]


def value_iteration_in_torch(
    P: Float, R: Float, terminal: NDArray[np.bool_], *, gamma: float, tol: float
) -> tuple[Any, Any]:
    import torch

    p, r, over = torch.tensor(P), torch.tensor(R), torch.tensor(terminal)
    p[over], r[over] = 0.0, torch.arange(0, -R.shape[1], -1, dtype=r.dtype)
    V, enough = torch.zeros(len(r), dtype=r.dtype), tol * (1 - gamma) / (2 * gamma)
    while True:
        before, V = V, (r + gamma * (p @ V)).amax(dim=1)
        if torch.dist(V, before, p=float("inf")) < enough:
            return V, (r + gamma * (p @ V)).argmax(dim=1)


def policy_iteration_by_loops(P: Float, R: Float, *, gamma: float) -> tuple[Int, Float, int]:
    num_obs, num_actions = R.shape
    pi, rounds = [0] * num_obs, 0
    while True:
        rounds += 1
        system = np.array([np.eye(num_obs)[s] - gamma * P[s, pi[s]] for s in range(num_obs)])
        V = np.linalg.inv(system) @ np.array([R[s, pi[s]] for s in range(num_obs)])
        stable = True
        for s in range(num_obs):
            q = [R[s, a] + gamma * P[s, a] @ V for a in range(num_actions)]
            if max(q) - q[pi[s]] > 1e-9:
                pi[s] = next(a for a in range(num_actions) if max(q) - q[a] < 1e-9)
                stable = False
        if stable:
            return np.array(pi), V, rounds


def policy_iteration_by_sweeps(P: Float, R: Float, *, gamma: float) -> tuple[Int, Float, int]:
    """A policy's value by repetition, until the last digits rest."""
    rows = np.arange(len(P))
    pi = np.zeros(len(P), dtype=int)
    for count in range(1, 10_000):
        V = np.zeros(len(P))
        for _ in range(5_000):
            before, V = V, R[rows, pi] + gamma * P[rows, pi] @ V
            if np.allclose(before, V, rtol=0, atol=1e-13):
                break
        Q = np.round(R + gamma * P @ V, 10)
        switch = Q.max(axis=1) > Q[rows, pi] + 5e-10
        if not switch.any():
            return pi, V, count
        pi[switch] = Q[switch].argmax(axis=1)
    raise RuntimeError("the policy did not settle")


def fit_model_by_pairs(
    num_obs: int, num_actions: int, transitions: list[Transition]
) -> tuple[Float, Float, Int]:
    P = np.zeros((num_obs, num_actions, num_obs))
    R = np.zeros((num_obs, num_actions))
    N = np.zeros((num_obs, num_actions), dtype=int)
    ends = {step[3] for step in transitions if step[4]}
    for s in range(num_obs):
        for a in range(num_actions):
            mine = [step for step in transitions if step[:2] == (s, a)]
            N[s, a] = len(mine)
            if s in ends:
                P[s, a, s] = 1.0
            elif not mine:
                P[s, a] = 1 / num_obs
            else:
                R[s, a] = np.mean([step[2] for step in mine])
                for step in mine:
                    P[s, a, step[3]] += 1 / len(mine)
    return P, R, N


def fit_model_with_histograms(
    num_obs: int, num_actions: int, transitions: list[Transition]
) -> tuple[Float, Float, Int]:
    """Running means: no sums are kept."""
    N = np.zeros((num_obs, num_actions), dtype=np.int32)
    P = np.full((num_obs, num_actions, num_obs), 1 / num_obs)
    R = np.zeros((num_obs, num_actions))
    for s, a, r, x, _ in transitions:
        N[s, a] += 1
        R[s, a] += (r - R[s, a]) / N[s, a]
        P[s, a] += ((np.arange(num_obs) == x) - P[s, a]) / N[s, a]
    for _, _, _, x, terminated in transitions:
        if terminated:
            P[x], R[x] = 0, 0
            P[x, :, x] = 1
    return P, R, N  # type: ignore[return-value]


def dyna_with_update(
    Q: Float,
    model: dict[str, NDArray[Any]],
    obs: int,
    action: int,
    reward: float,
    next_obs: int,
    terminated: bool,
    *,
    num_planning: int,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
) -> None:
    def update(s: Any, a: Any, r: float, x: Any, ends: Any) -> None:
        target = r if ends else r + gamma * max(Q[x])
        Q[s, a] = (1 - alpha) * Q[s, a] + alpha * target

    update(obs, action, reward, next_obs, terminated)
    for name, value in zip(
        ("visited", "reward", "next_obs", "terminated"),
        (True, reward, next_obs, terminated),
        strict=True,
    ):
        model[name][obs, action] = value
    pairs = list(zip(*np.nonzero(model["visited"]), strict=True))
    for _ in range(num_planning):
        s, a = pairs[int(rng.random() * len(pairs))]
        update(s, a, model["reward"][s, a], model["next_obs"][s, a], model["terminated"][s, a])


def dyna_with_choice(
    Q: Float,
    model: dict[str, NDArray[Any]],
    obs: int,
    action: int,
    reward: float,
    next_obs: int,
    terminated: bool,
    *,
    num_planning: int,
    alpha: float,
    gamma: float,
    rng: np.random.Generator,
) -> None:
    """Remember first, and treat the real step as one more that is looked up."""
    model["visited"][obs, action] = True
    model["reward"][obs, action] = reward
    model["next_obs"][obs, action] = next_obs
    model["terminated"][obs, action] = terminated
    flat = np.flatnonzero(model["visited"])
    steps = [obs * Q.shape[1] + action, *rng.choice(flat, size=num_planning)]
    for step in steps:
        s, a = divmod(int(step), Q.shape[1])
        goes_on = 1 - model["terminated"][s, a]
        target = model["reward"][s, a] + gamma * goes_on * Q[model["next_obs"][s, a]].max()
        Q[s, a] += alpha * (target - Q[s, a])


def ucb_in_numpy(
    num_parent: int, total_value: float, num_visits: int, c: float
) -> np.floating[Any]:
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.float64(total_value) / num_visits
        score += c * np.sqrt(np.log(num_parent) / np.float64(num_visits))
    return np.float64(np.inf) if num_visits == 0 else score


def ucb_from_the_end(num_parent: int, total_value: float, num_visits: int, c: float) -> float:
    if num_visits:
        return (total_value + c * math.sqrt(num_visits * math.log(num_parent))) / num_visits
    return math.inf


class TreeOfRecords:
    """Nodes as objects that know each other."""

    def record(self, board: State, above: int | None, depth: int) -> Any:
        from types import SimpleNamespace

        return SimpleNamespace(board=board, above=above, depth=depth, below=[], n=0, w=0.0)

    def __init__(self, state: State) -> None:
        self.nodes = [self.record(tuple(state), None, 0)]

    def select(self, c: float) -> int:
        number = 0
        while True:
            node = self.nodes[number]
            if is_terminal(node.board) or len(node.below) < len(legal_moves(node.board)):
                return number
            best, best_score = -1, -float("inf")
            for child in node.below:
                n, w = self.nodes[child].n, self.nodes[child].w
                score = w / n + c * np.sqrt(np.log(node.n) / n)
                if score > best_score:
                    best, best_score = child, score
            number = best

    def expand(self, node: int) -> int:
        record = self.nodes[node]
        if is_terminal(record.board):
            return node
        tried = {self.nodes[child].board for child in record.below}
        for move in legal_moves(record.board):
            if (board := play(record.board, move)) not in tried:
                record.below.append(len(self.nodes))
                self.nodes.append(self.record(board, node, record.depth + 1))
                return int(record.below[-1])
        raise ValueError("all moves were tried")

    def backup(self, node: int, value: float) -> None:
        number: Any = node
        while number is not None:
            record = self.nodes[number]
            record.n += 1
            record.w += value if record.depth % 2 == 1 else -value
            number = record.above

    def statistics(self) -> tuple[list[int], list[float]]:
        return [node.n for node in self.nodes], [node.w for node in self.nodes]


class TreeOfPaths:
    """A node is the sequence of moves that leads to it; arrays keep the numbers."""

    def __init__(self, state: State) -> None:
        self.root = state
        self.paths: list[tuple[int, ...]] = [()]
        self.numbers: dict[tuple[int, ...], int] = {(): 0}
        self.n, self.w = np.zeros(10_000, dtype=int), np.zeros(10_000)

    def board(self, path: tuple[int, ...]) -> State:
        state = self.root
        for move in path:
            state = play(state, move)
        return state

    def select(self, c: float) -> int:
        path: tuple[int, ...] = ()
        while not is_terminal(self.board(path)):
            below = [(*path, move) for move in legal_moves(self.board(path))]
            if not all(longer in self.numbers for longer in below):
                break
            at = [self.numbers[longer] for longer in below]
            bonus = np.sqrt(np.log(self.n[self.numbers[path]]) / self.n[at])
            path = below[int(np.argmax(self.w[at] / self.n[at] + c * bonus))]
        return self.numbers[path]

    def expand(self, node: int) -> int:
        path = self.paths[node]
        if is_terminal(self.board(path)):
            return node
        below = [(*path, move) for move in legal_moves(self.board(path))]
        new = next(longer for longer in below if longer not in self.numbers)
        self.numbers[new] = len(self.paths)
        self.paths.append(new)
        return self.numbers[new]

    def backup(self, node: int, value: float) -> None:
        path = self.paths[node]
        for depth in range(len(path), -1, -1):
            number = self.numbers[path[:depth]]
            self.n[number] += 1
            self.w[number] -= value * (-1) ** depth

    def statistics(self) -> tuple[list[int], list[float]]:
        count = len(self.paths)
        return self.n[:count].tolist(), self.w[:count].tolist()


def rollout_by_recursion(state: State, player: int, rng: np.random.Generator) -> float:
    def result(board: State) -> int:
        if is_terminal(board):
            return winner(board)
        return result(play(board, int(rng.choice(legal_moves(board)))))

    won = result(state)
    return 0.0 if won == 0 else 1.0 if won == player else -1.0


def rollout_by_order(state: State, player: int, rng: np.random.Generator) -> int:
    """Shuffle the free cells once and fill them in that order."""
    for cell in rng.permutation([i for i, mark in enumerate(state) if mark == 0]):
        if is_terminal(state):
            break
        state = play(state, int(cell))
    return player * winner(state)


def mcts_with_nodes(
    state: State, *, num_simulations: int, c: float, rng: np.random.Generator
) -> int:
    """Nodes as lists; untried moves in random order, ties broken at random."""
    root: list[Any] = [state, {}, 0, 0.0]  # board, children by move, visits, total
    for _ in range(num_simulations):
        path = [root]
        while not is_terminal(path[-1][0]):
            board, children, n, _total = path[-1]
            untried = [move for move in legal_moves(board) if move not in children]
            if untried:
                move = int(rng.choice(untried))
                children[move] = [play(board, move), {}, 0, 0.0]
                path.append(children[move])
                break
            best = max(
                children,
                key=lambda m: (
                    children[m][3] / children[m][2] + c * (np.log(n) / children[m][2]) ** 0.5,
                    rng.random(),
                ),
            )
            path.append(children[best])
        board = path[-1][0]
        while not is_terminal(board):
            board = play(board, int(rng.choice(legal_moves(board))))
        for node in path:
            node[2] += 1
            node[3] += winner(board) * -to_move(node[0])
    return int(min(root[1], key=lambda move: (-root[1][move][2], move)))


def mcts_with_recursion(
    state: State, *, num_simulations: int, c: float, rng: np.random.Generator
) -> np.int64:
    """Positions share their numbers, however they were reached; values for who is to move."""
    from collections import defaultdict

    visits: dict[State, int] = defaultdict(int)
    worth: dict[State, float] = defaultdict(float)

    def simulate(board: State) -> float:
        if is_terminal(board):
            value = float(winner(board) * to_move(board))
        elif visits[board] == 0:
            end = board
            while not is_terminal(end):
                moves = legal_moves(end)
                end = play(end, moves[int(rng.random() * len(moves))])
            value = float(winner(end) * to_move(board))
        else:
            after = [play(board, move) for move in legal_moves(board)]
            new = [later for later in after if visits[later] == 0]
            log = np.log(visits[board])
            value = -simulate(
                new[0]
                if new
                else max(after, key=lambda b: -worth[b] / visits[b] + c * (log / visits[b]) ** 0.5)
            )
        visits[board] += 1
        worth[board] += value
        return value

    visits[state] = 1
    for _ in range(num_simulations):
        simulate(state)
    counts = np.full(9, -1)
    for move in legal_moves(state):
        counts[move] = visits[play(state, move)]
    return np.int64(counts.argmax())


def puct_by_loop(prior: Float, num_visits: Int, Q: Float, c: float) -> Float:
    total, parent = sum(prior), sum(num_visits)
    return np.array(
        [
            q + c * (p / total) * parent**0.5 / (1 + n)
            for p, n, q in zip(prior, num_visits, Q, strict=True)
        ]
    )


def puct_in_torch(prior: Float, num_visits: Int, Q: Float, c: float) -> Any:
    import torch

    p = torch.nn.functional.normalize(torch.tensor(prior), p=1, dim=0)
    n = torch.tensor(num_visits)
    return torch.tensor(Q) + c * p * n.sum().double().sqrt() / (n + 1)


def fitted_by_dictionary(
    data: list[Transition],
    *,
    num_obs: int,
    num_actions: int,
    gamma: float,
    num_iterations: int,
    penalty: float,
) -> Float:
    from collections import defaultdict

    groups: dict[tuple[int, int], list[tuple[float, int, bool]]] = defaultdict(list)
    for s, a, r, x, over in data:
        groups[s, a].append((r, x, over))
    worst = min(0, *(r for _, _, r, _, _ in data)) / (1 - gamma)
    Q = np.full((num_obs, num_actions), worst if penalty else 0.0)
    for pair in groups:
        Q[pair] = 0.0
    for _ in range(num_iterations):
        new = Q.copy()
        for pair, steps in groups.items():
            targets = [r if over else r + gamma * Q[x].max() for r, x, over in steps]
            new[pair] = np.mean(targets) - penalty / np.sqrt(len(steps))
        Q = new
    return Q


def fitted_by_matrix(
    data: list[Transition],
    *,
    num_obs: int,
    num_actions: int,
    gamma: float,
    num_iterations: int,
    penalty: float,
) -> Float:
    """The mean over a pair's transitions is one matrix; a step that ended is missing in it."""
    size = num_obs * num_actions
    counts, ahead, pay = np.zeros(size), np.zeros((size, num_obs)), np.zeros(size)
    for s, a, r, x, over in data:
        pair = s * num_actions + a
        counts[pair] += 1
        pay[pair] += r
        ahead[pair, x] += not over
    share = np.divide(1.0, counts, out=np.zeros(size), where=counts > 0)
    unseen = 0.0
    if penalty > 0:
        unseen = min([0.0, *(step[2] for step in data)]) / (1 - gamma)
    constant = share * pay - penalty * np.sqrt(share) + (counts == 0) * unseen
    q = (counts == 0) * unseen
    for _ in range(num_iterations):
        V = q.reshape(num_obs, num_actions).max(axis=1)
        q = constant + gamma * share * (ahead @ V)
    return np.asarray(q.reshape(num_obs, num_actions))
