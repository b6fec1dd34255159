"""A network learns from games with itself, the same with and without an interruption."""

import dataclasses
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from labkit import self_play
from labkit.arena import match, network_player
from labkit.artifacts import ArtifactError
from labkit.connect_four import Games, from_moves, new_games
from labkit.policy_value import PolicyValueNet, evaluator, load_net, save_net
from labkit.self_play import (
    Config,
    Examples,
    loss_of,
    mirrored,
    play_games,
    train_connect_four,
)
from labkit.tree_search import Evaluate
from tests import plain_connect_four as plain

TINY = Config(
    num_generations=4,
    num_games=12,
    num_simulations=8,
    window=2,
    num_updates=5,
    batch_size=32,
    channels=4,
    seed=3,
)


def uninformed(games: Games) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.ones(len(games), 7), torch.zeros(len(games))


def net_of(seed: int, **sizes: int) -> PolicyValueNet:
    torch.manual_seed(seed)
    return PolicyValueNet(**sizes)


def play(evaluate: Evaluate, num_games: int, seed: int = 0, **settings: float) -> Examples:
    generator = torch.Generator().manual_seed(seed)
    return play_games(evaluate, num_games, num_simulations=20, generator=generator, **settings)


def moves_of(examples: Examples) -> list[int]:
    """Return the moves of one game from its positions; the last move is not among them."""
    boards = examples.games.board()
    changed = (boards[1:] != boards[:-1]).any(dim=1)
    return changed.long().argmax(dim=1).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_a_game_is_recorded_with_its_result(seed: int) -> None:
    """One game, replayed by loops: its positions, its end, and values in each mover's view."""
    examples = play(uninformed, 1, seed)
    board = plain.EMPTY
    for at, column in enumerate([*moves_of(examples), None]):
        assert examples.games.board()[at].tolist() == plain.rows(board)
        assert not plain.is_over(board)
        if column is not None:
            board = plain.play(board, column)
    ends = [plain.play(board, column) for column in plain.legal(board)]
    results = {plain.winner(end) for end in ends if plain.is_over(end)}
    first = examples.value[0].item()
    assert first in results
    assert examples.value.tolist() == [first * (-1) ** at for at in range(len(examples))]


def test_games_at_once_keep_their_results_apart() -> None:
    """Of 40 games, whoever leaves the table after a move had won or filled the board by it."""
    examples = play(uninformed, 40, seed=1)
    counts = examples.games.num_moves()
    assert (counts.diff() >= 0).all()
    rounds = [examples[counts == number] for number in range(int(counts.max()) + 1)]
    assert len(rounds[0]) == 40
    ended = 0
    for now, later in zip(rounds, [*rounds[1:], None], strict=True):
        at = 0
        for i in range(len(now)):
            taken = int(now.games.taken[i])
            after = int(later.games.taken[at]) if later and at < len(later) else 0
            if after & taken == taken:  # goes on: seen by the opponent, so with the other sign
                assert (after ^ taken).bit_count() == 1
                assert later.value[at] == -now.value[i]
                at += 1
            else:
                ended += 1
                columns = now.games[torch.tensor([i])].legal()[0].nonzero()[:, 0]
                ends = now.games[torch.full((len(columns),), i)].drop(columns)
                wins = ends.lost().any().item()
                assert now.value[i] == 1 if wins else ends.full().any()
        assert later is None or at == len(later)
    assert ended == 40


def test_policies_are_shares_of_visits() -> None:
    examples = play(uninformed, 20)
    assert torch.allclose(examples.policy.sum(dim=1), torch.ones(len(examples)))
    assert not examples.policy[~examples.games.legal()].any()
    assert torch.equal(examples.policy * 20, (examples.policy * 20).round())


def test_moves_are_drawn_for_as_long_as_the_temperature_lasts() -> None:
    """Without noise, games differ by drawn moves alone; a later one is the most visited."""
    still = play(uninformed, 5, noise=0, temperature_moves=0)
    assert len(still.games.taken.unique()) == len(still) / 5
    one = play(uninformed, 400, noise=0, temperature_moves=1)
    second = one.games.num_moves() == 1
    first_moves = one.games.taken[second]
    assert len(first_moves.unique()) == 7
    share = float((first_moves == 1).float().mean())
    wanted = float(one.policy[0, 0])  # column 0's share of visits on the empty board
    assert abs(share - wanted) < 5 * (wanted * (1 - wanted) / 400) ** 0.5
    third = one[one.games.num_moves() == 2]
    assert len(third.games.taken.unique()) == 7
    drawn = play(uninformed, 400, noise=0, temperature_moves=2)
    assert len(drawn[drawn.games.num_moves() == 2].games.taken.unique()) > 7


def test_noise_makes_games_differ() -> None:
    noisy = play(uninformed, 30, noise=0.25, temperature_moves=0)
    assert len(noisy[noisy.games.num_moves() == 2].games.taken.unique()) > 1


