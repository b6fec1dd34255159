"""A hostile class: attacks on the grader, and broken notebooks of honest students.

`ATTACKS` and `BROKEN` are all of them; `tests.hostile.room` sits them down beside two witnesses.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

from tests.hostile import attacks, broken
from tests.hostile.declare import Attack, Broken

ATTACKS: tuple[Attack, ...] = tuple(
    dataclasses.replace(attack, family=family)
    for family in sorted(module.name for module in pkgutil.iter_modules(attacks.__path__))
    for attack in importlib.import_module(f"{attacks.__name__}.{family}").ATTACKS
)
BROKEN: tuple[Broken, ...] = broken.BROKEN

__all__ = ["ATTACKS", "BROKEN", "Attack", "Broken"]
