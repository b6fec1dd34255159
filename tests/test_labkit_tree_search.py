"""Trees in tensors agree with a tree in a dictionary, and with what a search must find."""

import random
from collections.abc import Callable

import pytest
import torch

from labkit import tree_search
from labkit.connect_four import Games, from_moves, new_games
from labkit.tree_search import puct_score, puct_search, uct_score, uct_search
from tests import plain_connect_four as plain

SEARCHES = ("puct", "uct")
Fault = Callable[[pytest.MonkeyPatch], None]


def judged(board: list[list[int]], moves: int) -> tuple[list[float], float]:
    """Return priors and a value that depend on the position alone and mean nothing."""
    rng = random.Random(f"{board} {moves}")
    return [rng.uniform(0.02, 1) for _ in range(7)], rng.uniform(-1, 1)


def plain_judge(board: plain.Board) -> tuple[list[float], float]:
    return judged(plain.rows(board), sum(map(len, board)))


def judge(games: Games) -> tuple[torch.Tensor, torch.Tensor]:
    boards, moves = games.board().tolist(), games.num_moves().tolist()
    found = [judged(board, number) for board, number in zip(boards, moves, strict=True)]
    return torch.tensor([prior for prior, _ in found]), torch.tensor([value for _, value in found])


def uninformed(games: Games) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(len(games), 7), torch.zeros(len(games))


def unfinished(count: int, seed: int) -> list[list[int]]:
    """Return games of all lengths, none of them over, many shortly before their end."""
    rng = random.Random(seed)
    scripts: list[list[int]] = []
    while len(scripts) < count:
        moves = plain.random_game(rng)
        scripts.append(moves[: len(moves) - rng.choice((1, 2, 4, 8, len(moves)))])
    return scripts


def agrees(scripts: list[list[int]], num_simulations: int) -> bool:
    """Compare visits, mean values and the root's value with the search in a dictionary."""
    c = 1.3
    found = puct_search(from_moves(scripts), judge, num_simulations=num_simulations, c=c)
    wanted = [
        plain.puct(plain.after(moves), plain_judge, num_simulations=num_simulations, c=c)
        for moves in scripts
    ]
    visits, total = torch.tensor(wanted).unbind(dim=1)
    return (
        torch.equal(found.visits, visits.long())
        and torch.allclose(found.Q, total / visits.clamp(min=1), atol=1e-5)
        and torch.allclose(found.value, total.sum(dim=1) / num_simulations, atol=1e-5)
    )


def test_trees_in_tensors_agree_with_a_plain_search() -> None:
    """Same priors and values, same visits: openings, ends and games about to be full."""
    assert agrees(unfinished(40, seed=0), num_simulations=60)
    full = [moves[:-back] for moves in almost_full() for back in (1, 3, 5)]
    assert agrees(full, num_simulations=60)


def almost_full() -> list[list[int]]:
    rng = random.Random(5)
    found: list[list[int]] = []
    while len(found) < 3:
        moves = plain.random_game(rng)
        if len(moves) >= 40:
            found.append(moves)
    return found


def no_flip(patch: pytest.MonkeyPatch) -> None:
    def backup(
        self: tree_search._Trees, path: torch.Tensor, on_path: torch.Tensor, value: torch.Tensor
    ) -> None:
        counted = on_path.float()
        self.visits.view(-1).index_add_(0, path.flatten(), counted.flatten())
        self.total.view(-1).index_add_(0, path.flatten(), (counted * -value).flatten())

    patch.setattr(tree_search._Trees, "backup", backup)


def flip_too_early(patch: pytest.MonkeyPatch) -> None:
    right = tree_search._Trees.backup
    patch.setattr(
        tree_search._Trees, "backup", lambda self, path, on, value: right(self, path, on, -value)
    )


def leaf_only(patch: pytest.MonkeyPatch) -> None:
    """The root's move learns nothing from below."""
    right = tree_search._Trees.backup

    def backup(
        self: tree_search._Trees, path: torch.Tensor, on_path: torch.Tensor, value: torch.Tensor
    ) -> None:
        total = self.total.clone()
        right(self, path, on_path, value)
        last = path[-1]
        new = self.total.view(-1)[last]
        self.total = total
        self.total.view(-1)[last] = new

    patch.setattr(tree_search._Trees, "backup", backup)