def test_mirrors_are_other_positions_with_the_same_worth() -> None:
    """Against games whose every move is mirrored; and what is not asked for stays."""
    rng = random.Random(0)
    scripts = [plain.random_game(rng, most=9) for _ in range(6)]
    planes = from_moves(scripts).planes()
    policy = torch.rand(6, 7, generator=torch.Generator().manual_seed(0))
    where = torch.tensor([True, False, True, True, False, False])
    turned = from_moves([[6 - column for column in moves] for moves in scripts])
    new_planes, new_policy = mirrored(planes, policy, where)
    assert torch.equal(new_planes[where], turned.planes()[where])
    assert torch.equal(new_planes[~where], planes[~where])
    for i in range(6):
        wanted = policy[i].tolist()
        assert new_policy[i].tolist() == (wanted[::-1] if where[i] else wanted)


def test_learning_mirrors_half_of_what_it_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []

    def note(
        planes: torch.Tensor, policy: torch.Tensor, where: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        seen.append(where)
        return mirrored(planes, policy, where)

    monkeypatch.setattr(self_play, "mirrored", note)
    train_connect_four(dataclasses.replace(TINY, num_games=2, num_updates=25))
    shares = torch.cat(seen).float()
    assert abs(float(shares.mean()) - 0.5) < 5 * 0.5 / len(shares) ** 0.5


class Fixed(PolicyValueNet):
    """Answers the same everywhere, from parameters."""

    def __init__(self, logits: list[float], value: float) -> None:
        super().__init__(channels=1, num_layers=1)
        self.logits = torch.nn.Parameter(torch.tensor(logits))
        self.v = torch.nn.Parameter(torch.tensor(value))

    def forward(self, planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.logits.expand(len(planes), 7), self.v.expand(len(planes))


def test_losses_by_hand() -> None:
    """p = (1/2, 1/4, 1/4, 0...): two policies of three and two bits of surprise, by ln 2."""
    zero = -1e9
    net = Fixed([math.log(2), 0.0, 0.0, zero, zero, zero, zero], value=0.25)
    policy = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0], [0, 0.5, 0.5, 0, 0, 0, 0]])
    planes, value = new_games(2).planes(), torch.tensor([1.0, 0.0])
    policy_loss, value_loss = loss_of(net, planes, policy, value)
    assert policy_loss.item() == pytest.approx((1 + 2) / 2 * math.log(2))
    assert value_loss.item() == pytest.approx((0.5625 + 0.0625) / 2)
    torch.autograd.backward((policy_loss, value_loss))
    # Descent raises the logits of what was played more than p says, and v towards the mean, 1/2.
    assert net.logits.grad is not None
    assert net.logits.grad[:3].tolist() == pytest.approx([0.5 - 0.5, 0.25 - 0.25, 0.25 - 0.25])
    assert net.v.grad is not None
    assert net.v.grad.item() == pytest.approx(2 * (0.25 - 0.5))


def losses(net: PolicyValueNet, examples: Examples) -> tuple[float, float]:
    with torch.no_grad():
        policy, value = loss_of(net, examples.games.planes(), examples.policy, examples.value)
    return policy.item(), value.item()


def test_training_lowers_both_losses_on_games_it_never_saw() -> None:
    """Games of the trained network with another seed, judged before and after."""
    config = Config(
        num_generations=6, num_games=64, num_simulations=16, num_updates=40, channels=16
    )
    nets: list[PolicyValueNet] = []

    def each(net: PolicyValueNet, row: dict[str, float]) -> None:
        nets.append(net)

    result = train_connect_four(config, each=each)
    assert [row["games"] for row in result.history] == [64 * i for i in range(1, 7)]
    assert nets == [result.net] * 6
    fresh = play(evaluator(result.net), 64, seed=99)
    untrained = train_connect_four(
        dataclasses.replace(config, num_generations=1, num_updates=1, num_games=1)
    ).net
    before, after = losses(untrained, fresh), losses(result.net, fresh)
    assert after[0] < before[0] - 0.2
    assert after[1] < before[1] - 0.05
    result = match(
        network_player(result.net, num_simulations=16),
        network_player(untrained, num_simulations=16),
        num_games=80,
    )
    assert result.interval[0] > 0.5


class InterruptedError_(Exception):
    pass


def test_an_interrupted_training_ends_like_any_other(tmp_path: Path) -> None:
    """Stopped in the third generation, after the second was kept: equal weights, to the bit."""
    whole = train_connect_four(TINY)
    file = tmp_path / "folder" / "checkpoint"
    calls = []

    def stop(net: PolicyValueNet, row: dict[str, float]) -> None:
        calls.append(row["games"])
        if len(calls) == 3:
            raise InterruptedError_

    with pytest.raises(InterruptedError_):
        train_connect_four(TINY, checkpoint=file, each=stop)
    resumed = train_connect_four(TINY, checkpoint=file, each=stop)
    assert calls == [12, 24, 36, 36, 48]
    assert resumed.history == whole.history
    for name, weights in whole.net.state_dict().items():
        assert torch.equal(weights, resumed.net.state_dict()[name]), name
    again = train_connect_four(TINY, checkpoint=file, each=stop)  # nothing is left to do
    assert again.history == whole.history
    assert len(calls) == 5


