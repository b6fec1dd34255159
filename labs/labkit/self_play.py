"""AlphaZero in small: a network learns Connect Four from the searches of games with itself.

::

    from labkit import device, profile
    from labkit.arena import match, network_player, uct_player
    from labkit.self_play import SMALL, LARGE, train_connect_four

    trained = train_connect_four(profile(cpu=SMALL, gpu=LARGE), device=device(), desc="self-play")
    player = network_player(trained.net, num_simulations=64)
    print(match(player, uct_player(num_simulations=64), num_games=200, device=device()))

Each generation plays its games with the newest network, all at once (`play_games`), and then
learns from the positions of the last generations (`loss_of`): the policy from the visits of the
searches, the value from the results. `labkit.connect_four` holds the game, `labkit.tree_search` the
search, `labkit.policy_value` the network and its file, `labkit.arena` players and matches.

Sources: Silver et al. (2017), AlphaGo Zero: loss, temperature and noise; Silver et al. (2018),
AlphaZero: one network that is updated all the time, without contests between old and new.
Differences in words: Adam instead of momentum; both mirror images of a position are learned from;
generations of games instead of actors that never stop.
"""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional
from tqdm import tqdm

from labkit.artifacts import write_whole
from labkit.connect_four import Games, new_games
from labkit.policy_value import PolicyValueNet, evaluator
from labkit.tree_search import Evaluate, puct_search


