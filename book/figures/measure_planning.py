"""What chapter 3 measures beside its lab's benchmarks; writes ``planning.json``.

A position in which random games mislead, searched by UCT, by UCT without the change of sign, and
by random games alone; the same position under PUCT with three priors; and Dyna in mazes that
change; and fitted Q-iteration on a log of a slippery maze. Too slow for a build: run ``python
book/figures/measure_planning.py``, some ten minutes; ``... trap puct`` measures only these parts.
"""

import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from book.figures.planning import COLUMNS, GOAL, ROWS, START, maze, neighbour, policy_value
from book.figures.trap import TEMPTS, TRAP, WINS
from labkit.runtime import progress
from solutions.lab02_q_learning_sarsa.reference import choose_action
from solutions.lab03_planning_mcts import reference
from solutions.lab03_planning_mcts.reference import SearchTree

Float = NDArray[np.float64]

RESULTS = Path(__file__).with_name("planning.json")
BUDGETS = (10, 20, 50, 100, 200, 500, 1000, 2000)
TRAP_RUNS, TRAP_C = 200, 1.4
PUCT_RUNS, PUCT_C, PUCT_SIMULATIONS = 100, 1.5, 2000
MAZE_RUNS, MAZE_START, NUM_PLANNING, ALPHA, GAMMA, EPSILON, KAPPA = 50, 48, 10, 1.0, 0.95, 0.1, 5e-4
LOG_RUNS, LOG_EPISODES, LOG_SLIP, LOG_EPSILON = 100, 30, 0.4, 0.3
PENALTIES = (0.0, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
MAZES = {  # columns of the wall in row 3 before and after, when it changes, and when the run ends
    "blocking": (range(8), range(1, 9), 1000, 3000),
    "shortcut": (range(1, 9), range(1, 8), 3000, 6000),
}


# The trap


class Unflipped(SearchTree):
    """The mistake: every node's results in the root player's view, so that O helps X."""

    def backup(self, node: int, value: float) -> None:
        while node >= 0:
            self.visits[node] += 1
            self.totals[node] += value
            node = self.parent[node]


def search(tree: SearchTree, rng: np.random.Generator, budget: int) -> None:
    """Run simulations until the root has ``budget`` visits."""
    player = reference.to_move(tree.state[0])
    while tree.visits[0] < budget:
        node = tree.expand(tree.select(TRAP_C))
        tree.backup(node, reference.rollout(tree.state[node], player, rng))


def most_visited(tree: SearchTree) -> int:
    """Return the root move with the most visits."""
    return tree.move[max(tree.children[0], key=lambda child: tree.visits[child])]


def flat_choice(rng: np.random.Generator, budget: int) -> int:
    """Return the move with the best mean if every move gets the same number of random games."""
    moves = reference.legal_moves(TRAP)
    games = max(1, round(budget / len(moves)))
    means = [
        np.mean([reference.rollout(reference.play(TRAP, move), 1, rng) for _ in range(games)])
        for move in moves
    ]
    return moves[int(np.argmax(means))]


def trap(runs: int, budgets: tuple[int, ...]) -> dict[str, list[float]]:
    """Return, by budget, the share of runs that find the winning move, and UCT's mean results."""
    found = {name: np.zeros(len(budgets)) for name in ("tree", "unflipped", "flat")}
    means = {move: np.zeros(len(budgets)) for move in (WINS, TEMPTS)}
    for seed in progress(range(runs), desc="trap"):
        for name, tree in (("tree", SearchTree(TRAP)), ("unflipped", Unflipped(TRAP))):
            rng = np.random.default_rng(seed)
            for column, budget in enumerate(budgets):
                search(tree, rng, budget)
                found[name][column] += most_visited(tree) == WINS
                for child in tree.children[0]:
                    if name == "tree" and tree.move[child] in means:
                        mean = tree.totals[child] / tree.visits[child]
                        means[tree.move[child]][column] += mean
        rng = np.random.default_rng(seed)
        for column, budget in enumerate(budgets):
            found["flat"][column] += flat_choice(rng, budget) == WINS
    curves = {**found, "mean wins": means[WINS], "mean tempts": means[TEMPTS]}
    return {name: np.round(curve / runs, 4).tolist() for name, curve in curves.items()}


# PUCT


def priors() -> dict[str, Float]:
    """Return three opinions about the trap's moves, one number per cell."""
    moves = reference.legal_moves(TRAP)
    none, good, bad = np.zeros((3, 9))
    none[moves] = 1 / len(moves)
    good[moves], bad[moves] = 0.3 / (len(moves) - 1), 0.28 / (len(moves) - 2)
    good[WINS] = 0.7
    bad[TEMPTS], bad[WINS] = 0.7, 0.02
    return {"good": good, "none": none, "bad": bad}


def puct_shares(prior: Float, seed: int, simulations: int) -> Float:
    """Return the winning move's share of the visits after each PUCT simulation of the trap.

    The prior holds at the root. Below it nothing is known: all moves alike, and random games for
    the values of leaves.
    """
    tree, rng = SearchTree(TRAP), np.random.default_rng(seed)
    shares = np.zeros(simulations)
    for step in range(simulations):
        node = 0
        while not reference.is_terminal(tree.state[node]):
            moves = reference.legal_moves(tree.state[node])
            while len(tree.children[node]) < len(moves):
                tree.expand(node)
            children = np.array(tree.children[node])
            visits = np.array([tree.visits[child] for child in children])
            totals = np.array([tree.totals[child] for child in children])
            opinion = prior[moves] if node == 0 else np.ones(len(moves))
            values = totals / np.maximum(visits, 1)
            node = int(children[reference.puct(opinion, visits, values, PUCT_C).argmax()])
            if tree.visits[node] == 0:
                break
        tree.backup(node, reference.rollout(tree.state[node], 1, rng))
        counts = {tree.move[child]: tree.visits[child] for child in tree.children[0]}
        shares[step] = counts[WINS] / sum(counts.values())
    return shares


def puct(runs: int, simulations: int) -> dict[str, object]:
    """Return mean and middle 80% of `puct_shares` at some simulations, for each prior."""
    steps = np.union1d(np.geomspace(5, simulations, 60).astype(int), [100])
    found: dict[str, object] = {"simulations": steps.tolist()}
    for name, prior in priors().items():
        shares = [
            puct_shares(prior, seed, simulations)[steps - 1]
            for seed in progress(range(runs), desc=f"PUCT, {name}")
        ]
        curves = {
            "mean": np.mean(shares, axis=0),
            "10%": np.percentile(shares, 10, axis=0),
            "90%": np.percentile(shares, 90, axis=0),
        }
        found[name] = {key: np.round(curve, 4).tolist() for key, curve in curves.items()}
    return found


# Mazes that change


def plus_step(
    Q: Float,
    model: dict[str, NDArray],
    last: NDArray[np.int64],
    now: int,
    rng: np.random.Generator,
) -> None:
    """Plan as Dyna-Q+ does: imagined rewards grow with the root of how long a pair was left alone.

    In states that were visited, actions that were not count as steps that lead nowhere and pay 0.

    Args:
        Q, model: as `reference.dyna_q_step` has them; Q changes.
        last: when each pair was tried last, in steps.
        now: the present step.
        rng: source of the pairs.
    """
    known = np.flatnonzero(model["visited"].any(axis=1))
    for s, a in zip(
        known[rng.integers(len(known), size=NUM_PLANNING)],
        rng.integers(4, size=NUM_PLANNING),
        strict=True,
    ):
        visited = model["visited"][s, a]
        then = model["next_obs"][s, a] if visited else s
        future = 0.0 if model["terminated"][s, a] else Q[then].max()
        reward = model["reward"][s, a] + KAPPA * np.sqrt(now - last[s, a])
        Q[s, a] += ALPHA * (reward + GAMMA * future - Q[s, a])


def walk(world: str, seed: int, *, plus: bool) -> Float:
    """Return how often the goal was reached, after every step, by an agent in a changing maze."""
    before, after, changes, num_steps = MAZES[world]
    rng = np.random.default_rng(seed)
    Q, model = np.zeros((ROWS * COLUMNS, 4)), reference.empty_model(ROWS * COLUMNS, 4)
    last = np.zeros(Q.shape, dtype=np.int64)
    arrivals, obs = np.zeros(num_steps), MAZE_START
    for step in range(num_steps):
        walls = tuple(3 * COLUMNS + column for column in (before if step < changes else after))
        action = choose_action(Q, obs, EPSILON, rng)
        there = neighbour(obs, action, walls)
        arrived = there == GOAL
        reference.dyna_q_step(
            Q, model, obs, action, float(arrived), there, arrived,
            num_planning=0 if plus else NUM_PLANNING, alpha=ALPHA, gamma=GAMMA, rng=rng,
        )  # fmt: skip
        last[obs, action] = step
        if plus:
            plus_step(Q, model, last, step, rng)
        arrivals[step] = arrived
        obs = MAZE_START if arrived else there
    return arrivals.cumsum()


def mazes(runs: int) -> dict[str, object]:
    """Return the arrivals so far, every 25 steps, for both mazes and both methods."""
    found: dict[str, object] = {}
    for world, (_, _, changes, num_steps) in MAZES.items():
        curves: dict[str, object] = {"changes": changes, "step": list(range(25, num_steps + 1, 25))}
        for name, plus in (("Dyna-Q", False), ("Dyna-Q+", True)):
            arrivals = np.array(
                [
                    walk(world, seed, plus=plus)[24::25]
                    for seed in progress(range(runs), desc=f"{world} maze, {name}")
                ]
            )
            # The run's last third shows where the agent walks in the end.
            third = num_steps // 3
            rate = (arrivals[:, -1] - arrivals[:, -1 - third // 25]) / third
            curves[name] = {
                "mean": np.round(arrivals.mean(axis=0), 2).tolist(),
                "10%": np.percentile(arrivals, 10, axis=0).tolist(),
                "90%": np.percentile(arrivals, 90, axis=0).tolist(),
                "late arrivals per 100 steps": np.round(100 * rate, 3).tolist(),
            }
        found[world] = curves
    return found


# A log of a slippery maze


def logged_episodes(num_episodes: int, rng: np.random.Generator) -> list[reference.Transition]:
    """Return what someone who knows the slippery maze saw; some of the actions are random."""
    P, R, _ = maze(LOG_SLIP)
    pi, _, _ = reference.policy_iteration(P, R, gamma=GAMMA)
    data: list[reference.Transition] = []
    for _ in range(num_episodes):
        obs = START
        while obs != GOAL:
            action = int(rng.integers(4)) if rng.random() < LOG_EPSILON else int(pi[obs])
            there = int(rng.choice(len(P), p=P[obs, action]))
            data.append((obs, action, float(there == GOAL), there, there == GOAL))
            obs = there
    return data


def logged(runs: int, num_episodes: int) -> dict[str, object]:
    """Return what fitted Q-iteration believes about the start and what its policy is worth there.

    No pair pays less than 0, so a pair without data counts as the worst with any penalty: only what
    the penalty says about pairs *with* data differs.
    """
    P, R, _ = maze(LOG_SLIP)
    _, V, _ = reference.policy_iteration(P, R, gamma=GAMMA)
    believed, true = np.zeros((2, len(PENALTIES), runs))
    steps = np.zeros(runs)
    for seed in progress(range(runs), desc="logged maze"):
        data = logged_episodes(num_episodes, np.random.default_rng(seed))
        steps[seed] = len(data)
        for row, penalty in enumerate(PENALTIES):
            Q = reference.fitted_q_iteration(
                data, num_obs=len(P), num_actions=4, gamma=GAMMA, num_iterations=200,
                penalty=penalty,
            )  # fmt: skip
            believed[row, seed] = Q[START].max()
            true[row, seed] = policy_value(P, R, Q.argmax(axis=1), GAMMA)[START]
    found = {
        name: {
            "mean": np.round(values.mean(axis=1), 4).tolist(),
            "10%": np.round(np.percentile(values, 10, axis=1), 4).tolist(),
            "90%": np.round(np.percentile(values, 90, axis=1), 4).tolist(),
        }
        for name, values in (("believed", believed), ("true", true))
    }
    return {
        "penalties": PENALTIES,
        "best": round(float(V[START]), 4),
        "transitions": round(float(steps.mean())),
        **found,
    }


def main() -> None:
    parts = {
        "trap": lambda: trap(TRAP_RUNS, BUDGETS),
        "puct": lambda: puct(PUCT_RUNS, PUCT_SIMULATIONS),
        "mazes": lambda: mazes(MAZE_RUNS),
        "logged": lambda: logged(LOG_RUNS, LOG_EPISODES),
    }
    measured = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    for name in sys.argv[1:] or parts:
        measured[name] = parts[name]()
    measured["settings"] = {
        "trap": {"runs": TRAP_RUNS, "c": TRAP_C, "budgets": BUDGETS},
        "puct": {"runs": PUCT_RUNS, "c": PUCT_C},
        "mazes": {
            "runs": MAZE_RUNS, "planning steps": NUM_PLANNING, "alpha": ALPHA, "gamma": GAMMA,
            "epsilon": EPSILON, "kappa": KAPPA,
        },
        "logged": {
            "runs": LOG_RUNS, "episodes": LOG_EPISODES, "slip": LOG_SLIP, "epsilon": LOG_EPSILON,
        },
    }  # fmt: skip
    RESULTS.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
