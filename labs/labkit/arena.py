"""Matches of Connect Four between players, all games at once, with an honest interval.

A player is a function that gets positions and returns a column for each. Tensors have shape
``(num_games,)``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch

from labkit.connect_four import Games, new_games, random_columns
from labkit.policy_value import PolicyValueNet, evaluator
from labkit.tree_search import puct_search, uct_search

Player = Callable[[Games], torch.Tensor]
"""Returns a legal column for each game, int64."""


@dataclasses.dataclass(frozen=True)
class Match:
    """How a match ended for the player named first.

    Attributes:
        wins, draws, losses: number of games.
        wins_moving_first: wins among the games in which that player moved first, half of all.
    """

    wins: int
    draws: int
    losses: int
    wins_moving_first: int

    @property
    def num_games(self) -> int:
        """Number of games."""
        return self.wins + self.draws + self.losses

    @property
    def score(self) -> float:
        """Share of the points, of which a win brings 1 and a draw a half."""
        return (self.wins + self.draws / 2) / self.num_games

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval for the score, 95%.

        Draws make it somewhat too wide: points of a half vary less than wins and losses do.
        """
        return wilson(self.score * self.num_games, self.num_games)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.wins} wins, {self.draws} draws, {self.losses} losses: "
            f"score {self.score:.3f} (95% interval {low:.3f} to {high:.3f})"
        )


def wilson(points: float, num_games: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the interval for a share ``p`` that ``points`` out of ``num_games`` leave likely.

    It holds every ``p`` with ``abs(points / num_games - p) <= z * sqrt(p * (1 - p) / num_games)``.

    Args:
        points: from 0 to ``num_games``.
        num_games: at least 1.
        z: standard errors to each side; 1.96 makes it 95%.

    Raises:
        ValueError: if ``points`` are more than ``num_games``, or there is no game.

    Source: Wilson (1927).
    """
    if not 0 <= points <= num_games or num_games < 1:
        raise ValueError(f"{points:g} points out of {num_games} games make no share")
    share, weight = points / num_games, z * z / num_games
    middle = (share + weight / 2) / (1 + weight)
    reach = z / (1 + weight) * math.sqrt(share * (1 - share) / num_games + weight / num_games / 4)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def network_player(net: PolicyValueNet, *, num_simulations: int, c: float = 1.5) -> Player:
    """Return a player that searches by PUCT with a network and plays the most visited move.

    It has no randomness: in the same position it always plays the same.

    Args:
        net: lives where the games do.
        num_simulations: simulations per move; 0 plays the network's likeliest move unsearched.
        c: weight of the prior in the search.
    """
    evaluate = evaluator(net)
    if num_simulations == 0:
        return lambda games: evaluate(games)[0].argmax(dim=1)
    return lambda games: puct_search(games, evaluate, num_simulations=num_simulations, c=c).best()


def uct_player(*, num_simulations: int, c: float = 1.4, seed: int = 0) -> Player:
    """Return a player that searches by UCT with random rollouts and plays the most visited move.

    Args:
        num_simulations: simulations, and so rollouts, per move.
        c: weight of exploration in the search.
        seed: of its rollouts.
    """
    generators: dict[torch.device, torch.Generator] = {}

    def player(games: Games) -> torch.Tensor:
        if games.device not in generators:
            generators[games.device] = torch.Generator(games.device).manual_seed(seed)
        generator = generators[games.device]
        return uct_search(games, num_simulations=num_simulations, c=c, generator=generator).best()

    return player


def openings(num_games: int, *, num_moves: int, generator: torch.Generator) -> Games:
    """Return positions after uniformly random moves, none of them over.

    Args:
        num_games: number of positions.
        num_moves: stones on each board, from 0 to 6: with 7 a game could be over.
        generator: draws the moves, and says on which device.

    Raises:
        ValueError: if ``num_moves`` is out of its range.
    """
    if not 0 <= num_moves <= 6:
        raise ValueError(f"an opening has 0 to 6 moves, not {num_moves}")
    games = new_games(num_games, device=generator.device)
    for _ in range(num_moves):
        games = games.drop(random_columns(games, generator))
    return games


@torch.inference_mode()
def match(
    one: Player,
    other: Player,
    *,
    num_games: int,
    opening_moves: int = 4,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Match:
    """Let two players play, all games at once, and return how it ended for ``one``.

    Every random opening is played twice, and the players change sides in between.

    Args:
        one: the player whose result it is.
        other: its opponent.
        num_games: an even number.
        opening_moves: random moves that each game begins with, from 0 to 6. An even number leaves
            the first move to the player who moves first.
        seed: of the openings.
        device: where to play.

    Raises:
        ValueError: if ``num_games`` is odd or below 2, or a player chooses a column that is full.
    """
    if num_games < 2 or num_games % 2:
        raise ValueError(f"num_games must be even, so that sides are fair, not {num_games}")
    generator = torch.Generator(device).manual_seed(seed)
    half = openings(num_games // 2, num_moves=opening_moves, generator=generator)
    twice = torch.arange(num_games, device=half.device) % len(half)
    games = half[twice]
    one_first = torch.arange(num_games, device=half.device) < len(half)
    number = torch.arange(num_games, device=half.device)  # of the games that go on
    result = torch.zeros(num_games, dtype=torch.int64, device=half.device)
    one_moves = one_first.clone()  # in the games that go on
    while len(games):
        column = torch.zeros_like(number)
        for player, moves in ((one, one_moves), (other, ~one_moves)):
            if moves.any():
                column[moves] = player(games[moves])
        games = games.play(column)
        lost = games.lost()
        result[number[lost]] = torch.where(one_moves[lost], 1, -1)
        going = ~(lost | games.full())
        games, number, one_moves = games[going], number[going], ~one_moves[going]
    won = result == 1
    return Match(
        wins=int(won.sum()),
        draws=int((result == 0).sum()),
        losses=int((result == -1).sum()),
        wins_moving_first=int((won & one_first).sum()),
    )
