"""Tree search in thousands of Connect Four games at once: PUCT with a network, UCT with rollouts.

Every game has its own tree, and all trees lie in the same tensors, which are made before the search
begins. One simulation walks down all trees together, adds a leaf to each, judges all leaves in one
call, and backs their values up. A tree is built anew for every move.

Tensors have shape ``(num_games,)`` unless it is stated. A tree's node is a row of ``(num_games *
(num_simulations + 1), 7)`` tensors, and what a row says of its seven moves is seen by the player
who chooses among them.

Sources: selection by PUCT with visits counted per move, and the noise at the root, are those of
AlphaGo Zero (Silver et al. 2017, Methods), which AlphaZero keeps (Silver et al. 2018); UCT is by
Kocsis and Szepesvári (2006). Unlike those programs, this one does not keep the part of a tree that
lies below the move played.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from labkit.connect_four import COLUMNS, Games, rollout

Evaluate = Callable[[Games], tuple[torch.Tensor, torch.Tensor]]
"""Returns priors of the seven moves and the value for the player to move, from -1 to 1."""
Score = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Returns how promising moves are, from prior, visits and mean value, each ``(num_games, 7)``."""
FIRST = 1e9
"""What UCT gives a move that nobody tried, more than any other and less than infinity."""


@dataclasses.dataclass(frozen=True)
class Searched:
    """What a search found in every game.

    Attributes:
        visits: simulations that began with each move, int64 of shape ``(num_games, 7)``.
        Q: mean value of each move for the player to move; 0 where there was no visit.
        value: mean value of all simulations for the player to move.
    """

    visits: torch.Tensor
    Q: torch.Tensor
    value: torch.Tensor

    def best(self) -> torch.Tensor:
        """Return the most visited column, the lowest of several, int64."""
        return self.visits.argmax(dim=1)


def puct_score(
    prior: torch.Tensor, visits: torch.Tensor, Q: torch.Tensor, c: float
) -> torch.Tensor:
    """Return ``Q + c * prior * sqrt(sum of visits) / (1 + visits)``, shape ``(num_games, 7)``.

    While no move was visited, every score of the formula is 0; the tie then goes to the largest
    prior, since the root counts as at least 1 here.
    """
    parent = visits.sum(dim=1, keepdim=True).clamp(min=1)
    return Q + c * prior * parent.sqrt() / (1 + visits)


def uct_score(visits: torch.Tensor, Q: torch.Tensor, c: float) -> torch.Tensor:
    """Return ``Q + c * sqrt(log(sum of visits) / visits)``; what has no visit comes first."""
    log = visits.sum(dim=1, keepdim=True).clamp(min=1).log()
    return Q + torch.where(visits == 0, FIRST, c * (log / visits.clamp(min=1)).sqrt())


@torch.inference_mode()
def puct_search(
    games: Games,
    evaluate: Evaluate,
    *,
    num_simulations: int,
    c: float = 1.5,
    noise: float = 0.0,
    generator: torch.Generator | None = None,
) -> Searched:
    """Search every game by PUCT.

    Args:
        games: positions, none of them over.
        evaluate: a network's priors, shape ``(num_games, 7)``, and values. Priors of full columns
            are ignored; the others are made to sum to 1.
        num_simulations: leaves that each tree gets, and visits that each root gets.
        c: weight of the prior against the mean value.
        noise: share of Dirichlet noise in the root's prior (AlphaZero: 0.25). Its alpha is 1, so
            that every mixture of the legal moves is as likely as any other. AlphaZero's alpha is
            the smaller the more moves a game has: 0.3 for chess, 0.03 for Go.
        generator: makes the noise.

    Raises:
        ValueError: if a game is over, a number is out of its range, or noise has no generator.
    """
    if noise and generator is None:
        raise ValueError("noise needs a generator")
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is a share from 0 to 1, not {noise}")
    trees = _Trees(games, evaluate, num_simulations)
    if noise:
        random = torch.empty_like(trees.prior[trees.roots]).exponential_(generator=generator)
        random = _normalised(random, games.legal())
        trees.prior[trees.roots] *= 1 - noise
        trees.prior[trees.roots] += noise * random
    return trees.search(lambda prior, visits, Q: puct_score(prior, visits, Q, c))


