"""Tools of the course From Rewards to Language Models that every lab may use.

Names are imported when they are first used, so that ``import labkit`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from labkit.artifacts import load_artifact, save_artifact
    from labkit.checking import check, failing_input
    from labkit.runtime import device, profile, progress, seed_everything
    from labkit.session import start
    from labkit.submitting import submit

__all__ = [
    "check",
    "device",
    "failing_input",
    "load_artifact",
    "profile",
    "progress",
    "save_artifact",
    "seed_everything",
    "start",
    "submit",
]

_HOMES = {
    "artifacts": ("load_artifact", "save_artifact"),
    "checking": ("check", "failing_input"),
    "runtime": ("device", "profile", "progress", "seed_everything"),
    "session": ("start",),
    "submitting": ("submit",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"labkit.{module}"), name)
    raise AttributeError(f"module 'labkit' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
