"""Games in two whole numbers agree with a game in tuples, by loops."""

import collections
import random

import numpy as np
import pytest
import torch

from labkit.connect_four import (
    Games,
    from_moves,
    has_four,
    new_games,
    random_columns,
    rollout,
)
from tests import plain_connect_four as plain

LINES = [
    [(column + i * right, row + i * up) for i in range(4)]
    for column in range(7)
    for row in range(6)
    for right, up in ((0, 1), (1, 0), (1, 1), (1, -1))
    if column + 3 * right < 7 and 0 <= row + 3 * up < 6
]


def stones(cells: list[tuple[int, int]]) -> int:
    return sum(1 << 7 * column + row for column, row in cells)


def drawn_game() -> list[int]:
    """Return the moves of a full board without a line, found by trying."""
    rng = random.Random(0)
    while True:
        moves = plain.random_game(rng)
        if plain.winner(plain.after(moves)) == 0:
            return moves


def test_random_games_agree_move_by_move() -> None:
    """Legal columns, boards, ends and who moves, in every position of 60 games at once."""
    rng = random.Random(1)
    scripts = [*(plain.random_game(rng) for _ in range(60)), drawn_game()]
    games, boards = new_games(len(scripts)), [plain.EMPTY] * len(scripts)
    ends = collections.Counter()
    while boards:
        winners = [plain.winner(board) for board in boards]
        legal = [plain.legal(board) for board in boards]
        assert [row.nonzero()[:, 0].tolist() for row in games.legal()] == legal
        assert games.lost().tolist() == [winner != 0 for winner in winners]
        assert games.full().tolist() == [not columns for columns in legal]
        over = [bool(winner) or not columns for winner, columns in zip(winners, legal, strict=True)]
        assert games.over().tolist() == over
        assert games.board().tolist() == [plain.rows(board) for board in boards]
        assert games.num_moves().tolist() == [sum(map(len, board)) for board in boards]
        ends.update(winner for winner, ended in zip(winners, over, strict=True) if ended)
        going = [i for i, ended in enumerate(over) if not ended]
        scripts = [scripts[i] for i in going]
        moves = [script[sum(map(len, boards[i]))] for i, script in zip(going, scripts, strict=True)]
        boards = [plain.play(boards[i], move) for i, move in zip(going, moves, strict=True)]
        if going:
            games = games[torch.tensor(going)].play(torch.tensor(moves))
    assert min(ends[1], ends[-1]) > 10
    assert ends[0] >= 1


def test_every_line_and_no_three() -> None:
    assert len(LINES) == 69
    fours = torch.tensor([stones(line) for line in LINES])
    assert has_four(fours).all()
    for missing in range(4):
        threes = [stones(line[:missing] + line[missing + 1 :]) for line in LINES]
        assert not has_four(torch.tensor(threes)).any()


def test_lines_do_not_run_over_the_edge() -> None:
    """Random sets of stones, thick enough to hold many near misses at every edge."""
    rng = np.random.default_rng(0)
    filled = rng.random((4_000, 7, 6)) < rng.uniform(0.3, 0.6, (4_000, 1, 1))
    wanted = [any(all(cells[c, r] for c, r in line) for line in LINES) for cells in filled]
    sets = [stones([tuple(cell) for cell in np.argwhere(cells).tolist()]) for cells in filled]
    assert has_four(torch.tensor(sets)).tolist() == wanted
    assert 0.2 < np.mean(wanted) < 0.8
    over_the_top = [[(0, 4), (0, 5), (1, 0), (1, 1)], [(0, 5), (1, 0), (2, 1), (3, 2)]]
    assert not has_four(torch.tensor([stones(cells) for cells in over_the_top])).any()


def test_planes_are_seen_by_who_moves() -> None:
    """After 3, 3, 0 the second player moves: its stone comes first, and row 0 is the bottom."""
    planes = from_moves([[3, 3, 0]]).planes()[0]
    assert planes.shape == (2, 6, 7)
    assert planes.dtype == torch.float32
    assert planes.nonzero().tolist() == [[0, 1, 3], [1, 0, 0], [1, 0, 3]]


