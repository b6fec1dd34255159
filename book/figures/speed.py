"""Chapter 6's table of what four methods take until the pole stands, beside Stable-Baselines3."""

from __future__ import annotations

import functools
from typing import Any

from IPython.display import Markdown

from benchmarks import recording

METHODS = {"DQN": "lab04_speed", "A2C": "lab05_speed", "TRPO": "lab06_speed", "PPO": "lab06_speed"}


@functools.cache
def sides(method: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return our column of a method's results and theirs."""
    columns = recording.read(METHODS[method])["methods"]
    (ours,) = (column for name, column in columns.items() if name == f"{method}, ours")
    (theirs,) = (
        column
        for name, column in columns.items()
        if name.startswith(f"{method}, ") and column is not ours
    )
    return ours, theirs


def table() -> Markdown:
    """Tabulate how long each method takes, and how often it gets there."""
    lines = [
        "| method | seconds, ours | theirs | steps, ours | theirs | solved, ours | theirs |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in METHODS:
        pair = sides(method)
        seconds = [
            f"{found['median']:.1f} ({found['low']:.1f} to {found['high']:.1f})"
            for found in column(pair, "seconds")
        ]
        steps = [f"{found['median']:,.0f}" for found in column(pair, "environment steps")]
        solved = column(pair, "solved")
        lines.append(f"| {' | '.join([method, *seconds, *steps, *solved])} |")
    return Markdown("\n".join(lines))


def column(pair: tuple[dict[str, Any], dict[str, Any]], name: str) -> list[Any]:
    return [side[name] for side in pair]


def numbers() -> dict[str, str]:
    """Return the numbers of the text around the table."""
    found = {}
    for method in METHODS:
        ours, theirs = (seconds["median"] for seconds in column(sides(method), "seconds"))
        found[f"speed_{method.lower()}"] = f"{ours / theirs:.2f}"
    return found
