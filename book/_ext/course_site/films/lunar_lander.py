"""A lander comes down between two flags, flown by PPO.

The flight was recorded when the network was trained (``book/showcase/lunar_lander.json``, made by
``make train-showcase``); how others end is in the same file.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from course_site.films.reel import AT_ONCE, Reel, polyline, svg, text, translated

RECORD = Path(__file__).parents[3] / "showcase" / "lunar_lander.json"
WIDTH, HEIGHT = 6.0, 4.0  # of half the view: observations are in halves of a screen of 3 to 2
STEPS_PER_FRAME, SECONDS_PER_STEP = 4, 0.02
REST = 12  # frames that the lander stands at the end
SOLVED = 200  # points, what Gymnasium calls solved
ENGINES = ("left", "main", "right")
FLAMES = {"left": "M.3,.05L.62,.05", "main": "M0,.25L0,.7", "right": "M-.3,.05L-.62,.05"}
"""The left engine pushes to the left, so that its flame is on the right."""


def placed(x: float, y: float) -> tuple[float, float]:
    """Return where a point of the record is drawn."""
    return round(x * WIDTH, 2), round(-y * HEIGHT, 2)


def burning(engines: list[int], engine: int) -> list[tuple[int, int]]:
    """Return the intervals of frames in which an engine fires."""
    fires = [0, *(int(each == engine) for each in engines), 0]
    starts = [k - 1 for k in range(1, len(fires)) if fires[k] and not fires[k - 1]]
    ends = [k - 1 for k in range(1, len(fires)) if fires[k - 1] and not fires[k]]
    return list(zip(starts, ends, strict=True))


def flame(reel: Reel, name: str, intervals: list[tuple[int, int]]) -> str:
    """Return the flame of an engine, which the still doesn't show."""
    if not intervals:
        return ""
    frames = []
    for begin, end in intervals:
        frames += [(begin - AT_ONCE, 0), (begin, 1), (end - AT_ONCE, 1), (end, 0)]
    first, last = (0, int(intervals[0][0] == 0)), (reel.ticks, 0)
    inner = [(tick, shown) for tick, shown in frames if 0 < tick < reel.ticks]
    steps = reel.animated((tick, f"opacity:{shown}") for tick, shown in (first, *inner, last))
    return f'<path class="walk" d="{FLAMES[name]}" style="opacity:0;{steps}"/>'


def drawn(record: dict[str, Any]) -> str:
    """Return the drawing of the recorded flight."""
    path = record["path"]
    ticks = len(path) - 1 + REST
    reel = Reel("lunar-lander", ticks, STEPS_PER_FRAME * SECONDS_PER_STEP)
    places = [(placed(x, y), math.degrees(-angle)) for x, y, angle, _ in path]
    frames = [*enumerate(places), (ticks, places[-1])]
    slide = reel.moved((tick, *place) for tick, (place, _) in frames)
    turn = reel.animated(
        (tick, f"transform:rotate({degrees:.0f}deg)") for tick, (_, degrees) in frames
    )
    engines = [engine for *_, engine in path]
    flames = "".join(
        flame(reel, name, burning(engines, number)) for number, name in enumerate(ENGINES, start=1)
    )
    ground = [placed(x, y) for x, y in record["ground"]]
    surface = "".join(f"L{x:g},{y:g}" for x, y in ground)
    bottom = 1.7
    flags = "".join(f'<path class="rule" d="M{x:g},.38V-.35"/>' for x in (-1.2, 1.2))
    said = f"{record['return']:.0f} points in {record['steps']} steps"
    content = (
        f'<path class="ground" d="M{-WIDTH:g},{bottom:g}{surface}L{WIDTH:g},{bottom:g}Z"/>{flags}'
        + polyline((place for place, _ in places[::4]), 'style="opacity:.35"')
        + text(-WIDTH, 2.2, said, size=0.42)
        + f'<g style="{translated(*places[-1][0])};{slide}">'
        f'<g style="transform:rotate({places[-1][1]:.0f}deg);{turn}">{flames}'
        '<path class="agent" d="M-.28,-.28H.28L.34,.2H-.34Z"/>'
        '<path class="walk" d="M-.3,.1L-.46,.34M.3,.1L.46,.34"/></g></g>'
    )
    down = path[-1][1] < 0.1 and abs(path[-1][0]) < 0.2
    label = (
        f"A lander, flown by a network, comes down {'between' if down else 'away from'} the two"
        f" flags of its landing pad: {said}."
    )
    return svg(f"{-WIDTH:g} -6.6 {2 * WIDTH:g} 9", label, f"<style>{reel.style}</style>{content}")


def film() -> list[str]:
    """Return the recorded flight."""
    return [drawn(json.loads(RECORD.read_text("utf-8")))]


def facts() -> str:
    """Return how such flights usually end, for the caption."""
    returns = json.loads(RECORD.read_text("utf-8"))["returns"]
    solved = sum(each >= SOLVED for each in returns)
    return (
        f"One flight, the first one flown after training. Of {len(returns)} others {solved} made"
        f" {SOLVED} points, what Gymnasium counts as solved; the mean is"
        f" {sum(returns) / len(returns):.0f}."
    )
