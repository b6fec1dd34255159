"""Connect Four and PUCT once more, one game at a time and without tensors: what tests compare with.

A board is a tuple of seven tuples, the columns, each with its stones from the bottom: 1 for the
first player, -1 for the second.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

Board = tuple[tuple[int, ...], ...]
Judge = Callable[[Board], tuple[list[float], float]]
EMPTY: Board = ((),) * 7


def to_move(board: Board) -> int:
    return 1 if sum(map(len, board)) % 2 == 0 else -1


def legal(board: Board) -> list[int]:
    return [column for column in range(7) if len(board[column]) < 6]


def play(board: Board, column: int) -> Board:
    return (*board[:column], (*board[column], to_move(board)), *board[column + 1 :])


def stone(board: Board, column: int, row: int) -> int:
    inside = 0 <= column < 7 and 0 <= row < len(board[column])
    return board[column][row] if inside else 0


def winner(board: Board) -> int:
    """Return whose four stand in a row somewhere, or 0."""
    for column in range(7):
        for row, player in enumerate(board[column]):
            for right, up in ((0, 1), (1, 0), (1, 1), (1, -1)):
                if all(stone(board, column + i * right, row + i * up) == player for i in (1, 2, 3)):
                    return player
    return 0


def is_over(board: Board) -> bool:
    return winner(board) != 0 or not legal(board)


def random_game(rng: random.Random, *, most: int = 42) -> list[int]:
    """Return the moves of a random game, stopped after ``most`` of them."""
    board, moves = EMPTY, []
    while len(moves) < most and not is_over(board):
        moves.append(rng.choice(legal(board)))
        board = play(board, moves[-1])
    return moves


def after(moves: list[int]) -> Board:
    board = EMPTY
    for column in moves:
        board = play(board, column)
    return board


def rows(board: Board) -> list[list[int]]:
    """Return the board as it is drawn: six rows, the top one first."""
    return [[stone(board, column, row) for column in range(7)] for row in reversed(range(6))]


def expected_result(board: Board) -> float:
    """Return the mean result of uniformly random play for the player to move."""
    if is_over(board):
        return float(winner(board) * to_move(board))
    moves = legal(board)
    return -sum(expected_result(play(board, column)) for column in moves) / len(moves)


def puct(board: Board, judge: Judge, *, num_simulations: int, c: float) -> list[list[float]]:
    """Return visits and total values of the seven moves at the root, by recursion."""
    tree: dict[tuple[int, ...], dict[int, list[float]]] = {}  # by the moves that lead there

    def open_up(board: Board, way: tuple[int, ...]) -> float:
        prior, value = judge(board)
        moves = legal(board)
        whole = sum(prior[column] for column in moves)
        tree[way] = {column: [0.0, 0.0, prior[column] / whole] for column in moves}
        return value

    def simulate(board: Board, way: tuple[int, ...]) -> float:
        """Return what one simulation brings whoever moves here."""
        if winner(board):
            return -1.0
        if not legal(board):
            return 0.0
        if way not in tree:
            return open_up(board, way)
        edges = tree[way]
        tried = sum(visits for visits, _, _ in edges.values())
        best, chosen = -math.inf, -1
        for column, (visits, total, prior) in edges.items():
            mean = total / visits if visits else 0.0
            score = mean + c * prior * math.sqrt(max(tried, 1)) / (1 + visits)
            if score > best:
                best, chosen = score, column
        value = -simulate(play(board, chosen), (*way, chosen))
        edges[chosen][0] += 1
        edges[chosen][1] += value
        return value

    open_up(board, ())
    for _ in range(num_simulations):
        simulate(board, ())
    root = tree[()]
    return [[root[column][i] if column in root else 0.0 for column in range(7)] for i in (0, 1)]
