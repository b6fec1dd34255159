"""A small network that looks at Connect Four: which column a search would choose, and who wins.

Source: one body with two heads, as in AlphaGo Zero (Silver et al. 2017), far smaller and without
batch normalisation, so that a position's value does not depend on what else is in its batch.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from labkit.artifacts import ArtifactError, load_artifact, write_whole
from labkit.connect_four import COLUMNS, ROWS, Games
from labkit.tree_search import Evaluate


class PolicyValueNet(nn.Module):
    """Convolutions of 3 by 3, with a head for the policy and one for the value.

    Attributes:
        channels: planes that each convolution makes.
        num_layers: how many convolutions there are; all but the first add to what they got.
    """

    def __init__(self, *, channels: int = 32, num_layers: int = 2) -> None:
        super().__init__()
        if channels < 1 or num_layers < 1:
            raise ValueError("channels and num_layers must be at least 1")
        self.channels, self.num_layers = channels, num_layers
        inputs = [2] + [channels] * (num_layers - 1)
        self.body = nn.ModuleList(nn.Conv2d(planes, channels, 3, padding=1) for planes in inputs)
        self.policy = nn.Linear(channels * ROWS * COLUMNS, COLUMNS)
        self.value = nn.Sequential(
            nn.Linear(channels * ROWS * COLUMNS, 32), nn.ReLU(), nn.Linear(32, 1)
        )

    def forward(self, planes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits of shape ``(batch, 7)`` and values from -1 to 1 of shape ``(batch,)``.

        Args:
            planes: what `Games.planes` gives, float of shape ``(batch, 2, 6, 7)``.
        """
        hidden = functional.relu(self.body[0](planes))
        for layer in self.body[1:]:
            hidden = hidden + functional.relu(layer(hidden))
        flat = hidden.flatten(1)
        return self.policy(flat), self.value(flat)[:, 0].tanh()


def evaluator(net: PolicyValueNet) -> Evaluate:
    """Return what a search asks a network: priors of the legal moves, and values.

    Args:
        net: lives where the games do. Its answers do not depend on what else is in the batch.
    """

    @torch.inference_mode()
    def evaluate(games: Games) -> tuple[torch.Tensor, torch.Tensor]:
        logits, value = net(games.planes())
        # Not -inf: a full board has no legal move, and its prior is never used, but must be finite.
        return logits.masked_fill(~games.legal(), -1e9).softmax(dim=1), value

    return evaluate


def save_net(net: PolicyValueNet, path: str | os.PathLike[str]) -> None:
    """Write the weights to a ``.safetensors`` file, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    from safetensors.torch import save

    state = {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}
    write_whole(Path(path), save(state))


def load_net(
    source: str | os.PathLike[str] | bytes, *, device: torch.device | str = "cpu"
) -> PolicyValueNet:
    """Return the network whose weights `save_net` wrote; its sizes are read from them.

    Raises:
        ArtifactError: if the file is damaged, or holds something else than such a network.
        OSError: if the file cannot be read.
    """
    arrays = load_artifact(source)
    try:
        channels = len(arrays["body.0.bias"])
        num_layers = sum(name.startswith("body.") for name in arrays) // 2
        net = PolicyValueNet(channels=channels, num_layers=num_layers)
        net.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})
    except (KeyError, RuntimeError, TypeError, ValueError):
        raise ArtifactError("it holds no network for Connect Four") from None
    return net.to(device)
