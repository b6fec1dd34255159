"""Connect Four, thousands of games at once: a position is two whole numbers of 64 bits.

Columns and rows count from 0, rows from the bottom. A stone in ``column`` and ``row`` is bit
``7 * column + row``; the seventh bit of a column stays empty, so that no line runs over the top of
one column into the foot of the next. A line of four is then found by three shifts of a tensor.
Tensors have shape ``(num_games,)`` unless it is stated, and live on one device.

Source: the layout is that of Pascal Pons, Solving Connect 4 (gamesolver.org), part 6.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import torch

ROWS, COLUMNS = 6, 7
HEIGHT = ROWS + 1
"""Bits a column takes."""
DIRECTIONS = {"up": 1, "right": HEIGHT, "rising": HEIGHT + 1, "falling": HEIGHT - 1}
"""How far apart the bits of two neighbours lie, for each direction of a line."""


@dataclasses.dataclass(frozen=True)
class Games:
    """Positions of many games, each seen by the player whose turn it is.

    Attributes:
        mine: the stones of the player to move, int64.
        taken: the stones of both players, int64.
    """

    mine: torch.Tensor
    taken: torch.Tensor

    def __len__(self) -> int:
        return len(self.taken)

    def __getitem__(self, which: torch.Tensor) -> Games:
        """Return some of the games: a mask, or indices, which may repeat."""
        return Games(self.mine[which], self.taken[which])

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.taken.device

    def legal(self) -> torch.Tensor:
        """Return which columns have room, bool of shape ``(num_games, 7)``.

        A game that is over still shows its free columns: ask `over` too.
        """
        return (self.taken[:, None] & _tables(self.device).tops) == 0

    def play(self, column: torch.Tensor) -> Games:
        """Return the positions after one move in every game.

        Args:
            column: where each game's stone falls, int64.

        Raises:
            ValueError: if a column does not exist or is full, or a game is over.
        """
        if column.shape != self.taken.shape:
            raise ValueError(f"{len(self)} games need {len(self)} columns, not {_size(column)}")
        if bad := _first((column < 0) | (column >= COLUMNS)):
            raise ValueError(f"game {bad[0]}: there is no column {int(column[bad[0]])}")
        if bad := _first(self.over()):
            raise ValueError(f"game {bad[0]} is over")
        if bad := _first(~self.legal().gather(1, column[:, None])[:, 0]):
            raise ValueError(f"game {bad[0]}: column {int(column[bad[0]])} is full")
        return self.drop(column)

    def drop(self, column: torch.Tensor) -> Games:
        """Do what `play` does, quickly: nothing is checked, and nonsense becomes nonsense."""
        # Adding the column's lowest bit carries up to its first empty one.
        taken = self.taken | (self.taken + _tables(self.device).feet[column])
        return Games(self.taken ^ self.mine, taken)

    def lost(self) -> torch.Tensor:
        """Return where the player to move faces four in a row, bool."""
        return has_four(self.taken ^ self.mine)

    def full(self) -> torch.Tensor:
        """Return where no column has room, bool."""
        return self.taken == FULL

    def over(self) -> torch.Tensor:
        """Return which games have ended, lost or full, bool."""
        return self.lost() | self.full()

    def num_moves(self) -> torch.Tensor:
        """Return how many stones lie on each board; the first player moves when it is even."""
        return self.planes().sum(dim=(1, 2, 3)).long()

    def planes(self) -> torch.Tensor:
        """Return what a network sees: float32 of shape ``(num_games, 2, 6, 7)``.

        The first plane holds 1 where the player to move has a stone, the second where the other
        has one. Row 0 is the bottom.
        """
        both = torch.stack((self.mine, self.taken ^ self.mine), dim=1)
        bits = (both[:, :, None] >> _tables(self.device).cells) & 1
        return bits.view(-1, 2, ROWS, COLUMNS).float()

    def board(self) -> torch.Tensor:
        """Return boards as they are drawn: 1 for the first player's stones, -1 for the second's.

        int64 of shape ``(num_games, 6, 7)``, with row 0 at the top.
        """
        mine, other = self.planes().flip(2).unbind(dim=1)
        first_to_move = 1 - 2 * (self.num_moves() % 2)
        return (mine - other).long() * first_to_move[:, None, None]

    def show(self, game: int = 0) -> str:
        """Return one game as text: X moved first, and the last line counts the columns."""
        lines = [" ".join(".XO"[stone] for stone in row) for row in self.board()[game].tolist()]
        return "\n".join([*lines, " ".join(map(str, range(COLUMNS)))])


def new_games(num_games: int, *, device: torch.device | str = "cpu") -> Games:
    """Return empty boards.

    Raises:
        ValueError: if the number is below 1.
    """
    if num_games < 1:
        raise ValueError(f"num_games must be at least 1, not {num_games}")
    mine, taken = torch.zeros(2, num_games, dtype=torch.int64, device=device)
    return Games(mine, taken)


def from_moves(games: Iterable[Sequence[int]], *, device: torch.device | str = "cpu") -> Games:
    """Return the positions that lists of columns lead to, one game per list.

    Raises:
        ValueError: if there is no game, or a move cannot be played.
    """
    positions = []
    for number, moves in enumerate(games):
        position = new_games(1)
        for at, column in enumerate(moves):
            try:
                position = position.play(torch.tensor([column]))
            except ValueError as error:
                reason = str(error).removeprefix("game 0: ").replace("game 0", "the game")
                raise ValueError(f"game {number}, move {at}: {reason}") from None
        positions.append(position)
    if not positions:
        raise ValueError("from_moves needs at least one game")
    mine = torch.cat([position.mine for position in positions])
    taken = torch.cat([position.taken for position in positions])
    return Games(mine.to(device), taken.to(device))


def has_four(stones: torch.Tensor) -> torch.Tensor:
    """Return where a set of stones holds four in a row, bool."""
    found = torch.zeros_like(stones)
    for step in DIRECTIONS.values():
        pairs = stones & (stones >> step)
        found |= pairs & (pairs >> 2 * step)
    return found != 0


def random_columns(games: Games, generator: torch.Generator) -> torch.Tensor:
    """Return a column for each game, drawn uniformly from those with room, int64."""
    order = torch.rand(len(games), COLUMNS, generator=generator, device=games.device)
    return order.masked_fill_(~games.legal(), -1.0).argmax(dim=1)


@torch.inference_mode()
def rollout(games: Games, generator: torch.Generator) -> torch.Tensor:
    """Play uniformly random moves to the end of every game and return who won.

    Returns:
        1 where the player to move in ``games`` wins, -1 where it loses, 0 for a draw, float32.
    """
    value = -games.lost().float()
    at = (~games.over()).nonzero()[:, 0]
    games = games[at]
    sign, over = 1.0, torch.zeros_like(at, dtype=torch.bool)
    while len(at):
        for _ in range(4):  # to sort out who is over costs more than a few idle moves
            games = games.drop(random_columns(games, generator))
            sign = -sign
            lost = games.lost() & ~over
            value[at] -= sign * lost
            over |= lost | games.full()
        going = (~over).nonzero()[:, 0]
        at, games, over = at[going], games[going], over[going]
    return value


@dataclasses.dataclass(frozen=True)
class _Tables:
    feet: torch.Tensor
    tops: torch.Tensor
    cells: torch.Tensor


@functools.cache
def _tables(device: torch.device) -> _Tables:
    """Return the lowest and the highest bit of each column, and every cell's place, by rows."""
    column = torch.arange(COLUMNS, device=device)
    one = torch.ones_like(column)
    row = torch.arange(ROWS, device=device)[:, None]
    cells = (HEIGHT * column + row).flatten()
    return _Tables(one << HEIGHT * column, one << HEIGHT * column + ROWS - 1, cells)


def _first(where: torch.Tensor) -> list[int]:
    """Return the first index in a mask, in a list that is empty where there is none."""
    found: list[int] = where.nonzero()[:1, 0].tolist()
    return found


def _size(column: torch.Tensor) -> str:
    return str(len(column)) if column.dim() == 1 else f"a tensor of shape {tuple(column.shape)}"


FULL = sum(1 << HEIGHT * column + row for column in range(COLUMNS) for row in range(ROWS))
"""A board without an empty cell."""
