"""Lab 3, cases: what each exercise is tried on.

Processes are drawn so that no two actions come near each other unless a group is about ties, and so
that what a terminal observation must not do would show. Boards are drawn so that what has to be
found is certain: a search that is right finds it with a probability above 1 - 1e-6.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from autograder.spec import Case, apart, seed
from solutions.lab03_planning_mcts import reference
from solutions.lab03_planning_mcts.reference import Float, State, Transition

Rng = np.random.Generator
Cases = Iterator[Case]


# ---- 1. value_iteration -----------------------------------------------------------------------


def one_road(rng: Rng) -> Cases:
    """Three cells and an end. V = -1, -1.9, and staying for -0.5 is worth more than it seems.

    From 1 the end costs 1; from 0 the way over 1 costs 1 + 0.9 = 1.9, the direct one 5. The end
    promises 7 for ever, which nobody may collect.
    """
    P, R = np.zeros((3, 2, 3)), np.array([[-1.0, -5.0], [-3.0, -1.0], [7.0, 6.0]])
    P[0, 0, 1] = P[0, 1, 2] = P[1, 0, 0] = P[1, 1, 2] = P[2, :, 2] = 1.0
    terminal = np.array([False, False, True])
    yield {"P": P, "R": R, "terminal": terminal, "gamma": 0.9, "tol": 1e-6}


def process(rng: Rng, *, sign: float) -> Case:
    """A random process with rewards of one sign; in its end everything pays and goes on."""
    num_obs, num_actions = 6, 3
    while True:
        P = rng.dirichlet(np.full(num_obs, 0.5), size=(num_obs, num_actions))
        R = sign * rng.uniform(1, 6, size=(num_obs, num_actions))
        terminal = np.zeros(num_obs, dtype=bool)
        terminal[rng.integers(num_obs)] = True
        R[terminal] = [[9.0, 8.0, 7.0]]
        P[terminal] = np.eye(num_obs)[terminal]  # the first action is the best there, for anybody
        gamma = float(rng.uniform(0.8, 0.9))
        V, _ = reference.value_iteration(P, R, terminal, gamma=gamma, tol=1e-9)
        Q = np.sort(R + gamma * P @ V, axis=1)
        myopic = R.argmax(axis=1) != (R + gamma * P @ V).argmax(axis=1)
        if (Q[:, -1] - Q[:, -2]).min() > 0.05 and myopic.any():
            return {"P": P, "R": R, "terminal": terminal, "gamma": gamma, "tol": 1e-7}


def costs(rng: Rng) -> Cases:
    """All rewards below zero: values only ever fall while they are found."""
    for _ in range(2):
        yield process(rng, sign=-1.0)


def gains(rng: Rng) -> Cases:
    for _ in range(2):
        yield process(rng, sign=1.0)


def rough(rng: Rng) -> Cases:
    """Each cell leads to itself or to the end, so that the number of sweeps shows in the values.

    Computed from old values or from new ones, a sweep does the same here.
    """
    for _ in range(2):
        num_obs = 4
        P = np.zeros((num_obs, 2, num_obs))
        R = np.stack([rng.uniform(1, 2, size=num_obs), rng.uniform(-6, -4, size=num_obs)], axis=1)
        for obs in range(num_obs - 1):
            stays = rng.uniform(0.9, 1.0)
            P[obs, 0, obs], P[obs, 0, -1] = stays, 1 - stays
        P[:, 1, -1] = P[-1, 0, -1] = 1.0
        terminal = np.arange(num_obs) == num_obs - 1
        gamma, tol = float(rng.uniform(0.85, 0.92)), float(rng.uniform(0.2, 0.5))
        yield {"P": P, "R": R, "terminal": terminal, "gamma": gamma, "tol": tol}


def equal_roads(rng: Rng) -> Cases:
    """Two of three roads are equally good, exactly: rewards are whole and gamma is a half."""
    gap = float(rng.integers(1, 4))
    P, R = np.zeros((4, 3, 4)), np.full((4, 3), -8.0 - gap)
    P[:3, :, 3] = 1.0
    P[3, :, 3] = 1.0
    for obs in range(3):
        first, second = sorted(rng.choice(3, size=2, replace=False))
        R[obs, [first, second]] = -2.0 * (obs + 1)
    R[3] = [0.0, -1.0, -2.0]
    terminal = np.array([False, False, False, True])
    yield {"P": P, "R": R, "terminal": terminal, "gamma": 0.5, "tol": 1e-6}


# ---- 2. policy_iteration ----------------------------------------------------------------------


def two_cells(rng: Rng) -> Cases:
    """Stay for 1 or move on for 0 to where staying pays 3.

    Staying is worth 1 / (1 - 0.5) = 2, moving on 0.5 * 6 = 3: two policies are valued, V = 3, 6.
    """
    P, R = np.zeros((2, 2, 2)), np.array([[1.0, 0.0], [3.0, 0.0]])
    P[0, 0, 0] = P[0, 1, 1] = P[1, 0, 1] = P[1, 1, 0] = 1.0
    yield {"P": P, "R": R, "gamma": 0.5}


def long_way(rng: Rng) -> Cases:
    """Random processes that take at least four policies, with no two actions near each other."""
    for _ in range(2):
        while True:
            num_obs = 7
            P = rng.dirichlet(np.full(num_obs, 0.3), size=(num_obs, 4))
            R = rng.uniform(-4, 4, size=(num_obs, 4))
            P[-1], R[-1] = np.eye(num_obs)[-1], 0.0
            gamma = float(rng.uniform(0.85, 0.95))
            _, V, count = reference.policy_iteration(P, R, gamma=gamma)
            Q = np.sort((R + gamma * P @ V)[:-1], axis=1)
            if count >= 4 and (Q[:, -1] - Q[:, -2]).min() > 0.05:
                yield {"P": P, "R": R, "gamma": gamma}
                break


def ties_that_come_late(rng: Rng) -> Cases:
    """An action becomes the only best one first; only later another is as good. It stays.

    Values are exact: gamma is a half, rewards are whole, and nothing leads back. From cell 0 the
    last action ends it for 4 at once; the middle one leads to cell 1, where 0 is earned by action 0
    and 8 by action 1. While cell 1 takes action 0 the last is better, then both are worth 4.
    """
    shift = int(rng.integers(1, 5))
    P, R = np.zeros((4, 3, 4)), np.zeros((4, 3))
    P[0, 1, 1] = P[0, 0, 3] = P[0, 2, 3] = 1.0
    P[1, :, 3] = P[2, :, 3] = P[3, :, 3] = 1.0
    R[0] = [-float(shift), 0.0, 4.0 * shift]
    R[1] = [0.0, 8.0 * shift, -1.0]
    R[2] = [1.0, 3.0 * shift, 3.0 * shift]  # equal from the start on: the first of the best
    yield {"P": P, "R": R, "gamma": 0.5}


def rooms(rng: Rng) -> Cases:
    """Here rounding makes equal actions differ, each time in another way."""
    for size in (3, 4, 5):
        while True:
            P, R = reference.slippery_room(size, float(rng.uniform(0.1, 0.3)))
            R *= float(rng.integers(1, 5))
            gamma = float(rng.choice([0.9, 0.95]))
            if differences_are_clear(P, R, gamma):
                break
        yield {"P": P, "R": R, "gamma": gamma}


def differences_are_clear(P: Float, R: Float, gamma: float) -> bool:
    """Whether, in every round, two values are equal but for rounding or differ by 1e-6 at least."""
    everywhere = np.arange(len(P))
    pi = np.zeros(len(P), dtype=np.int64)
    while True:
        V = np.linalg.solve(np.eye(len(P)) - gamma * P[everywhere, pi], R[everywhere, pi])
        Q = R + gamma * P @ V
        gaps = np.abs(Q[:, :, None] - Q[:, None])
        if ((gaps > 1e-11) & (gaps < 1e-6)).any():
            return False
        better = Q.max(axis=1) > Q[everywhere, pi] + 1e-9
        if not better.any():
            return True
        pi = np.where(better, (Q.max(axis=1)[:, None] - Q < 1e-9).argmax(axis=1), pi)


# ---- 3. fit_model -----------------------------------------------------------------------------


def four_steps(rng: Rng) -> Cases:
    """From 0 action 1 led twice to 1 and once to 2, for 4, 1 and 1; from 1 action 0 ended it."""
    transitions: list[Transition] = [
        (0, 1, 4.0, 1, False),
        (0, 1, 1.0, 1, False),
        (0, 1, 1.0, 2, False),
        (1, 0, 5.0, 3, True),
    ]
    yield {"num_obs": 4, "num_actions": 2, "transitions": transitions}


def lived(rng: Rng, *, ends: bool, everywhere: bool = False) -> Case:
    """Transitions among six observations, 0 to 4 acted in; a few pairs stay unvisited."""
    num_obs, num_actions = 7, 3
    pairs = [(s, a) for s in range(5) for a in range(num_actions)]
    if not everywhere:
        pairs = [pairs[i] for i in rng.permutation(len(pairs))[:9]]
    transitions: list[Transition] = []
    for s, a in pairs:
        for _ in range(int(rng.integers(1, 5))):
            next_obs = int(rng.integers(5))
            transitions.append((s, a, float(rng.uniform(1, 5)), next_obs, False))
    if ends:
        for obs, terminal in ((0, 5), (1, 6), (2, 5)):
            action = int(rng.integers(num_actions))
            transitions.append((obs, action, float(rng.uniform(6, 9)), terminal, True))
    order = rng.permutation(len(transitions))
    shuffled = [transitions[i] for i in order]
    return {"num_obs": num_obs, "num_actions": num_actions, "transitions": shuffled}


def goes_on(rng: Rng) -> Cases:
    """Nothing ends: the last two observations are never met."""
    for _ in range(2):
        yield lived(rng, ends=False)


def comes_to_an_end(rng: Rng) -> Cases:
    for _ in range(2):
        yield lived(rng, ends=True)


def tried_everything(rng: Rng) -> Cases:
    """All pairs of 0 to 4 were tried."""
    yield lived(rng, ends=True, everywhere=True)


# ---- 4. dyna_q_step ---------------------------------------------------------------------------


def memory(rng: Rng, num_obs: int, num_actions: int, share: float) -> reference.Model:
    """A model in which some pairs were visited, some into an end; the others hold rubbish."""
    shape = (num_obs, num_actions)
    model = reference.empty_model(num_obs, num_actions)
    order = rng.permutation(num_obs * num_actions)
    model["visited"].flat[order[: int(share * len(order))]] = True
    model["reward"][...] = rng.uniform(3, 6, size=shape)
    model["next_obs"][...] = rng.integers(num_obs, size=shape)
    model["terminated"][...] = rng.random(shape) < 0.4
    return model


def dyna_case(rng: Rng, model: reference.Model, *, terminated: bool, num_planning: int) -> Case:
    num_obs, num_actions = model["visited"].shape
    obs, next_obs = (int(i) for i in rng.choice(num_obs, size=2, replace=False))
    return {
        "Q": apart(rng, (num_obs, num_actions)),
        "model": model,
        "obs": obs,
        "action": int(rng.integers(num_actions)),
        "reward": float(rng.uniform(7, 9)),
        "next_obs": next_obs,
        "terminated": terminated,
        "num_planning": num_planning,
        "alpha": float(rng.uniform(0.2, 0.4)),
        "gamma": float(rng.uniform(0.7, 0.9)),
        "rng": seed(rng),
    }


def first_step_ever(rng: Rng) -> Cases:
    """By hand, without imagined steps: 1 -> 1 + 0.5 (2 + 0.5 * 8 - 1) = 3.5."""
    Q = np.array([[1.0, 4.0], [8.0, 5.0], [0.5, 3.0]])
    step = {"obs": 0, "action": 0, "reward": 2.0, "next_obs": 1, "terminated": False}
    model = reference.empty_model(3, 2)
    settings = {"num_planning": 0, "alpha": 0.5, "gamma": 0.5, "rng": seed(rng)}
    yield {"Q": Q, "model": model, **step, **settings}


def one_pair_known(rng: Rng) -> Cases:
    """The first step and imagined ones, all of them the same; or into an end; or back to itself.

    A right answer is certain here. It is called often so that a wrong one that draws can be told.
    """
    for terminated, stays in ((False, False), (True, False), (False, True)):
        model = memory(rng, 5, 3, 0.0)
        case = dyna_case(rng, model, terminated=terminated, num_planning=int(rng.integers(2, 6)))
        if stays:
            best = int(case["Q"][case["obs"]].argmax())
            case |= {"next_obs": case["obs"], "action": best}
        yield case


def no_planning(rng: Rng) -> Cases:
    """Without imagined steps it is Q-learning, with a memory."""
    for terminated in (False, True):
        model = memory(rng, 5, 3, 0.5)
        yield dyna_case(rng, model, terminated=terminated, num_planning=0)


def known_again(rng: Rng) -> Cases:
    """The pair was known with another outcome: the new one replaces it, and is what is imagined."""
    model = memory(rng, 4, 2, 0.0)
    case = dyna_case(rng, model, terminated=False, num_planning=3)
    model["visited"][case["obs"], case["action"]] = True
    model["terminated"][case["obs"], case["action"]] = True
    yield case


def some_pairs_known(rng: Rng) -> Cases:
    """A third of the pairs is known, most of one observation; far apart values tell which come up.

    The agent stands where one action is known, and then where all are.
    """
    for stands_alone in (True, False):
        model = memory(rng, 4, 3, 0.0)
        lonely, crowded = (int(i) for i in rng.choice(4, size=2, replace=False))
        model["visited"][crowded] = True
        model["visited"][lonely, int(rng.integers(3))] = True
        model["terminated"][crowded, 0] = model["terminated"][lonely] = True
        model["terminated"][crowded, 1:] = False
        case = dyna_case(rng, model, terminated=False, num_planning=4)
        obs = lonely if stands_alone else crowded
        yield case | {"obs": obs, "action": int(model["visited"][obs].argmax())}


# ---- 5. ucb -----------------------------------------------------------------------------------


def ucb_by_hand(rng: Rng) -> Cases:
    """Three wins and a loss in 4 of 100 visits: 2 / 4 + 1.4 sqrt(4.605 / 4) = 2.0022."""
    yield {"num_parent": 100, "total_value": 2.0, "num_visits": 4, "c": 1.4}


def tried(rng: Rng) -> Cases:
    for _ in range(4):
        num_visits = int(rng.integers(3, 20))
        yield {
            "num_parent": num_visits + int(rng.integers(20, 90)),
            "total_value": float(rng.uniform(-1, 1) * num_visits),
            "num_visits": num_visits,
            "c": float(rng.uniform(0.4, 0.9)),
        }


def never_tried(rng: Rng) -> Cases:
    c = float(rng.uniform(0.4, 0.9))
    yield {"num_parent": int(rng.integers(2, 90)), "total_value": 0.0, "num_visits": 0, "c": c}


def only_child(rng: Rng) -> Cases:
    """The parent was visited once: its logarithm is 0, and the mean is all there is."""
    value = float(rng.choice([-1.0, 1.0]))
    yield {"num_parent": 1, "total_value": value, "num_visits": 1, "c": float(rng.uniform(1, 2))}


# ---- 6. SearchTree ----------------------------------------------------------------------------


def board(*cells: str) -> State:
    """A board from its rows, such as ``"XO."``."""
    return tuple({"X": 1, "O": -1, ".": 0}[cell] for row in cells for cell in row)


def midgame(rng: Rng, num_empty: int) -> State:
    """A random board that is not over, with that many empty cells."""
    while True:
        state: State = (0,) * 9
        for _ in range(9 - num_empty):
            moves = reference.legal_moves(state)
            state = reference.play(state, moves[rng.integers(len(moves))])
            if reference.is_terminal(state):
                break
        else:
            return state


def searched(state: State, values: list[float], c: float) -> Case:
    """Simulations with these results, as calls; the reference says which nodes they name."""
    tree = reference.SearchTree(state)
    calls: list[tuple[str, dict[str, object]]] = []
    for value in values:
        node = tree.select(c)
        calls += [("select", {"c": c}), ("expand", {"node": node})]
        leaf = tree.expand(node)
        calls.append(("backup", {"node": leaf, "value": value}))
        tree.backup(leaf, value)
    calls += [("statistics", {}), ("select", {"c": 0.0}), ("select", {"c": 10.0 * c})]
    return {"init": {"state": state}, "calls": calls}


def results(rng: Rng, count: int) -> list[float]:
    return [float(value) for value in rng.uniform(-1, 1, size=count)]


def five_simulations(rng: Rng) -> Cases:
    """O to move with four cells left, each tried once; the last child is the best and goes on.

    Results are O's, and O moves into the children: they keep 0.5, -1, 0.25 and 0.75. The fifth
    result is 1: O moved into the last child, which then has 1.75, but X moved into its child, -1,
    and into the root, which keeps minus the sum of all, -1.5.
    """
    yield searched(board("XOX", "O..", "X.."), [0.5, -1.0, 0.25, 0.75, 1.0], 1.4)


def grows(rng: Rng) -> Cases:
    """Either player at the root, four or five moves left, deep enough to come round."""
    for num_empty, count in ((4, 14), (5, 25)):
        yield searched(midgame(rng, num_empty), results(rng, count), float(rng.uniform(0.5, 1.5)))


def ends_in_the_tree(rng: Rng) -> Cases:
    """The player to move can win at once, with cells to spare: a won game has no children."""
    states = (board("XX.", "OO.", "..."), board("XO.", "XO.", "..X"))
    for state in states:
        yield searched(state, results(rng, 30), float(rng.uniform(0.3, 0.6)))


def is_over(rng: Rng) -> Cases:
    """The root itself is terminal, with free cells."""
    state = board("XXX", "OO.", "...")
    yield searched(state, results(rng, 3), 1.0)


# ---- 7. rollout -------------------------------------------------------------------------------


def rolled(rng: Rng, state: State, player: int) -> Case:
    return {"state": state, "player": player, "rng": seed(rng)}


def over_already(rng: Rng) -> Cases:
    """Won by X, won by O, drawn; in the eyes of either."""
    states = board("XXX", "OO.", "..."), board("OOO", "XX.", "X.X"), board("XOX", "XOO", "OXX")
    for state in states:
        for player in (1, -1):
            yield rolled(rng, state, player)


def one_cell_left(rng: Rng) -> Cases:
    """One move is left, and it decides: X completes a line, or nobody does."""
    for state in (board("XOX", "OXO", "OX."), board("XOX", "OOX", "XX.")):
        for player in (1, -1):
            yield rolled(rng, state, player)


def from_the_middle(rng: Rng) -> Cases:
    """Six cells left, or five; where dice that never show the last cell would be seen."""
    for num_empty, player in ((6, 1), (5, -1), (6, -1)):
        while True:
            state = midgame(rng, num_empty)
            wrong = [outcomes(state, drawn) for drawn in (all_but_the_last, the_first)]
            wrong.append(outcomes(state, over=is_full))
            means = [chances[1] - chances[-1] for chances in (outcomes(state), *wrong)]
            apart = min(abs(i - j) for i, j in itertools.combinations((0.0, *means), 2))
            if min(outcomes(state).values()) > 0.08 and apart > 0.12:
                break
        yield rolled(rng, state, player)


def is_full(state: State) -> bool:
    return 0 not in state


def any_move(moves: list[int]) -> list[int]:
    return moves


def the_first(moves: list[int]) -> list[int]:
    return moves[:1]


def all_but_the_last(moves: list[int]) -> list[int]:
    return moves[: max(1, len(moves) - 1)]


@cache
def outcomes(
    state: State,
    drawn: Callable[[list[int]], list[int]] = any_move,
    over: Callable[[State], bool] = reference.is_terminal,
) -> dict[int, float]:
    """How random play ends from here, exactly: the probability of each winner.

    Args:
        state: the board.
        drawn: which of the legal moves may come up.
        over: where the game ends.
    """
    if over(state):
        return {w: float(w == reference.winner(state)) for w in (-1, 0, 1)}
    moves = drawn(reference.legal_moves(state))
    below = [outcomes(reference.play(state, move), drawn, over) for move in moves]
    return {w: math.fsum(chances[w] for chances in below) / len(moves) for w in (-1, 0, 1)}


# ---- 8. mcts_move -----------------------------------------------------------------------------


def symmetries(state: State) -> list[State]:
    """The board turned and mirrored, eight times."""
    cells = np.array(state).reshape(3, 3)
    turned = [np.rot90(side, k) for side in (cells, cells.T) for k in range(4)]
    return [tuple(int(cell) for cell in view.ravel()) for view in turned]


def turned(rng: Rng, state: State) -> State:
    return symmetries(state)[rng.integers(8)]


def searching(rng: Rng, state: State, num_simulations: int, c: float = 1.4) -> Case:
    return {"state": state, "num_simulations": num_simulations, "c": c, "rng": seed(rng)}


def win_in_one(rng: Rng) -> Cases:
    """One move wins at once, for X and for O, who must not wait: the other one threatens too."""
    for state in (board("XX.", "OO.", "..."), board("XO.", "XOX", "...")):
        yield searching(rng, turned(rng, state), 600)


def block_in_one(rng: Rng) -> Cases:
    """One move is forced. Against random replies others look better, on the first two boards."""
    for rows in (("OX.", ".X.", "..."), ("X.O", "...", ".X."), ("XO.", ".O.", "..X")):
        yield searching(rng, turned(rng, board(*rows)), 1_000)


def each_move_as_often(rng: Rng) -> Cases:
    """Two moves, of which the higher one wins; every one is visited as often as the other.

    That is so after as many simulations as moves, and, where ``c`` is huge, after twice as many:
    the lower move is returned.
    """
    for num_simulations, c in ((2, 1.4), (4, 1_000.0)):
        while True:
            state = midgame(rng, 2)
            low, high = reference.legal_moves(state)
            wins = [reference.winner(reference.play(state, move)) != 0 for move in (low, high)]
            if wins == [False, True]:
                yield searching(rng, state, num_simulations, c)
                break


# ---- 9. puct ----------------------------------------------------------------------------------


def puct_by_hand(rng: Rng) -> Cases:
    """Of the prior 2, 1, 1 the shares are 1/2, 1/4, 1/4; four visits, whose root is 2.

    0.2 + 1.5 * 0.5 * 2 / 4 = 0.575; 1.5 * 0.25 * 2 / 1 = 0.75; -0.5 + 1.5 * 0.25 * 2 / 2 = -0.125.
    """
    num_visits = np.array([3, 0, 1])
    Q, prior = np.array([0.2, 0.0, -0.5]), np.array([2.0, 1.0, 1.0])
    yield {"prior": prior, "num_visits": num_visits, "Q": Q, "c": 1.5}


def puct_case(rng: Rng, *, total: float = 1.0, illegal: int = 0) -> Case:
    num_actions = 7
    prior = rng.dirichlet(np.full(num_actions, 2.0))
    prior[rng.choice(num_actions, size=illegal, replace=False)] = 0.0
    num_visits = rng.integers(2, 30, size=num_actions)
    num_visits[rng.integers(num_actions)] = 0
    num_visits[prior == 0] = 0
    Q = np.where(num_visits > 0, rng.uniform(-1, 1, size=num_actions), 0.0)
    prior *= total / prior.sum()
    return {"prior": prior, "num_visits": num_visits, "Q": Q, "c": float(rng.uniform(1.2, 3))}


def sure_prior(rng: Rng) -> Cases:
    """Shares that sum to 1 already."""
    for _ in range(2):
        yield puct_case(rng)


def masked_prior(rng: Rng) -> Cases:
    """Illegal moves were set to 0, so what is left sums to less than 1."""
    for _ in range(2):
        yield puct_case(rng, total=float(rng.uniform(0.3, 0.7)), illegal=2)


def nothing_visited(rng: Rng) -> Cases:
    """Before the first visit there is no bonus at all."""
    case = puct_case(rng, total=float(rng.uniform(2, 3)))
    zero = np.zeros(7, dtype=np.int64)
    yield case | {"num_visits": zero, "Q": rng.uniform(-0.1, 0.1, size=7)}


# ---- 10. fitted_q_iteration -------------------------------------------------------------------


def three_logged_steps(rng: Rng) -> Cases:
    """From 0 to 1 for -1; from 1 action 1 ends it, for -2 and for -4.

    Without a penalty Q(1, 1) = -3 and Q(0, 0) = -1 + 0.5 * max(0, -3) = -1: action 0 was never
    tried in 1, and its 0 is believed. With 0.5 as the penalty and -4 / (1 - 0.5) = -8 for what was
    never tried: Q(1, 1) = -3 - 0.5 / sqrt(2) = -3.354 and Q(0, 0) = -1 - 1.677 - 0.5 = -3.177.
    """
    data: list[Transition] = [
        (0, 0, -1.0, 1, False),
        (1, 1, -2.0, 2, True),
        (1, 1, -4.0, 2, True),
    ]
    sizes = {"num_obs": 3, "num_actions": 2, "gamma": 0.5, "num_iterations": 3}
    for penalty in (0.0, 0.5):
        yield {"data": data, **sizes, "penalty": penalty}


def logged(rng: Rng, *, low: float, high: float, penalty: float, share: float = 0.6) -> Case:
    """Transitions among five observations, some pairs never tried, and an end."""
    num_obs, num_actions = 6, 3
    pairs = [(s, a) for s in range(5) for a in range(num_actions)]
    tried = [pairs[i] for i in rng.permutation(len(pairs))[: round(share * len(pairs))]]
    data: list[Transition] = []
    for s, a in tried:
        for _ in range(int(rng.integers(1, 6))):
            ends = bool(rng.random() < 0.2)
            next_obs = int(
                rng.integers(5)
            )  # also where it ends: only the mask keeps the future out
            data.append((s, a, float(rng.uniform(low, high)), next_obs, ends))
    order = rng.permutation(len(data))
    return {
        "data": [data[i] for i in order],
        "num_obs": num_obs,
        "num_actions": num_actions,
        "gamma": float(rng.uniform(0.7, 0.9)),
        "num_iterations": int(rng.integers(4, 9)),
        "penalty": penalty,
    }


def all_tried(rng: Rng) -> Cases:
    """Every pair is in the data: there is nothing to be optimistic about."""
    yield logged(rng, low=-5, high=3, penalty=0.0, share=1.0)


def naive(rng: Rng) -> Cases:
    """All rewards are below 0 and pairs are missing: their 0 beats whatever was tried."""
    for _ in range(2):
        yield logged(rng, low=-6, high=-2, penalty=0.0)


def cautious(rng: Rng) -> Cases:
    """With a penalty, what was never tried is the worst there can be."""
    for _ in range(2):
        yield logged(rng, low=-6, high=2, penalty=float(rng.uniform(0.5, 2)))


def cautious_among_gains(rng: Rng) -> Cases:
    """All rewards are above 0: the worst there can be is to get nothing."""
    yield logged(rng, low=1, high=4, penalty=float(rng.uniform(0.5, 2)))