@dataclasses.dataclass(frozen=True)
class Config:
    """Sizes of one training.

    Attributes:
        num_generations: how often games are played and learned from.
        num_games: games that a generation plays at once.
        num_simulations: simulations per move.
        c: weight of the prior in the search.
        noise: share of Dirichlet noise at the root.
        temperature_moves: stones on the board while moves are drawn in proportion to visits; from
            then on the most visited move is played.
        window: generations whose positions are learned from.
        num_updates: gradient steps per generation.
        batch_size: positions per gradient step.
        learning_rate: of Adam, falling to a tenth in a cosine over all generations.
        weight_decay: weight of the penalty on large weights.
        channels, num_layers: size of the network.
        seed: of all randomness; the numbers differ between devices, their statistics do not.
    """

    num_generations: int = 20
    num_games: int = 64
    num_simulations: int = 32
    c: float = 1.5
    noise: float = 0.25
    temperature_moves: int = 12
    window: int = 8
    num_updates: int = 40
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 1e-4
    channels: int = 32
    num_layers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        wholes = ("num_generations", "num_games", "num_simulations", "window", "num_updates")
        for name in (*wholes, "batch_size", "channels", "num_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


SMALL = Config()
"""Plays 1280 games in about a minute of one processor core."""
LARGE = Config(
    num_generations=40,
    num_games=4096,
    num_simulations=64,
    num_updates=400,
    batch_size=2048,
    channels=64,
    num_layers=6,
)
"""Thousands of games at once, on a GPU."""


@dataclasses.dataclass(frozen=True)
class Examples:
    """Positions to learn from.

    Attributes:
        games: positions, seen by the player to move.
        policy: share of the search's visits per move, shape ``(num_positions, 7)``.
        value: the game's result for the player to move: 1, 0 or -1, shape ``(num_positions,)``.
    """

    games: Games
    policy: torch.Tensor
    value: torch.Tensor

    def __len__(self) -> int:
        return len(self.value)

    def __getitem__(self, which: torch.Tensor) -> Examples:
        return Examples(self.games[which], self.policy[which], self.value[which])

    def tensors(self) -> list[torch.Tensor]:
        """Return what these are made of: mine, taken, policy, value."""
        return [self.games.mine, self.games.taken, self.policy, self.value]


@dataclasses.dataclass(frozen=True)
class Trained:
    """What `train_connect_four` made.

    Attributes:
        net: the network.
        history: a row per generation: ``games`` and ``positions`` played up to then, the mean
            ``length`` of its games, the share that the ``first`` player won (a draw is half), and
            the mean ``policy loss`` and ``value loss`` of its updates.
    """

    net: PolicyValueNet
    history: list[dict[str, float]]


@torch.inference_mode()
def play_games(
    evaluate: Evaluate,
    num_games: int,
    *,
    num_simulations: int,
    generator: torch.Generator,
    c: float = 1.5,
    noise: float = 0.25,
    temperature_moves: int = 12,
) -> Examples:
    """Play games of a searching network against itself, all at once, and return every position.

    Args:
        evaluate: what the search asks, such as ``evaluator(net)``.
        num_games: games to play.
        num_simulations: simulations per move.
        generator: all randomness, and the device to play on.
        c: weight of the prior in the search.
        noise: share of Dirichlet noise at the root.
        temperature_moves: how many of a game's moves are drawn in proportion to visits.
    """
    games = new_games(num_games, device=generator.device)
    number = torch.arange(num_games, device=generator.device)  # of the games that go on
    first_won = torch.zeros(num_games, device=generator.device)  # 1, 0 or -1
    played: list[tuple[Games, torch.Tensor, torch.Tensor]] = []
    sign = 1.0  # turns the first player's view into that of the player to move
    while len(games):
        found = puct_search(
            games,
            evaluate,
            num_simulations=num_simulations,
            c=c,
            noise=noise,
            generator=generator,
        )
        played.append((games, found.visits / num_simulations, number))
        column = found.best()
        if len(played) <= temperature_moves:
            column = torch.multinomial(found.visits.float(), 1, generator=generator)[:, 0]
        games = games.drop(column)
        lost = games.lost()
        first_won[number[lost]] = sign
        sign = -sign
        going = ~(lost | games.full())
        games, number = games[going], number[going]
    view = [first_won[number] * (-1) ** at for at, (_, _, number) in enumerate(played)]
    return Examples(
        Games(
            torch.cat([games.mine for games, _, _ in played]),
            torch.cat([games.taken for games, _, _ in played]),
        ),
        torch.cat([policy for _, policy, _ in played]),
        torch.cat(view),
    )


def mirrored(
    planes: torch.Tensor, policy: torch.Tensor, where: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return boards and policies with left and right exchanged where the mask says so.

    Args:
        planes: shape ``(batch, 2, 6, 7)``.
        policy: shape ``(batch, 7)``.
        where: bool of shape ``(batch,)``.
    """
    return (
        torch.where(where[:, None, None, None], planes.flip(3), planes),
        torch.where(where[:, None], policy.flip(1), policy),
    )


def loss_of(
    net: PolicyValueNet, planes: torch.Tensor, policy: torch.Tensor, value: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ``mean(-policy . log p)`` and ``mean((value - v)**2)``, whose sum is the loss.

    The network's logits of full columns count too: it learns that they are not played.

    Args:
        net: answers with logits of ``p`` and with ``v``.
        planes: shape ``(batch, 2, 6, 7)``.
        policy: what the searches chose, shape ``(batch, 7)``.
        value: how the games ended for the player to move, shape ``(batch,)``.

    Source: Silver et al. (2017), equation 1; its third term is the optimiser's weight decay.
    """
    logits, v = net(planes)
    cross_entropy = -(policy * functional.log_softmax(logits, dim=1)).sum(dim=1).mean()
    return cross_entropy, ((value - v) ** 2).mean()


def train_connect_four(
    config: Config = SMALL,
    *,
    device: torch.device | str = "cpu",
    checkpoint: str | os.PathLike[str] | None = None,
    each: Callable[[PolicyValueNet, dict[str, float]], None] | None = None,
    desc: str | None = None,
) -> Trained:
    """Train a network on games with itself.

    Args:
        config: sizes, such as `SMALL` or `LARGE`.
        device: where to compute.
        checkpoint: a file that is written after each generation; where there is one already, the
            training goes on from it. None keeps nothing.
        each: called with the network and the newest row of the history after each generation,
            before the checkpoint is written. It must leave the network as it is.
        desc: what the progress bar says; None hides it.

    Raises:
        ValueError: if the checkpoint is damaged or was made with another configuration.
    """
    training = _Training(config, torch.device(device))
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        training.load(path)
    begun = len(training.history)
    with tqdm(total=config.num_generations, initial=begun, desc=desc, disable=desc is None) as bar:
        for _ in range(begun, config.num_generations):
            row = training.generation()
            if each is not None:
                each(training.net, row)
            if path is not None:
                training.save(path)
            bar.set_postfix({"policy loss": row["policy loss"], "value loss": row["value loss"]})
            bar.update()
    return Trained(training.net, training.history)


class _Training:
    """A network, its optimiser, its window of positions and its randomness."""

    def __init__(self, config: Config, device: torch.device) -> None:
        self.config, self.device = config, device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = PolicyValueNet(channels=config.channels, num_layers=config.num_layers)
        self.net = net.to(device)
        self.optimiser = torch.optim.AdamW(
            self.net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.generator = torch.Generator(device).manual_seed(config.seed)
        self.window: list[Examples] = []
        self.history: list[dict[str, float]] = []

    def generation(self) -> dict[str, float]:
        config = self.config
        new = play_games(
            evaluator(self.net),
            config.num_games,
            num_simulations=config.num_simulations,
            generator=self.generator,
            c=config.c,
            noise=config.noise,
            temperature_moves=config.temperature_moves,
        )
        self.window = [*self.window, new][-config.window :]
        policy_loss, value_loss = self.learn()
        before = self.history[-1] if self.history else {"games": 0, "positions": 0}
        row = {
            "games": before["games"] + config.num_games,
            "positions": before["positions"] + len(new),
            "length": round(len(new) / config.num_games, 2),
            # The first positions are the empty boards: their values are the first player's.
            "first": round(float(new.value[: config.num_games].mean()) / 2 + 0.5, 4),
            "policy loss": round(policy_loss, 4),
            "value loss": round(value_loss, 4),
        }
        self.history.append(row)
        return row

    def learn(self) -> tuple[float, float]:
        """Take a generation's gradient steps and return the mean losses."""
        config = self.config
        parts = zip(*(examples.tensors() for examples in self.window), strict=True)
        mine, taken, policy, value = (torch.cat(part) for part in parts)
        examples = Examples(Games(mine, taken), policy, value)
        progress = torch.tensor(len(self.history) / config.num_generations)
        for group in self.optimiser.param_groups:
            fall = 0.55 + 0.45 * float(torch.cos(torch.pi * progress))
            group["lr"] = config.learning_rate * fall
        losses = torch.zeros(2, device=self.device)
        for _ in range(config.num_updates):
            which = torch.randint(
                len(examples),
                (config.batch_size,),
                generator=self.generator,
                device=self.device,
            )
            batch = examples[which]
            flip = torch.rand(len(batch), generator=self.generator, device=self.device) < 0.5
            planes, policy = mirrored(batch.games.planes(), batch.policy, flip)
            both = loss_of(self.net, planes, policy, batch.value)
            self.optimiser.zero_grad()
            torch.autograd.backward(both)  # their sum's gradient
            self.optimiser.step()
            losses += torch.stack(both).detach()
        policy_loss, value_loss = (losses / config.num_updates).tolist()
        return policy_loss, value_loss

    def save(self, path: Path) -> None:
        raw = io.BytesIO()
        torch.save(
            {
                "config": dataclasses.asdict(self.config),
                "device": self.device.type,
                "net": self.net.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "generator": self.generator.get_state(),
                "window": [examples.tensors() for examples in self.window],
                "history": self.history,
            },
            raw,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, raw.getvalue())

    def load(self, path: Path) -> None:
        found = _read(path)
        mine = {"config": dataclasses.asdict(self.config), "device": self.device.type}
        if {name: found[name] for name in mine} != mine:
            raise ValueError(f"{path.name} was made with another configuration or device")
        self.net.load_state_dict(found["net"])
        self.optimiser.load_state_dict(found["optimiser"])
        self.generator.set_state(found["generator"])
        for tensors in found["window"]:
            own, taken, policy, value = (tensor.to(self.device) for tensor in tensors)
            self.window.append(Examples(Games(own, taken), policy, value))
        self.history = found["history"]


_PARTS = {"config", "device", "net", "optimiser", "generator", "window", "history"}


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, zipfile.BadZipFile):
        found = {}
    if not isinstance(found, dict) or found.keys() != _PARTS:
        raise ValueError(f"{path.name} is no checkpoint, or a damaged one")
    return found