def test_a_game_is_printed() -> None:
    text = from_moves([[], [3, 3, 0]]).show(1)
    assert text.splitlines() == [". . . . . . ."] * 4 + [
        ". . . O . . .",
        "X . . X . . .",
        "0 1 2 3 4 5 6",
    ]


def test_random_columns_are_uniform() -> None:
    """Column 2 is full; the other six are drawn equally often, within five standard errors."""
    n = 30_000
    games = from_moves([[2, 2, 2, 2, 2, 2]])[torch.zeros(n, dtype=torch.int64)]
    drawn = random_columns(games, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn, minlength=7).tolist()
    error = (n * 1 / 6 * 5 / 6) ** 0.5
    assert counts.pop(2) == 0
    assert all(abs(count - n / 6) < 5 * error for count in counts)


def test_rollouts_have_the_mean_of_random_play() -> None:
    """Against exact enumeration from positions with few empty cells, some lost already."""
    rng = random.Random(3)
    scripts = []
    while len(scripts) < 12:
        moves = plain.random_game(rng, most=37)
        if len(moves) == 37:
            scripts.append(moves)
    scripts += [[0, 1, 0, 1, 0, 1, 0], drawn_game(), drawn_game()[:-1]]
    exact = torch.tensor([plain.expected_result(plain.after(moves)) for moves in scripts])
    assert exact.unique().numel() > 5
    n = 2_500
    games = from_moves(scripts)[torch.arange(len(scripts)).repeat(n)]
    results = rollout(games, torch.Generator().manual_seed(0)).view(n, -1)
    assert set(results.unique().tolist()) <= {-1.0, 0.0, 1.0}
    error = results.std(dim=0) / n**0.5
    assert ((results.mean(dim=0) - exact).abs() <= 5 * error + 1e-6).all()
    assert exact[-3] == -1
    assert exact[-2] == 0


def test_rollouts_repeat_and_leave_the_games_alone() -> None:
    games = from_moves([[3], [3, 3]])
    before = games.mine.clone(), games.taken.clone()
    results = [rollout(games, torch.Generator().manual_seed(s)) for s in range(6)]
    assert torch.equal(results[0], rollout(games, torch.Generator().manual_seed(0)))
    assert len({tuple(result.tolist()) for result in results}) > 1
    assert torch.equal(games.mine, before[0])
    assert torch.equal(games.taken, before[1])


def test_what_cannot_be_played_is_said() -> None:
    games = from_moves([[3], [0, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 1, 0]])
    for columns, reason in (
        ([7, 1, 1], "game 0: there is no column 7"),
        ([-1, 1, 1], "game 0: there is no column -1"),
        ([1, 1, 1], "game 2 is over"),
        ([1, 1], "3 games need 3 columns, not 2"),
    ):
        with pytest.raises(ValueError, match=f"^{reason}$"):
            games.play(torch.tensor(columns))
    with pytest.raises(ValueError, match=r"^game 1: column 0 is full$"):
        games[torch.tensor([0, 1])].play(torch.tensor([0, 0]))
    with pytest.raises(ValueError, match=r"^game 1, move 6: column 0 is full$"):
        from_moves([[1], [0, 0, 0, 0, 0, 0, 0]])
    with pytest.raises(ValueError, match=r"^game 0, move 7: the game is over$"):
        from_moves([[0, 1, 0, 1, 0, 1, 0, 1]])
    with pytest.raises(ValueError, match="at least one game"):
        from_moves([])
    with pytest.raises(ValueError, match="num_games must be at least 1, not 0"):
        new_games(0)


def test_games_can_be_picked() -> None:
    games = from_moves([[0], [1], [2]])
    picked = games[torch.tensor([2, 0, 2])]
    assert isinstance(picked, Games)
    assert picked.taken.tolist() == [1 << 14, 1, 1 << 14]
    assert len(games[torch.tensor([False, True, False])]) == 1
