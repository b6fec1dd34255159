"""Arguments that are not data, named so that they can be built where the function runs."""

from __future__ import annotations

import copy
import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from labkit.wire import record

MAX_LAYERS, MAX_WIDTH = 8, 1024  # of a network that is named by its sizes


@record
@dataclasses.dataclass(frozen=True)
class Seed:
    """Stands for ``numpy.random.default_rng(value)``."""

    value: int

    def __post_init__(self) -> None:
        if type(self.value) is not int or self.value < 0:
            raise TypeError("a seed is a whole number from 0 on")

    def build(self) -> np.random.Generator:
        """Return a generator in its first state."""
        return np.random.default_rng(self.value)


@record
@dataclasses.dataclass(frozen=True)
class Env:
    """Stands for ``gymnasium.make(id, **kwargs)`` reset with ``seed``.

    Importing `labkit.envs` registers the environments that Gymnasium lacks as ``labkit/...``.
    """

    id: str
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if type(self.id) is not str or type(self.kwargs) is not dict or type(self.seed) is not int:
            raise TypeError("an environment is named by a text, keyword arguments and a seed")

    def build(self) -> Any:
        """Return a new environment, ready for its first ``reset``."""
        import gymnasium

        if self.id.startswith("labkit/"):
            import labkit.envs  # noqa: F401  (registers its environments)
        env = gymnasium.make(self.id, disable_env_checker=True, **self.kwargs)
        env.reset(seed=self.seed)
        return env


@record
@dataclasses.dataclass(frozen=True)
class Network:
    """Stands for a network of linear layers with ``tanh`` between them, in double precision.

    Attributes:
        sizes: numbers that go in, widths of the hidden layers, numbers that come out.
        seed: what its parameters are drawn from, normally distributed, each layer's scaled by
            ``1 / sqrt(inputs)``.
    """

    sizes: tuple[int, ...]
    seed: int

    def __post_init__(self) -> None:
        sizes_are_right = type(self.sizes) is tuple and all(
            type(size) is int and 0 < size <= MAX_WIDTH for size in self.sizes
        )
        if not sizes_are_right or not 2 <= len(self.sizes) <= MAX_LAYERS:
            raise TypeError("a network has 2 to 8 sizes from 1 to 1024")
        if type(self.seed) is not int or self.seed < 0:
            raise TypeError("a seed is a whole number from 0 on")

    def build(self) -> Any:
        """Return the network, a ``torch.nn.Sequential``."""
        import torch

        rng = np.random.default_rng(self.seed)
        layers: list[Any] = []
        for inputs, outputs in itertools.pairwise(self.sizes):
            layer = torch.nn.Linear(inputs, outputs, dtype=torch.float64)
            for parameter in layer.parameters():
                drawn = rng.normal(scale=inputs**-0.5, size=tuple(parameter.shape))
                parameter.data.copy_(torch.from_numpy(drawn))
            layers += [layer, torch.nn.Tanh()]
        return torch.nn.Sequential(*layers[:-1])


@record
@dataclasses.dataclass(frozen=True)
class NormedNetwork(Network):
    """Stands for a `Network` with a normalising layer before each ``tanh``: it has buffers."""

    def build(self) -> Any:
        """Return the network, whose running means and variances are drawn as well."""
        import torch

        rng = np.random.default_rng([self.seed, 1])
        layers: list[Any] = []
        for layer in super().build():
            if isinstance(layer, torch.nn.Tanh):
                norm: Any = torch.nn.BatchNorm1d(layers[-1].out_features, dtype=torch.float64)
                for buffer in (norm.running_mean, norm.running_var):
                    buffer.copy_(torch.from_numpy(rng.uniform(0.5, 2.0, size=len(buffer))))
                norm.num_batches_tracked.fill_(int(rng.integers(1, 1_000)))
                layers.append(norm)
            layers.append(layer)
        return torch.nn.Sequential(*layers)


@record
@dataclasses.dataclass(frozen=True)
class Objects:
    """Stands for a numpy array of objects, such as Gymnasium's ``final_obs``: arrays and None."""

    items: tuple[np.ndarray | None, ...]

    def __post_init__(self) -> None:
        if type(self.items) is not tuple or not all(
            item is None or type(item) is np.ndarray for item in self.items
        ):
            raise TypeError("objects are a tuple of arrays and None")

    def build(self) -> np.ndarray:
        """Return the array, with copies of the items."""
        array = np.empty(len(self.items), dtype=object)
        for index, item in enumerate(self.items):
            array[index] = copy.deepcopy(item)
        return array


@record
@dataclasses.dataclass(frozen=True)
class LinearMap:
    """Stands for the function that multiplies a torch vector by ``matrix``, of shape ``(n, n)``."""

    matrix: np.ndarray

    def __post_init__(self) -> None:
        if type(self.matrix) is not np.ndarray or self.matrix.ndim != 2:
            raise TypeError("a linear map is named by its matrix")

    def build(self) -> Callable[[Any], Any]:
        """Return the function."""
        import torch

        matrix = torch.from_numpy(self.matrix.copy())
        return lambda vector: matrix @ vector


@record
@dataclasses.dataclass(frozen=True)
class RemoteEnv:
    """Stands for an environment that runs at the grader's, as its ``number``-th (see `trusted`).

    Only a grader makes it, out of an `Env`.
    """

    env: Env
    number: int

    def __post_init__(self) -> None:
        if type(self.env) is not Env or type(self.number) is not int:
            raise TypeError("a remote environment is an environment and its number")

    def build(self) -> Any:
        """Return what asks the grader for every step.

        Raises:
            RuntimeError: in a process that no grader listens to.
        """
        from labkit import trusted

        if asking is None:
            raise RuntimeError("an environment of the grader's exists only while grading")
        return trusted.Remote(self.env.build(), asking, self.number)


asking: Callable[[dict[str, Any]], dict[str, Any]] | None = None  # set by who talks to a grader


def build(value: Any) -> Any:
    """Return a fresh copy of ``value`` in which every marker is the thing it stands for."""
    if isinstance(value, Seed | Env | Network | Objects | LinearMap | RemoteEnv):
        return value.build()
    if type(value) is dict:
        return {key: build(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(build(item) for item in value)
    return copy.deepcopy(value)
