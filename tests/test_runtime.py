"""Where a lab runs and how large: devices, sizes, seeds, progress bars."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest
import torch

import labkit
from labkit import runtime


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABKIT_DEVICE", "LABKIT_PROFILE", "NBGRADER_EXECUTION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Pretend to be a machine with or without the two kinds of graphics."""

    def pretend(*, cuda: bool, mps: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


@pytest.mark.parametrize(
    ("cuda", "mps", "device", "profile"),
    [
        (True, True, "cuda", "gpu"),
        (True, False, "cuda", "gpu"),
        (False, True, "mps", "cpu"),
        (False, False, "cpu", "cpu"),
    ],
)
def test_the_best_device_and_the_sizes_for_it(
    machine: Any, cuda: bool, mps: bool, device: str, profile: str
) -> None:
    machine(cuda=cuda, mps=mps)
    assert labkit.device() == device
    assert labkit.profile() == profile
    assert labkit.profile(cpu=10, gpu=None) == (10 if profile == "cpu" else None)


def test_without_torch_it_is_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it raises ImportError
    assert labkit.device() == "cpu"
    assert labkit.profile() == "cpu"
    assert labkit.seed_everything(3).random() == np.random.default_rng(3).random()


def test_the_environment_overrides_both(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(cuda=True, mps=False)
    monkeypatch.setenv("LABKIT_PROFILE", "cpu")
    assert (labkit.device(), labkit.profile()) == ("cuda", "cpu")
    monkeypatch.setenv("LABKIT_DEVICE", "cpu")
    monkeypatch.delenv("LABKIT_PROFILE")
    assert (labkit.device(), labkit.profile()) == ("cpu", "cpu")
    monkeypatch.setenv("LABKIT_DEVICE", "gpu")
    with pytest.raises(ValueError, match="LABKIT_DEVICE is 'gpu', but may be: cuda, mps, cpu"):
        labkit.device()
    monkeypatch.setenv("LABKIT_PROFILE", "huge")
    with pytest.raises(ValueError, match="LABKIT_PROFILE is 'huge', but may be: cpu, gpu"):
        labkit.profile()


def test_a_size_needs_both_profiles(machine: Any) -> None:
    machine(cuda=False, mps=False)
    with pytest.raises(TypeError, match="needs both sizes"):
        labkit.profile(cpu=1)  # type: ignore[call-overload]


def test_a_seed_repeats_every_generator() -> None:
    def draws() -> list[float]:
        own = labkit.seed_everything(11)
        return [
            random.random(),
            float(np.random.random()),  # noqa: NPY002  (the global generator is the point)
            float(torch.rand(())),
            float(own.random()),
        ]

    first = draws()
    assert draws() == first
    assert len(set(first)) == 4


def test_progress_yields_everything_and_shows_nothing_while_grading(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", object())  # a notebook: the bar is shown
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    assert list(labkit.progress(range(4), desc="episodes")) == [0, 1, 2, 3]
    assert "episodes" in capsys.readouterr().err
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    assert list(labkit.progress(range(4), desc="episodes")) == [0, 1, 2, 3]
    assert capsys.readouterr() == ("", "")
    monkeypatch.delenv("NBGRADER_EXECUTION")
    monkeypatch.delitem(sys.modules, "ipykernel")  # no terminal either
    assert list(labkit.progress(range(4), desc="episodes")) == [0, 1, 2, 3]
    assert capsys.readouterr() == ("", "")
