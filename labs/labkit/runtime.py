"""Where a lab runs and how large: device, sizes, seeds, progress bars."""

from __future__ import annotations

import importlib
import importlib.util
import os
import random
import sys
from collections.abc import Iterable
from typing import Any, Literal, TypeVar, overload

import numpy as np

Device = Literal["cuda", "mps", "cpu"]
Profile = Literal["gpu", "cpu"]
Item = TypeVar("Item")
Size = TypeVar("Size")
Choice = TypeVar("Choice")

_UNSET: Any = object()


def device() -> Device:
    """Return the best device that torch has here: ``"cuda"``, then ``"mps"``, then ``"cpu"``.

    The environment variable ``LABKIT_DEVICE`` overrides the choice.

    Raises:
        ValueError: if ``LABKIT_DEVICE`` is none of the three.
    """
    wanted = os.environ.get("LABKIT_DEVICE", "")
    if wanted:
        return _one_of("LABKIT_DEVICE", wanted, ("cuda", "mps", "cpu"))
    try:
        import torch
    except ImportError:
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


@overload
def profile() -> Profile: ...
@overload
def profile(*, cpu: Size, gpu: Size) -> Size: ...
def profile(*, cpu: Any = _UNSET, gpu: Any = _UNSET) -> Any:
    """Return the size that fits this machine, or without arguments the profile's name.

    ``num_agents = profile(cpu=100, gpu=100_000)``

    The profile is ``"gpu"`` where `device` is ``"cuda"``, otherwise ``"cpu"``: a laptop's own
    graphics is for small sizes. The environment variable ``LABKIT_PROFILE`` overrides it.

    Args:
        cpu: what to use on a processor: seconds, not minutes.
        gpu: what to use on a GPU.

    Raises:
        TypeError: if only one of the two sizes is given.
        ValueError: if ``LABKIT_PROFILE`` is neither ``"cpu"`` nor ``"gpu"``.
    """
    if (cpu is _UNSET) != (gpu is _UNSET):
        raise TypeError("profile() needs both sizes: profile(cpu=..., gpu=...)")
    wanted = os.environ.get("LABKIT_PROFILE", "")
    name: Profile
    if wanted:
        name = _one_of("LABKIT_PROFILE", wanted, ("cpu", "gpu"))
    else:
        name = "gpu" if device() == "cuda" else "cpu"
    if cpu is _UNSET:
        return name
    return gpu if name == "gpu" else cpu


def seed_everything(seed: int) -> np.random.Generator:
    """Seed Python's, numpy's and torch's global generators; return a numpy generator of its own.

    Prefer the returned generator: what takes it as an argument can be repeated on its own.

    Args:
        seed: a whole number from 0 to 2**32 - 1.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  (libraries use the global generator)
    try:
        import torch
    except ImportError:
        pass
    else:
        torch.manual_seed(seed)
    return np.random.default_rng(seed)


def progress(iterable: Iterable[Item], desc: str = "") -> Iterable[Item]:
    """Return ``iterable`` with a progress bar: a widget in a notebook, text in a terminal.

    While a lab is graded or its bar would reach no one, there is none.

    Args:
        iterable: what a loop runs over.
        desc: what the bar says before the numbers.
    """
    hidden: bool | None = None  # tqdm's word for: hidden unless this is a terminal
    if "NBGRADER_EXECUTION" in os.environ:
        hidden = True
    elif "ipykernel" in sys.modules:
        hidden = False
    # tqdm's widget needs ipywidgets, and complains where they lack
    widgets = importlib.util.find_spec("ipywidgets") is not None
    bars = importlib.import_module("tqdm.auto" if widgets else "tqdm.std")
    bar: Iterable[Item] = bars.tqdm(iterable, desc=desc or None, leave=False, disable=hidden)
    return bar


def _one_of(variable: str, value: str, allowed: tuple[Choice, ...]) -> Choice:
    for choice in allowed:
        if choice == value:
            return choice
    raise ValueError(f"{variable} is {value!r}, but may be: {', '.join(map(str, allowed))}")