def test_seeds_make_trainings() -> None:
    weights = [
        train_connect_four(dataclasses.replace(TINY, num_generations=1, seed=seed)).net.policy.bias
        for seed in (3, 3, 4)
    ]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_training_leaves_other_randomness_alone() -> None:
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    train_connect_four(dataclasses.replace(TINY, num_generations=1))
    assert torch.equal(torch.rand(3), wanted)


def test_the_learning_rate_falls_to_a_tenth() -> None:
    """At the first generation 1, half way 0.55, and close to 0.1 in the last of many."""
    config = dataclasses.replace(TINY, num_generations=40, learning_rate=1.0)
    training = self_play._Training(config, torch.device("cpu"))
    training.window = [play(uninformed, 2)]
    rates = []
    for generation in (0, 20, 39):
        training.history = [{}] * generation
        training.learn()
        rates.append(training.optimiser.param_groups[0]["lr"])
    assert rates[0] == pytest.approx(1.0)
    assert rates[1] == pytest.approx(0.55)
    assert 0.1 < rates[2] < 0.102


def test_the_window_holds_the_last_generations() -> None:
    training = self_play._Training(TINY, torch.device("cpu"))
    positions = [training.generation()["positions"] for _ in range(3)]
    assert [len(examples) for examples in training.window] == [
        positions[1] - positions[0],
        positions[2] - positions[1],
    ]


def broken(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


def something_else(file: Path) -> None:
    file.write_bytes(b"not a checkpoint")


def other_things(file: Path) -> None:
    torch.save({"weights": torch.ones(3)}, file)


@pytest.mark.parametrize("damage", [broken, something_else, other_things])
def test_a_damaged_checkpoint_is_refused(damage: Callable[[Path], None], tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    config = dataclasses.replace(TINY, num_generations=1)
    train_connect_four(config, checkpoint=file)
    damage(file)
    with pytest.raises(ValueError, match=r"^checkpoint is no checkpoint, or a damaged one$"):
        train_connect_four(config, checkpoint=file)


def test_another_training_s_checkpoint_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    train_connect_four(dataclasses.replace(TINY, num_generations=1), checkpoint=file)
    with pytest.raises(ValueError, match=r"^checkpoint was made with another configuration"):
        train_connect_four(TINY, checkpoint=file)


@pytest.mark.parametrize("name", ["num_games", "num_simulations", "num_updates", "window"])
def test_sizes_are_positive(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be at least 1, not 0$"):
        Config(**{name: 0})
    with pytest.raises(ValueError, match=r"^channels and num_layers must be at least 1$"):
        PolicyValueNet(channels=0)


def test_a_network_s_answers_do_not_depend_on_its_company() -> None:
    net = net_of(0)
    net.value[2].bias.data.fill_(2.0)  # far from 0, where any squashing looks like none
    rng = random.Random(0)
    full = [4, 4, 4, 4, 4, 4]
    games = from_moves([full, *(plain.random_game(rng, most=12) for _ in range(8))])
    prior, value = evaluator(net)(games)
    assert torch.allclose(prior.sum(dim=1), torch.ones(9))
    assert not prior[~games.legal()].any()
    assert (value.abs() < 1).all()
    for i in range(9):
        alone = evaluator(net)(games[torch.tensor([i])])
        assert torch.allclose(alone[0][0], prior[i], atol=1e-6)
        assert torch.allclose(alone[1][0], value[i], atol=1e-6)


def test_weights_come_back_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    for sizes in ({"channels": 8, "num_layers": 3}, {"channels": 5, "num_layers": 1}):
        net = net_of(1, **sizes)
        save_net(net, file)
        for back in (load_net(file), load_net(file.read_bytes())):
            assert (back.channels, back.num_layers) == tuple(sizes.values())
            planes = from_moves([[3, 2, 3]]).planes()
            for wanted, got in zip(net(planes), back(planes), strict=True):
                assert torch.equal(wanted, got)


def test_a_file_without_such_a_network_is_refused() -> None:
    good = net_of(0, channels=3).state_dict()
    for tensors in (
        {"Q": torch.ones(2)},
        {**good, "more": torch.ones(1)},
        {**good, "policy.bias": torch.ones(8)},
        {**good, "body.0.bias": torch.ones(0)},
    ):
        with pytest.raises(ArtifactError, match=r"^it holds no network for Connect Four$"):
            load_net(save(tensors))
    with pytest.raises(ArtifactError, match=r"^it is damaged"):
        load_net(b"nothing")
