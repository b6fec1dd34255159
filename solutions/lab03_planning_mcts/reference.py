"""Lab 3, reference: planning with a model that is known, learned, or only simulated.

``P`` has shape ``(num_obs, num_actions, num_obs)`` and holds probabilities, ``R`` and ``Q`` have
shape ``(num_obs, num_actions)`` and are in reward units; observations and actions are whole
numbers. A board of tic-tac-toe is a tuple of nine whole numbers.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from labkit.runtime import progress

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Transition = tuple[int, int, float, int, bool]
Model = dict[str, NDArray[Any]]
State = tuple[int, ...]
Player = Callable[[State, np.random.Generator], int]
TabularEnv = gym.Env[Any, Any]


def env_model(env: TabularEnv) -> tuple[Float, Float, NDArray[np.bool_]]:
    """Return the transitions and rewards of a Gymnasium table, and which observations are terminal.

    An observation that a terminating step leads to keeps the agent, for a reward of 0.

    Args:
        env: environment whose ``unwrapped.P[obs][action]`` lists
            ``(probability, next_obs, reward, terminated)``.

    Returns:
        ``P``, shape ``(num_obs, num_actions, num_obs)``; ``R``, the expected reward, shape
        ``(num_obs, num_actions)``; and ``terminal``, shape ``(num_obs,)``.
    """
    table = env.unwrapped.P  # type: ignore[attr-defined]
    P = np.zeros((len(table), len(table[0]), len(table)))
    R = np.zeros(P.shape[:2])
    terminal = np.zeros(len(table), dtype=bool)
    for here, actions in table.items():
        for do, outcomes in actions.items():
            for probability, there, gain, ends in outcomes:
                P[here, do, there] += probability
                R[here, do] += probability * gain
                terminal[there] |= ends
    P[terminal], R[terminal] = np.eye(len(table))[terminal][:, None], 0.0
    return P, R, terminal


# ---- a known model ----------------------------------------------------------------------------


def value_iteration(
    P: Float, R: Float, terminal: NDArray[np.bool_], *, gamma: float, tol: float
) -> tuple[Float, Int]:
    """Repeat ``V(s) = max_a [R(s, a) + gamma * sum_s' P(s' | s, a) V(s')]`` until it hardly moves.

    Starts from zeros. Stops after the first sweep whose largest change, up or down, is below
    ``tol * (1 - gamma) / (2 * gamma)``: then the greedy policy loses less than ``tol`` anywhere. A
    sweep may compute all values from the old ones or use new ones at once; both are right.

    Args:
        P: probability of each next observation, shape ``(num_obs, num_actions, num_obs)``.
        R: expected reward, shape ``(num_obs, num_actions)``.
        terminal: true for observations where the episode is over, shape ``(num_obs,)``. Their value
            is 0, whatever ``P`` and ``R`` say about them.
        gamma: discount per step, above 0 and below 1.
        tol: how much the policy may lose, in reward units, above 0.

    Returns:
        ``V``, shape ``(num_obs,)``, after the last sweep, and the policy that is greedy for it:
        whole numbers of shape ``(num_obs,)``, the first of equal actions. What the policy says
        about a terminal observation means nothing.

    Source: Puterman (1994), section 6.3; Sutton & Barto (2018), section 4.4.
    """
    V = np.zeros(len(P))
    change = np.inf
    while change >= tol * (1 - gamma) / (2 * gamma):
        backed_up = np.where(terminal, 0.0, (R + gamma * P @ V).max(axis=1))
        change = np.abs(backed_up - V).max()
        V = backed_up
    pi = (R + gamma * P @ V).argmax(axis=1)
    return V, pi


def policy_iteration(P: Float, R: Float, *, gamma: float) -> tuple[Int, Float, int]:
    """Value the policy exactly, make it greedy for that value, repeat until it no longer changes.

    Starts with action 0 everywhere. Values that differ by less than 1e-9 are equal, since rounding
    alone makes them differ. An action changes only where another one is better, and then to the
    first of the best: a policy that follows rounding errors may never settle. A terminal
    observation leads to itself with reward 0.

    Args:
        P: probability of each next observation, shape ``(num_obs, num_actions, num_obs)``.
        R: expected reward, shape ``(num_obs, num_actions)``.
        gamma: discount per step, in ``[0, 1)``.

    Returns:
        The optimal policy, whole numbers of shape ``(num_obs,)``; its exact value ``V``, shape
        ``(num_obs,)``; and how often a policy was valued, the last time included.

    Source: Howard (1960); Sutton & Barto (2018), section 4.3 and exercise 4.4.
    """
    num_obs = len(P)
    everywhere = np.arange(num_obs)
    pi = np.zeros(num_obs, dtype=np.int64)
    num_iterations = 0
    while True:
        num_iterations += 1
        P_pi, R_pi = P[everywhere, pi], R[everywhere, pi]
        V = np.linalg.solve(np.eye(num_obs) - gamma * P_pi, R_pi).astype(np.float64)
        Q = R + gamma * P @ V
        best = Q.max(axis=1)
        better = best > Q[everywhere, pi] + 1e-9
        if not better.any():
            return pi, V, num_iterations
        first_best = (best[:, None] - Q < 1e-9).argmax(axis=1)
        pi = np.where(better, first_best, pi)


def slippery_room(size: int, slip: float) -> tuple[Float, Float]:
    """Return the model of an empty square room with a goal in its last cell: full of equal actions.

    Actions are up, right, down and left; every step costs 1, and into a wall nothing moves. The
    goal leads to itself with reward 0.

    Args:
        size: rows and columns.
        slip: probability that a step goes in a direction drawn at random.

    Returns:
        ``P``, shape ``(size**2, 4, size**2)``, and ``R``, shape ``(size**2, 4)``.
    """
    cells = size * size
    P, R = np.zeros((cells, 4, cells)), np.full((cells, 4), -1.0)
    for here in range(cells):
        row, column = divmod(here, size)
        beside = [
            min(max(row + down, 0), size - 1) * size + min(max(column + right, 0), size - 1)
            for down, right in ((-1, 0), (0, 1), (1, 0), (0, -1))
        ]
        for direction, there in enumerate(beside):
            P[here, direction, there] += 1 - slip
            P[here, :, there] += slip / 4
    P[-1], R[-1] = np.eye(cells)[-1], 0.0
    return P, R


# ---- a learned model --------------------------------------------------------------------------


def fit_model(
    num_obs: int, num_actions: int, transitions: list[Transition]
) -> tuple[Float, Float, Int]:
    """Return ``P_hat(s' | s, a)``, the share of visits that led to s', and the mean reward.

    A pair that was never tried leads everywhere with equal probability, for reward 0. An
    observation in which an episode terminated leads to itself with reward 0, whatever is done.

    Args:
        num_obs: number of observations.
        num_actions: number of actions.
        transitions: ``(obs, action, reward, next_obs, terminated)``, as they were lived through;
            no transition starts in a terminal observation.

    Returns:
        ``P_hat``, shape ``(num_obs, num_actions, num_obs)``; ``R_hat``, shape
        ``(num_obs, num_actions)``; and ``N``, how often each pair was tried, whole numbers of shape
        ``(num_obs, num_actions)``.

    Source: Sutton & Barto (2018), section 8.1; the certainty-equivalence estimate of section 6.3.
    """
    counts = np.zeros((num_obs, num_actions, num_obs))
    reward_sum = np.zeros((num_obs, num_actions))
    terminal = set()
    for obs, action, reward, next_obs, terminated in transitions:
        counts[obs, action, next_obs] += 1
        reward_sum[obs, action] += reward
        if terminated:
            terminal.add(next_obs)
    N = counts.sum(axis=2)
    P_hat = np.full(counts.shape, 1.0 / num_obs)
    R_hat = np.zeros(N.shape)
    tried = N > 0
    P_hat[tried] = counts[tried] / N[tried][:, None]
    R_hat[tried] = reward_sum[tried] / N[tried]
    for obs in terminal:
        P_hat[obs] = np.eye(num_obs)[obs]
        R_hat[obs] = 0.0
    return P_hat, R_hat, N.astype(np.int64)


def empty_model(num_obs: int, num_actions: int) -> Model:
    """Return Dyna's memory before the first step: one last outcome per pair, and which are known.

    Args:
        num_obs: number of observations.
        num_actions: number of actions.
    """
    shape = (num_obs, num_actions)
    return {
        "visited": np.zeros(shape, dtype=bool),
        "reward": np.zeros(shape),
        "next_obs": np.zeros(shape, dtype=np.int64),
        "terminated": np.zeros(shape, dtype=bool),
    }


def dyna_q_step(
    Q: Float,
    model: Model,
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
    """Learn from one real step by Q-learning, remember it, then learn from imagined steps.

    Each of ``num_planning`` imagined steps takes a pair that was visited before (the one just
    visited counts), drawn uniformly from all such pairs and with replacement, and its remembered
    outcome. Every update is
    ``Q[s, a] += alpha * (r + gamma * max_a' Q[s', a'] - Q[s, a])``, without a future where the
    outcome terminated. ``Q`` and ``model`` change in place.

    Args:
        Q: action values, shape ``(num_obs, num_actions)``.
        model: arrays of shape ``(num_obs, num_actions)`` by name: ``"visited"`` (bool), and of each
            visited pair the last ``"reward"``, ``"next_obs"`` (whole numbers) and ``"terminated"``
            (bool). Entries of other pairs mean nothing.
        obs: where the agent was.
        action: what it did there.
        reward: what it got for it.
        next_obs: where that led.
        terminated: true if ``next_obs`` is terminal.
        num_planning: number of imagined steps, 0 or more.
        alpha: step size, in ``(0, 1]``.
        gamma: discount per step, in ``[0, 1]``.
        rng: source of the pairs.

    Source: Sutton (1990); Sutton & Barto (2018), section 8.2, "Tabular Dyna-Q".
    """
    future = 0.0 if terminated else Q[next_obs].max()
    Q[obs, action] += alpha * (reward + gamma * future - Q[obs, action])
    model["visited"][obs, action] = True
    model["reward"][obs, action] = reward
    model["next_obs"][obs, action] = next_obs
    model["terminated"][obs, action] = terminated
    known = np.argwhere(model["visited"])
    for s, a in known[rng.integers(len(known), size=num_planning)]:
        ends, then = model["terminated"][s, a], model["next_obs"][s, a]
        best = 0.0 if ends else Q[then].max()
        Q[s, a] += alpha * (model["reward"][s, a] + gamma * best - Q[s, a])


def dyna_runs(
    step: Callable[..., None],
    *,
    num_planning: int,
    num_runs: int,
    num_episodes: int,
    first_seed: int = 0,
    alpha: float = 0.1,
    gamma: float = 0.95,
    epsilon: float = 0.1,
) -> tuple[Float, Int]:
    """Run agents in the Dyna maze, epsilon-greedy with random ties, each from a table of zeros.

    Args:
        step: your ``dyna_q_step``.
        num_planning: imagined steps per real step.
        num_runs: number of agents, each with its own seed.
        num_episodes: episodes per agent.
        first_seed: seed of the first agent; the others follow.
        alpha: step size.
        gamma: discount per step.
        epsilon: probability of exploring.

    Returns:
        Tables, shape ``(num_runs, 54, 4)``, and the length of each episode in steps, shape
        ``(num_runs, num_episodes)``.

    Source: Sutton & Barto (2018), example 8.1.
    """
    env = gym.make("labkit.envs:labkit/DynaMaze-v0", disable_env_checker=True)
    tables = np.zeros((num_runs, 54, 4))
    lengths = np.zeros((num_runs, num_episodes), dtype=np.int64)
    for run in progress(range(num_runs), desc=f"n = {num_planning}"):
        rng = np.random.default_rng(first_seed + run)
        Q, memory = tables[run], empty_model(54, 4)
        for episode in range(num_episodes):
            here, over = env.reset()[0], False
            while not over:
                best = np.flatnonzero(Q[here] == Q[here].max())
                options = range(4) if rng.random() < epsilon else best
                do = int(options[rng.integers(len(options))])
                there, gain, over, _, _ = env.step(do)
                step(Q, memory, here, do, float(gain), there, over, num_planning=num_planning,
                     alpha=alpha, gamma=gamma, rng=rng)  # fmt: skip
                here = there
                lengths[run, episode] += 1
    return tables, lengths


# ---- a simulator: tic-tac-toe -----------------------------------------------------------------


LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))


def legal_moves(state: State) -> list[int]:
    """Return the empty cells, lowest first. A game that is won has some too: see `is_terminal`.

    Args:
        state: nine cells, row by row: 1 is X, who moves first, -1 is O, 0 is empty.
    """
    return [cell for cell in range(9) if state[cell] == 0]


def to_move(state: State) -> int:
    """Return whose turn it is: 1 for X, -1 for O."""
    return 1 if sum(state) == 0 else -1


def play(state: State, move: int) -> State:
    """Return the board after the player whose turn it is marks cell ``move``.

    Raises:
        ValueError: if the cell is taken or not on the board.
    """
    if not 0 <= move <= 8 or state[move]:
        raise ValueError(f"cell {move} is not free")
    return (*state[:move], to_move(state), *state[move + 1 :])


@cache
def winner(state: State) -> int:
    """Return who has three in a row: 1 for X, -1 for O, 0 for nobody (yet)."""
    for i, j, k in LINES:
        if state[i] and state[i] == state[j] == state[k]:
            return state[i]
    return 0


def is_terminal(state: State) -> bool:
    """Return whether the game is over: won, or the board is full."""
    return 0 not in state or winner(state) != 0


def ucb(num_parent: int, total_value: float, num_visits: int, c: float) -> float:
    """Return ``total_value / num_visits + c * sqrt(log(num_parent) / num_visits)``.

    What was never tried comes first: infinity where ``num_visits`` is 0.

    Args:
        num_parent: visits of the parent, 1 or more.
        total_value: sum of the child's results, in the view of the player who chooses.
        num_visits: visits of the child.
        c: how much to explore, 0 or more.

    Source: Auer et al. (2002), UCB1 (there ``c = sqrt(2)``); Kocsis & Szepesvari (2006), eq. 1.
    """
    if num_visits == 0:
        return math.inf
    return total_value / num_visits + c * math.sqrt(math.log(num_parent) / num_visits)


class SearchTree:
    """A tree of positions that grows by one node per simulation. Nodes are numbered as they come.

    Args:
        state: the position to search from: node 0. Whose turn it is there is the root player.

    Attributes:
        state: position of each node.
        parent: number of each node's parent, -1 for the root.
        move: the move that led to each node, -1 for the root.
        children: numbers of each node's children so far, in the order of their moves.
        visits: how often each node was backed up through.
        totals: sum of each node's results in the view of the player who moved *into* it, so that
            whoever chooses among children wants ``totals / visits`` large.

    Source: Kocsis & Szepesvari (2006), Algorithm 1; Browne et al. (2012), Algorithm 2.
    """

    def __init__(self, state: State) -> None:
        """Begin with the root alone, never visited."""
        self.state = [state]
        self.parent = [-1]
        self.move = [-1]
        self.children: list[list[int]] = [[]]
        self.visits = [0]
        self.totals = [0.0]

    def select(self, c: float) -> int:
        """Return the node to expand: walk down from the root while all moves of a node were tried.

        Of a node's children the one with the largest ``ucb`` is next, the first of equal ones. A
        terminal node, or one with a move that was never tried, is where the walk ends.

        Args:
            c: how much to explore.
        """
        node = 0
        while not is_terminal(self.state[node]):
            children = self.children[node]
            if len(children) < len(legal_moves(self.state[node])):
                break
            log = math.log(self.visits[node])
            scores = [
                self.totals[child] / self.visits[child] + c * math.sqrt(log / self.visits[child])
                for child in children
            ]
            node = children[scores.index(max(scores))]
        return node

    def expand(self, node: int) -> int:
        """Add the child for the lowest move that was not tried yet, and return its number.

        A terminal node has no children: it is returned itself.

        Args:
            node: number of a node that has a move left to try, or is terminal.
        """
        state = self.state[node]
        if is_terminal(state):
            return node
        move = legal_moves(state)[len(self.children[node])]
        child = len(self.state)
        self.state.append(play(state, move))
        self.parent.append(node)
        self.move.append(move)
        self.children.append([])
        self.visits.append(0)
        self.totals.append(0.0)
        self.children[node].append(child)
        return child

    def backup(self, node: int, value: float) -> None:
        """Count a visit and add a result at ``node`` and all nodes above it, the root included.

        Args:
            node: where the simulation left the tree.
            value: the result in the view of the root player, who is to move at node 0.
        """
        root_player = to_move(self.state[0])
        while node >= 0:
            moved_in = -to_move(self.state[node])
            self.visits[node] += 1
            self.totals[node] += value if moved_in == root_player else -value
            node = self.parent[node]

    def statistics(self) -> tuple[list[int], list[float]]:
        """Return ``visits`` and ``totals``, by node."""
        return list(self.visits), list(self.totals)


def rollout(state: State, player: int, rng: np.random.Generator) -> float:
    """Play uniformly random moves to the end; return 1 if ``player`` wins, -1 if not, 0 for a draw.

    Args:
        state: where to begin; if the game is over there, nothing is played.
        player: in whose view the result is, 1 or -1; need not be the one to move.
        rng: source of the moves.

    Returns:
        1.0, 0.0 or -1.0.

    Source: Browne et al. (2012), section 3.1.
    """
    while not is_terminal(state):
        moves = legal_moves(state)
        state = play(state, moves[rng.integers(len(moves))])
    return float(winner(state) * player)


def mcts_move(state: State, *, num_simulations: int, c: float, rng: np.random.Generator) -> int:
    """Search from ``state`` with UCT and return the root move that was visited most.

    Every simulation walks down a new tree by ``ucb`` to a node with untried moves, adds the child
    of one of them, plays random moves from there to the end, and adds the result to all nodes on
    the way, each in the view of the player who moved into it. A terminal node is not expanded: its
    own result is what is added.

    Args:
        state: the position, not terminal.
        num_simulations: number of simulations, at least the number of legal moves.
        c: how much to explore.
        rng: source of the random moves.

    Returns:
        The move, an ``int`` from 0 to 8; the lowest of equally visited ones.

    Source: Kocsis & Szepesvari (2006); Browne et al. (2012), section 3.3 ("robust child").
    """
    visits: dict[State, int] = {(): 0}  # a node is named by the moves that lead to it
    totals: dict[State, float] = {(): 0.0}

    def score(node: State, move: int) -> float:
        n = visits[*node, move]
        return totals[*node, move] / n + c * math.sqrt(math.log(visits[node]) / n)

    for _ in range(num_simulations):
        node: State = ()
        board = state
        while not is_terminal(board):
            untried = [move for move in legal_moves(board) if (*node, move) not in visits]
            options = untried or legal_moves(board)
            move = options[0] if untried else max(options, key=lambda m: score(node, m))
            node, board = (*node, move), play(board, move)
            if untried:
                break
        visits.setdefault(node, 0)
        totals.setdefault(node, 0.0)
        while not is_terminal(board):
            moves = legal_moves(board)
            board = play(board, moves[rng.integers(len(moves))])
        value = winner(board) * to_move(state)
        for depth in range(len(node) + 1):
            visits[node[:depth]] += 1
            totals[node[:depth]] += value if depth % 2 else -value
    return max(legal_moves(state), key=lambda move: visits[(move,)])


def random_player(state: State, rng: np.random.Generator) -> int:
    """Return any legal move."""
    return int(rng.choice(legal_moves(state)))


@cache
def minimax(state: State) -> int:
    """Return the result for X if both sides play perfectly from here: 1, 0 or -1."""
    if is_terminal(state):
        return winner(state)
    results = [minimax(play(state, cell)) for cell in legal_moves(state)]
    return max(results) if to_move(state) == 1 else min(results)


def perfect_player(state: State, rng: np.random.Generator) -> int:
    """Return one of the moves that keep the perfect result, each as likely as the others."""
    kept = [cell for cell in legal_moves(state) if minimax(play(state, cell)) == minimax(state)]
    return int(rng.choice(kept))


def play_games(player: Player, opponent: Player, *, num_games: int, seed: int) -> dict[str, int]:
    """Play games of tic-tac-toe, ``player`` moving first in every other one, and count results.

    Args:
        player: ``player(state, rng)`` returns a move.
        opponent: the other player.
        num_games: number of games.
        seed: seed of both players' random numbers.

    Returns:
        The number of games that ``player`` has ``"won"``, ``"drawn"`` and ``"lost"``.
    """
    rng = np.random.default_rng(seed)
    counts = {"won": 0, "drawn": 0, "lost": 0}
    for game in range(num_games):
        mark = 1 if game % 2 == 0 else -1
        board: State = (0,) * 9
        while not is_terminal(board):
            mover = player if to_move(board) == mark else opponent
            board = play(board, int(mover(board, rng)))
        counts[("drawn", "won", "lost")[winner(board) * mark]] += 1
    return counts


def puct(prior: Float, num_visits: Int, Q: Float, c: float) -> Float:
    """Return ``Q + c * p * sqrt(sum(num_visits)) / (1 + num_visits)``, ``p = prior / sum(prior)``.

    Args:
        prior: what a network thinks of each action: 0 or more, 0 for illegal ones, not all 0, shape
            ``(num_actions,)``. Need not sum to 1.
        num_visits: visits of each action's child, shape ``(num_actions,)``.
        Q: mean value of each child in the view of the player who chooses, shape
            ``(num_actions,)``.
        c: how much to explore.

    Returns:
        The scores, shape ``(num_actions,)``. Whoever takes the largest one leaves illegal actions
        out: here they only get no bonus.

    Source: Rosin (2011); Silver et al. (2017), AlphaGo Zero, Methods, "Select".
    """
    p = prior / prior.sum()
    scores: Float = Q + c * p * np.sqrt(num_visits.sum()) / (1 + num_visits)
    return scores


# ---- a fixed data set -------------------------------------------------------------------------


def fitted_q_iteration(
    data: list[Transition],
    *,
    num_obs: int,
    num_actions: int,
    gamma: float,
    num_iterations: int,
    penalty: float,
) -> Float:
    """Repeat ``Q(s, a) = mean of [r + gamma * max_a' Q(s', a')] - penalty / sqrt(n(s, a))``.

    The mean is over the ``n(s, a)`` transitions of the pair, without a future where they
    terminated; all pairs change at once. Q starts at 0. A pair without data keeps its 0 if
    ``penalty`` is 0. With a penalty it counts as the worst there can be, from the start on: the
    lowest reward in the data, for ever, ``min(0, lowest) / (1 - gamma)``.

    Args:
        data: ``(obs, action, reward, next_obs, terminated)``; nothing else is ever seen.
        num_obs: number of observations.
        num_actions: number of actions.
        gamma: discount per step, in ``[0, 1)``.
        num_iterations: number of repetitions.
        penalty: price of doubt in reward units, 0 for none.

    Returns:
        ``Q``, shape ``(num_obs, num_actions)``.

    Source: Ernst et al. (2005), Algorithm 1; the penalty as in Jin et al. (2021), PEVI.
    """
    obs, action, reward, next_obs, terminated = (
        np.array(column) for column in zip(*data, strict=True)
    )
    n = np.zeros((num_obs, num_actions))
    np.add.at(n, (obs, action), 1)
    worst = min(0.0, reward.min()) / (1 - gamma)
    unseen = worst if penalty > 0 else 0.0
    Q = np.where(n > 0, 0.0, unseen)
    for _ in range(num_iterations):
        future = np.where(terminated, 0.0, Q[next_obs].max(axis=1))
        total = np.zeros(Q.shape)
        np.add.at(total, (obs, action), reward + gamma * future)
        seen = np.maximum(n, 1)
        Q = np.where(n > 0, total / seen - penalty / np.sqrt(seen), unseen)
    return Q


def log_cliff(num_episodes: int, rng: np.random.Generator) -> list[Transition]:
    """Return what a driver who knows the way saw on the cliff; the last step terminates.

    Of every episode the row to cross in is drawn (two, three or four rows up, the ledge included
    as the lowest); one action in ten is random.

    Args:
        num_episodes: number of episodes, each to the goal.
        rng: source of all randomness.
    """
    env = gym.make("CliffWalking-v1", disable_env_checker=True)
    data: list[Transition] = []
    for _ in range(num_episodes):
        row = int(rng.integers(3))
        here, over = int(env.reset()[0]), False
        while not over:
            y, x = divmod(here, 12)
            route = 2 if x == 11 else 1 if y == row else 0 if y > row else 2
            do = int(rng.integers(4)) if rng.random() < 0.1 else route
            there, gain, over, _, _ = env.step(do)
            data.append((here, do, float(gain), int(there), bool(over)))
            here = int(there)
    return data


def greedy_return(Q: Float, *, max_steps: int = 200) -> float:
    """Return the sum of rewards of the greedy policy on the cliff, over 200 steps at most.

    Args:
        Q: action values, shape ``(48, 4)``; the first of equal actions is taken.
        max_steps: who has not arrived by then walks no further.
    """
    env = gym.make("CliffWalking-v1", disable_env_checker=True)
    here, total = env.reset()[0], 0.0
    for _ in range(max_steps):
        here, gain, over, _, _ = env.step(int(Q[here].argmax()))
        total += float(gain)
        if over:
            break
    return total