def ends_are_expanded(patch: pytest.MonkeyPatch) -> None:
    """Nobody notices that a game has ended: the network judges, and play goes on."""

    def expand(self: tree_search._Trees, move: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        leaves = Games(self.mine[move // 7], self.taken[move // 7]).drop(move % 7)
        prior, value = self.evaluate(leaves)
        self.store(nodes, leaves, prior)
        self.child.view(-1)[move] = nodes
        return value

    patch.setattr(tree_search._Trees, "expand", expand)


def ends_are_judged(patch: pytest.MonkeyPatch) -> None:
    """Ends are not expanded, but worth what the network says."""
    right = tree_search._Trees.expand

    def expand(self: tree_search._Trees, move: torch.Tensor, nodes: torch.Tensor) -> torch.Tensor:
        right(self, move, nodes)
        return self.evaluate(Games(self.mine[nodes], self.taken[nodes]))[1]

    patch.setattr(tree_search._Trees, "expand", expand)


def raw_priors(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tree_search, "_normalised", lambda prior, legal: prior)


def child_visits(patch: pytest.MonkeyPatch) -> None:
    """The square root of the move's own visits instead of the parent's."""
    patch.setattr(
        tree_search,
        "puct_score",
        lambda prior, visits, Q, c: Q + c * prior * visits.clamp(min=1).sqrt() / (1 + visits),
    )


@pytest.mark.parametrize(
    "fault",
    [
        no_flip,
        flip_too_early,
        leaf_only,
        ends_are_expanded,
        ends_are_judged,
        raw_priors,
        child_visits,
    ],
)
def test_the_comparison_sees_faults(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    assert not agrees(unfinished(12, seed=0), num_simulations=40)


def test_a_batch_finds_what_each_game_finds_alone() -> None:
    games = from_moves(unfinished(24, seed=7))
    together = puct_search(games, judge, num_simulations=50)
    for i in range(len(games)):
        alone = puct_search(games[torch.tensor([i])], judge, num_simulations=50)
        assert torch.equal(alone.visits[0], together.visits[i])
        assert torch.equal(alone.Q[0], together.Q[i])
        assert torch.equal(alone.value[0], together.value[i])


def search(name: str, games: Games) -> tree_search.Searched:
    if name == "puct":
        return puct_search(games, uninformed, num_simulations=300)
    generator = torch.Generator().manual_seed(0)
    return uct_search(games, num_simulations=500, generator=generator)


def threats() -> tuple[list[list[int]], list[int]]:
    """Return positions where exactly one column completes a line at once, and the column."""
    scripts, columns = [], []
    for moves in unfinished(100, seed=11):
        board = plain.after(moves)
        wins = [c for c in plain.legal(board) if plain.winner(plain.play(board, c))]
        if len(wins) == 1:
            scripts.append(moves)
            columns.append(wins[0])
    return scripts, columns


def blocks() -> tuple[list[list[int]], list[int]]:
    """Return positions where one column alone holds, at once and in the move after."""
    scripts, columns = [], []
    for moves in unfinished(240, seed=12):
        board = plain.after(moves)
        if wins_now(board):
            continue
        saves = [c for c in plain.legal(board) if not wins_now(plain.play(board, c))]
        if len(saves) == 1 and len(plain.legal(board)) > 2:
            then = plain.play(board, saves[0])
            replies = [plain.play(then, reply) for reply in plain.legal(then)]
            if all(wins_now(reply) or safe(reply) for reply in replies):
                scripts.append(moves)
                columns.append(saves[0])
    return scripts, columns


def wins_now(board: plain.Board) -> bool:
    return any(plain.winner(plain.play(board, c)) for c in plain.legal(board))


def safe(board: plain.Board) -> bool:
    """Return whether some move does not lose at once."""
    return any(not wins_now(plain.play(board, c)) for c in plain.legal(board))


def clear_blocks() -> tuple[list[list[int]], list[int]]:
    """Return three in a column, for every column, and three on the ground from either edge."""
    towers = [[c, (c + 2) % 7, c, (c + 4) % 7, c] for c in range(7)]
    grounds = [[0, 0, 1, 1, 2], [6, 6, 5, 5, 4]]
    return towers + grounds, [*range(7), 3, 3]


@pytest.mark.parametrize(
    ("name", "positions"),
    [("puct", threats), ("puct", blocks), ("uct", threats), ("uct", clear_blocks)],
)
def test_wins_and_blocks_in_one_are_found(
    name: str, positions: Callable[[], tuple[list[list[int]], list[int]]]
) -> None:
    """With nothing known of the position: uniform priors and value 0, or random rollouts.

    Some hundred rollouts now and then prefer another move to a block in a game full of threats.
    """
    scripts, columns = positions()
    assert len(scripts) >= 9
    assert len(set(columns)) == 7
    found = search(name, from_moves(scripts))
    assert found.best().tolist() == columns
    if positions is threats:
        won = found.Q.gather(1, torch.tensor(columns)[:, None])
        assert torch.equal(won, torch.ones_like(won))


@pytest.mark.parametrize("name", SEARCHES)
def test_every_simulation_visits_the_root_and_no_full_column(name: str) -> None:
    games = from_moves([[0, 0, 0, 0, 0, 0], [], [3, 3]])
    found = search(name, games)
    num_simulations = int(found.visits[0].sum())
    assert num_simulations == {"puct": 300, "uct": 500}[name]
    assert (found.visits.sum(dim=1) == num_simulations).all()
    assert not found.visits[~games.legal()].any()
    assert torch.isfinite(found.Q).all()
    assert found.Q.abs().max() <= 1
    mean = (found.Q * found.visits).sum(dim=1) / num_simulations
    assert torch.allclose(found.value, mean, atol=1e-6)


def test_scores_by_hand() -> None:
    """puct: sum of visits 9, root 3. uct: log 9 over 9 visits, and the untried comes first."""
    prior, visits = torch.tensor([[0.5, 0.3, 0.2]]), torch.tensor([[0.0, 8.0, 1.0]])
    Q = torch.tensor([[0.0, 0.25, -1.0]])
    wanted = torch.tensor([[3.0, 0.25 + 2 * 0.3 * 3 / 9, -1 + 2 * 0.2 * 3 / 2]])
    assert torch.allclose(puct_score(prior, visits, Q, 2.0), wanted)
    fresh = puct_score(prior, torch.zeros(1, 3), torch.zeros(1, 3), 2.0)
    assert torch.allclose(fresh, 2 * prior)
    log9 = 2.1972246
    score = uct_score(visits, Q, 2.0)
    assert score[0, 0] > 1e8
    assert score[0, 1].item() == pytest.approx(0.25 + 2 * (log9 / 8) ** 0.5, abs=1e-6)
    assert score[0, 2].item() == pytest.approx(-1 + 2 * log9**0.5, abs=1e-6)


def two_columns_left(count: int) -> Games:
    """Return copies of a position in which only columns 5 and 6 have room, and nothing is won."""
    rng = random.Random(0)
    while True:
        board = plain.EMPTY
        moves: list[int] = []
        while len(moves) < 30 and not plain.is_over(board):
            moves.append(rng.choice([c for c in plain.legal(board) if c < 5]))
            board = plain.play(board, moves[-1])
        if len(moves) == 30 and not plain.is_over(board):
            return from_moves([moves])[torch.zeros(count, dtype=torch.int64)]


def test_noise_is_uniform_over_mixtures_of_legal_moves() -> None:
    """Two columns with priors 1 and 0, and noise of weight 3/4 that splits as u to 1 - u.

    The first simulation takes the larger sum: 1/4 + 3u/4 > 3(1 - u)/4 for u > 1/3, so in two games
    of three; five standard errors.
    """
    games = two_columns_left(20_000)

    def sure(games: Games) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.tensor([[0.0, 0, 0, 0, 0, 1, 0]]).expand(len(games), 7), torch.zeros(
            len(games)
        )

    generator = torch.Generator().manual_seed(0)
    found = puct_search(games, sure, num_simulations=1, noise=0.75, generator=generator)
    share = float((found.best() == 5).float().mean())
    assert abs(share - 2 / 3) < 5 * (2 / 9 / len(games)) ** 0.5
    quiet = puct_search(games, sure, num_simulations=1, noise=0.25, generator=generator)
    assert (quiet.best() == 5).float().mean() == 1


def test_what_cannot_be_searched_is_said() -> None:
    lost = from_moves([[], [0, 1, 0, 1, 0, 1, 0]])
    generator = torch.Generator()
    with pytest.raises(ValueError, match=r"^game 1 is over: there is nothing to search$"):
        puct_search(lost, uninformed, num_simulations=5)
    with pytest.raises(ValueError, match=r"^game 1 is over: there is nothing to search$"):
        uct_search(lost, num_simulations=5, generator=generator)
    with pytest.raises(ValueError, match=r"^num_simulations must be at least 1, not 0$"):
        uct_search(new_games(1), num_simulations=0, generator=generator)
    with pytest.raises(ValueError, match=r"^noise needs a generator$"):
        puct_search(new_games(1), uninformed, num_simulations=5, noise=0.25)
    with pytest.raises(ValueError, match=r"^noise is a share from 0 to 1, not 2$"):
        puct_search(new_games(1), uninformed, num_simulations=5, noise=2, generator=generator)
