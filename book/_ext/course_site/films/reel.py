"""A film: SVG that CSS moves, in a loop, with no script and no picture to fetch.

What an element looks like without its animation is what a reader sees who prefers no motion: so
an element's own attributes describe the still, and animations only say what is different when.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

Frame = tuple[float, str]  # a time in ticks, declarations that hold then
AT_ONCE = 0.01  # ticks: two frames this near are a jump


class Reel:
    """The clock of one film and the style sheet of its animations.

    Args:
        name: unlike any other film's on the page; the names of its animations start with it.
        ticks: how long one round takes.
        seconds_per_tick: how long a tick takes.
    """

    def __init__(self, name: str, ticks: float, seconds_per_tick: float) -> None:
        self.name, self.ticks = name, ticks
        self.seconds = ticks * seconds_per_tick
        self._names: dict[str, str] = {}  # of the animations made so far, by their steps

    def animated(self, frames: Iterable[Frame]) -> str:
        """Return the declaration that gives an element an animation, linear between frames."""
        steps = "".join(f"{100 * tick / self.ticks:.4g}%{{{rules}}}" for tick, rules in frames)
        name = self._names.setdefault(steps, f"{self.name}-{len(self._names)}")
        return f"animation:{name} {self.seconds:.1f}s linear infinite"

    def shown(self, begin: float, end: float) -> str:
        """Return the declaration that shows an element from one tick to another, else hides it."""
        frames = [(begin, "opacity:1"), (max(begin, end - AT_ONCE), "opacity:1")]
        if begin > 0:
            frames = [(0, "opacity:0"), (max(0, begin - AT_ONCE), "opacity:0"), *frames]
        if end < self.ticks:
            frames += [(end, "opacity:0"), (self.ticks, "opacity:0")]
        return self.animated(frames)

    def moved(self, places: Iterable[tuple[float, float, float]]) -> str:
        """Return the declaration that moves an element: (tick, x, y), linear in between."""
        return self.animated((tick, translated(x, y)) for tick, x, y in places)

    @property
    def style(self) -> str:
        """The style sheet of all animations so far."""
        return "".join(f"@keyframes {name}{{{steps}}}" for steps, name in self._names.items())


def translated(x: float, y: float) -> str:
    """Return the declaration that puts an element somewhere."""
    return f"transform:translate({x:g}px,{y:g}px)"


def svg(view: str, label: str, content: str) -> str:
    """Return a drawing that is one picture to a screen reader.

    Args:
        view: its ``viewBox``.
        label: what it shows, for who can't see it.
        content: its elements.
    """
    return f'<svg viewBox="{view}" role="img" aria-label="{html.escape(label)}">{content}</svg>'


def text(x: float, y: float, words: str, *, size: float, more: str = "") -> str:
    """Return a line of text in the colour of ink."""
    return f'<text class="ink" x="{x:g}" y="{y:g}" font-size="{size:g}" {more}>{words}</text>'


def tile(column: int, row: int, kind: str = "ground", more: str = "") -> str:
    """Return one cell of a grid whose cells are 1 apart."""
    place = f'x="{column}" y="{row}" width=".95" height=".95" rx=".1"'
    return f'<rect class="{kind}" {place} {more}/>'


def polyline(points: Iterable[tuple[float, float]], more: str = "") -> str:
    """Return a line from point to point."""
    return f'<polyline class="walk" points="{" ".join(f"{x:g},{y:g}" for x, y in points)}" {more}/>'