@torch.inference_mode()
def uct_search(
    games: Games, *, num_simulations: int, c: float = 1.4, generator: torch.Generator
) -> Searched:
    """Search every game by plain UCT: no network, one random rollout per leaf.

    Args:
        games: positions, none of them over.
        num_simulations: leaves that each tree gets, and visits that each root gets.
        c: weight of exploration. In matches against 1 the score of 1.4 was about a half, with 64
            and with 256 simulations a move; 0.5 was clearly weaker.
        generator: plays the rollouts.

    Raises:
        ValueError: if a game is over, or there is no simulation.
    """

    def evaluate(leaves: Games) -> tuple[torch.Tensor, torch.Tensor]:
        return leaves.legal().float(), rollout(leaves, generator)

    trees = _Trees(games, evaluate, num_simulations)
    return trees.search(lambda _, visits, Q: uct_score(visits, Q, c))


class _Trees:
    def __init__(self, games: Games, evaluate: Evaluate, num_simulations: int) -> None:
        if num_simulations < 1:
            raise ValueError(f"num_simulations must be at least 1, not {num_simulations}")
        if over := games.over().nonzero()[:1, 0].tolist():
            raise ValueError(f"game {over[0]} is over: there is nothing to search")
        self.evaluate, self.num_simulations = evaluate, num_simulations
        num_nodes, device = len(games) * (num_simulations + 1), games.device
        self.roots = torch.arange(0, num_nodes, num_simulations + 1, device=device)
        self.mine, self.taken = torch.zeros(2, num_nodes, dtype=torch.int64, device=device)
        # The row that a move leads to. No move leads to row 0, which is a root: 0 means none.
        self.child = torch.zeros(num_nodes, COLUMNS, dtype=torch.int64, device=device)
        self.prior, self.visits, self.total = torch.zeros(3, num_nodes, COLUMNS, device=device)
        self.store(self.roots, games, evaluate(games)[0])

    def store(self, nodes: torch.Tensor, games: Games, prior: torch.Tensor) -> None:
        legal = games.legal()
        self.mine[nodes], self.taken[nodes] = games.mine, games.taken
        self.prior[nodes] = _normalised(prior, legal)
        # A full column has a total, and so a mean value, that no bonus makes up for.
        self.total[nodes] = torch.zeros_like(prior).masked_fill_(~legal, -torch.inf)

    def search(self, score: Score) -> Searched:
        for simulation in range(self.num_simulations):
            path, on_path = self.select(score)
            value = self.expand(path[-1], self.roots + simulation + 1)
            self.backup(path, on_path, value)
        visits = self.visits[self.roots]
        total = self.total[self.roots].clamp(min=-self.num_simulations)  # no infinity is left
        total = total * (visits > 0)
        Q = total / visits.clamp(min=1)
        return Searched(visits.long(), Q, total.sum(dim=1) / self.num_simulations)

    def select(self, score: Score) -> tuple[torch.Tensor, torch.Tensor]:
        """Walk down to a move that leads to no node yet.

        Returns:
            The moves on the way, as ``7 * node + column``, shape ``(depth, num_games)``, and which
            of them count: who arrives early repeats its last move, uncounted.
        """
        node, going = self.roots, torch.ones_like(self.roots, dtype=torch.bool)
        path, on_path = [], []
        while True:
            visits = self.visits[node]
            Q = self.total[node] / visits.clamp(min=1)
            move = COLUMNS * node + score(self.prior[node], visits, Q).argmax(dim=1)
            path.append(move)
            on_path.append(going)
            child = self.child.view(-1)[move]
            going = child > 0
            if not going.any():
                return torch.stack(path), torch.stack(on_path)
            node = torch.where(going, child, node)

    def expand(self, move: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        """Put what each move leads to into a new node, and return its value for who moves there.

        A game that ends there gets its result as value and no link to the node, so that whoever
        comes again gets the same result again.
        """
        parent = move // COLUMNS
        leaves = Games(self.mine[parent], self.taken[parent]).drop(move % COLUMNS)
        lost = leaves.lost()
        over = lost | leaves.full()
        prior, value = self.evaluate(leaves)
        self.store(nodes, leaves, prior)
        self.child.view(-1)[move] = nodes.masked_fill(over, 0)
        return torch.where(over, -lost.float(), value)

    def backup(self, path: torch.Tensor, on_path: torch.Tensor, value: torch.Tensor) -> None:
        """Count the moves on the path and add the value, seen by who chose each of them."""
        depth = on_path.sum(dim=0)
        level = torch.arange(len(path), device=path.device)[:, None]
        sign = 1 - 2 * ((depth - level) % 2)  # the last move was chosen by the leaf's opponent
        counted = on_path.float()
        self.visits.view(-1).index_add_(0, path.flatten(), counted.flatten())
        self.total.view(-1).index_add_(0, path.flatten(), (counted * sign * value).flatten())


def _normalised(prior: torch.Tensor, legal: torch.Tensor) -> torch.Tensor:
    prior = prior * legal
    return prior / prior.sum(dim=1, keepdim=True).clamp(min=1e-20)
