"""Matches count what was played, and their interval is the textbook's."""

import random

import pytest
import torch
from scipy.stats import binomtest

from labkit.arena import (
    Match,
    Player,
    match,
    network_player,
    openings,
    uct_player,
    wilson,
)
from labkit.connect_four import Games, from_moves
from labkit.policy_value import PolicyValueNet, evaluator
from tests import plain_connect_four as plain


def always(column: int) -> Player:
    return lambda games: torch.full_like(games.taken, column)


def scripted(moves: list[int]) -> Player:
    return lambda games: torch.tensor(moves)[games.num_moves()]


def test_the_interval_is_wilson_s() -> None:
    for points, num_games in ((0, 10), (3, 10), (50, 100), (199, 200), (7, 7)):
        wanted = binomtest(points, num_games).proportion_ci(method="wilson")
        assert wilson(points, num_games) == pytest.approx((wanted.low, wanted.high), abs=1e-7)
    low, high = wilson(5.5, 10)
    assert wilson(5, 10)[0] < low < 0.55 < high < wilson(6, 10)[1]
    for points, num_games in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="make no share"):
            wilson(points, num_games)


def test_a_match_in_words() -> None:
    result = Match(wins=60, draws=10, losses=30, wins_moving_first=40)
    assert (result.num_games, result.score) == (100, 0.65)
    assert result.interval == wilson(65, 100)
    assert str(result).startswith("60 wins, 10 draws, 30 losses: score 0.650 (95% interval 0.55")


def test_whoever_moves_first_builds_a_tower_first() -> None:
    """Without an opening, columns 3 and 0: four in a column come after seven moves."""
    result = match(always(3), always(0), num_games=10, opening_moves=0)
    assert result == Match(wins=5, draws=0, losses=5, wins_moving_first=5)


def test_one_sided_matches() -> None:
    """A tower in column 3 comes before anything that columns 0 and 1 in turn can build."""

    def aimless(games: Games) -> torch.Tensor:
        return games.num_moves() // 2 % 2

    tower = always(3)
    for one, other, wanted in (
        (tower, aimless, Match(wins=10, draws=0, losses=0, wins_moving_first=5)),
        (aimless, tower, Match(wins=0, draws=0, losses=10, wins_moving_first=0)),
    ):
        assert match(one, other, num_games=10, opening_moves=0) == wanted


def test_a_drawn_game() -> None:
    rng = random.Random(0)
    while True:
        moves = plain.random_game(rng)
        if plain.winner(plain.after(moves)) == 0:
            break
    result = match(scripted(moves), scripted(moves), num_games=2, opening_moves=0)
    assert result == Match(wins=0, draws=2, losses=0, wins_moving_first=0)
    assert result.score == 0.5


def test_both_sides_get_the_same_openings() -> None:
    seen: dict[str, Games] = {}

    def watched(name: str, player: Player) -> Player:
        def play(games: Games) -> torch.Tensor:
            seen.setdefault(name, games)
            return player(games)

        return play

    match(
        watched("one", uct_player(num_simulations=5)),
        watched("other", uct_player(num_simulations=5)),
        num_games=60,
        opening_moves=4,
    )
    assert torch.equal(seen["one"].taken, seen["other"].taken)
    assert torch.equal(seen["one"].mine, seen["other"].mine)
    assert len(seen["one"]) == 30
    assert (seen["one"].num_moves() == 4).all()
    assert len(seen["one"].taken.unique()) > 20


def test_openings_are_random_and_never_over() -> None:
    generator = torch.Generator().manual_seed(0)
    games = openings(5_000, num_moves=6, generator=generator)
    assert not games.over().any()
    assert (games.num_moves() == 6).all()
    assert len(games.taken.unique()) > 500
    with pytest.raises(ValueError, match=r"^an opening has 0 to 6 moves, not 7$"):
        openings(1, num_moves=7, generator=generator)


def test_matches_repeat_with_their_seeds() -> None:
    def run(seed: int) -> Match:
        players = [uct_player(num_simulations=4, seed=s) for s in (1, 2)]
        return match(*players, num_games=20, seed=seed)

    assert run(0) == run(0)
    assert run(0) != run(1)


def test_what_cannot_be_played_is_said() -> None:
    for num_games in (7, 0):
        with pytest.raises(ValueError, match=rf"^num_games must be even.*not {num_games}$"):
            match(always(0), always(1), num_games=num_games)
    with pytest.raises(ValueError, match=r"^game 0: column 3 is full$"):
        match(always(3), always(3), num_games=2, opening_moves=0)


def test_a_network_plays_with_and_without_a_search() -> None:
    torch.manual_seed(0)
    net = PolicyValueNet(channels=4)
    games = from_moves([[3], [2, 2], [0, 0, 0, 0, 0, 0]])
    alone = network_player(net, num_simulations=0)(games)
    assert torch.equal(alone, evaluator(net)(games)[0].argmax(dim=1))
    player = network_player(net, num_simulations=30)
    assert torch.equal(player(games), player(games))
    winning = from_moves([[3, 0, 3, 0, 3, 0]])
    assert network_player(net, num_simulations=100)(winning).tolist() == [3]
