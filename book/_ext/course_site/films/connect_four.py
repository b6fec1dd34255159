"""A game of Connect Four, the network against UCT, and what the network expected all along.

The game was recorded with the network's training (``book/showcase/connect_four.json``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from course_site.films.reel import AT_ONCE, Reel, polyline, svg, text, tile, translated

RECORD = Path(__file__).parents[3] / "showcase" / "connect_four.json"
STRENGTH = RECORD.parents[2] / "benchmarks" / "results" / "lab03_connect_four_showcase.json"
PAIRING = ("network, 64 simulations", "UCT, 256 simulations")
ROWS, COLS = 6, 7
SECONDS_PER_MOVE = 0.45
PAUSE_MOVES = 8
FALL = 0.6  # moves that a stone's fall takes
NAMES = {"network": "The network", "uct": "UCT"}
DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1))
VIEW = "0 -0.85 7 7.6"
LEFT, RIGHT, TOP, BOTTOM = 1.15, 6.9, 0.15, 5.8  # of the curve

Place = tuple[int, int]


def stones(moves: Sequence[int]) -> list[Place]:
    """Return the column and the row, from the bottom, in which each stone comes to rest.

    Raises:
        ValueError: if a column is played that is full or that there isn't.
    """
    heights = [0] * COLS
    places = []
    for column in moves:
        if not 0 <= column < COLS or heights[column] == ROWS:
            raise ValueError(f"move {len(places) + 1}: no stone fits into column {column}")
        places.append((column, heights[column]))
        heights[column] += 1
    return places


def line_of_four(places: Sequence[Place]) -> set[Place]:
    """Return the stones of the lines of four that the last mover has, if any."""
    mine = set(places[::-2])
    found = set()
    for column, row in mine:
        for right, up in DIRECTIONS:
            line = {(column + k * right, row + k * up) for k in range(4)}
            if line <= mine:
                found |= line
    return found


def result(record: dict[str, Any]) -> str:
    """Return how the game ended, in a few words."""
    if record["winner"] is None:
        return f"A draw after {len(record['moves'])} moves"
    return f"{NAMES[record['winner']]} wins with move {len(record['moves'])}"


def stone(x: float, y: float, kind: int, more: str = "") -> str:
    """Return a stone; the second player's has a hole, so that colour is not all that differs."""
    middle = f'cx="{x:g}" cy="{y:g}"'
    hole = f'<circle class="ground" {middle} r=".15"/>' if kind else ""
    return f'<g {more}><circle class="stone-{kind}" {middle} r=".38"/>{hole}</g>'


def board(record: dict[str, Any]) -> str:
    """Return the drawing of the game."""
    places = stones(record["moves"])
    reel = Reel("connect-four", len(places) + PAUSE_MOVES, SECONDS_PER_MOVE)
    fallen = []
    for number, (column, row) in enumerate(places):
        down = ROWS - 1 - row
        land, above = number + FALL, translated(0, -down - 0.6)
        frames = [
            (0, f"opacity:0;{above}"),
            (max(0, number - AT_ONCE), f"opacity:0;{above}"),
            (number, f"opacity:1;{above}"),
            (land, f"opacity:1;{translated(0, 0)}"),
            (reel.ticks, f"opacity:1;{translated(0, 0)}"),
        ]
        style = f'style="{reel.animated(frames[number == 0 :])}"'
        fallen.append(stone(column + 0.475, down + 0.475, number % 2, style))
    over = reel.shown(len(places), reel.ticks)
    rings = "".join(
        f'<circle class="ring" cx="{column + 0.475:g}" cy="{ROWS - row - 0.525:g}" r=".43"'
        f' style="{over}"/>'
        for column, row in sorted(line_of_four(places))
    )
    first, second = (NAMES[name] for name in record["players"])
    content = (
        f"{stone(0.4, -0.44, 0)}{text(0.95, -0.3, first, size=0.4)}"
        f"{stone(4.2, -0.44, 1)}{text(4.75, -0.3, second, size=0.4)}"
        f"{''.join(tile(column, row) for column in range(COLS) for row in range(ROWS))}"
        f"{''.join(fallen)}{rings}"
        + text(0, 6.55, result(record), size=0.42, more=f'font-weight="600" style="{over}"')
    )
    label = (
        f"A game of Connect Four: {first} moves first, against {second}. {result(record)}; the"
        f" columns, counted from 1: {', '.join(str(column + 1) for column in record['moves'])}."
    )
    return svg(VIEW, label, f"<style>{reel.style}</style>{content}")


def expectation(record: dict[str, Any]) -> str:
    """Return the drawing of what the network expected after each move."""
    values = [v if record["players"][0] == "network" else -v for v in record["values"]]
    reel = Reel("connect-four-value", len(values) + PAUSE_MOVES, SECONDS_PER_MOVE)
    width = (RIGHT - LEFT) / max(1, len(values) - 1)
    points = [
        (LEFT + number * width, TOP + (1 - value) / 2 * (BOTTOM - TOP))
        for number, value in enumerate(values)
    ]
    lines = "".join(
        f'<path class="rule" d="M{LEFT - 0.05:g},{y:g}H{RIGHT:g}"/>'
        + text(0, y + 0.14, words, size=0.4)
        for words, y in (("win", TOP), ("even", (TOP + BOTTOM) / 2), ("loss", BOTTOM))
    )
    pieces = "".join(
        polyline(
            points[number : number + 2], f'style="{reel.shown(number + 1 + FALL, reel.ticks)}"'
        )
        for number in range(len(points) - 1)
    )
    moves = [(number + FALL, x, y) for number, (x, y) in enumerate(points)]
    dot = reel.moved([(0, *points[0]), *moves, (reel.ticks, *points[-1])])
    content = (
        f"{text(0, -0.3, 'What the network expects', size=0.4)}{lines}{pieces}"
        f'<g style="{translated(*points[-1])};{dot}"><circle class="agent" r=".16"/></g>'
        f"{text(LEFT, 6.55, 'move by move', size=0.4)}"
    )
    label = (
        "What the network expected after each move, from 1 (it wins) to −1 (it loses):"
        f" {', '.join(f'{value:.1f}'.replace('-', '−') for value in values)}."
    )
    return svg(VIEW, label, f"<style>{reel.style}</style>{content}")


def film() -> list[str]:
    """Return the recorded game and the network's expectation, side by side on a desk."""
    record = json.loads(RECORD.read_text("utf-8"))
    return [board(record), expectation(record)]


def facts() -> str:
    """Return how the game came about, and how such games usually end, for the caption."""
    how = json.loads(RECORD.read_text("utf-8"))["how"]
    rows = json.loads(STRENGTH.read_text("utf-8"))["strength"]
    row = next(row for row in rows if (row["player"], row["opponent"]) == PAIRING)
    return (
        f"{how} One game says little: of {row['games']} between the same two, moving first in half"
        f" of them, the network won {row['wins']}, drew {row['draws']} and lost {row['losses']}."
    )
