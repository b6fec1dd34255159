"""Chapter 1's drawings: the loop of agent and environment, and the map of the field."""

from __future__ import annotations

from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
ON, OFF, KNOWN = BLUE, ORANGE, GREEN

COLUMNS = ("values", "values and\na policy", "a policy")
ROWS = ("no model", "a model")
# place on the map: (row, column) to (method, chapter, colour, learns from fixed data)
METHODS: dict[tuple[int, int], list[tuple[str, str, str, bool]]] = {
    (0, 0): [
        ("SARSA", "2", ON, False),
        ("Expected SARSA", "2", ON, False),
        ("Q-learning", "2", OFF, False),
        ("DQN", "4", OFF, False),
        ("fitted Q-iteration", "3", OFF, True),
    ],
    (0, 1): [
        ("A2C with GAE", "5", ON, False),
        ("TRPO, PPO", "6", ON, False),
        ("PPO on a reward\nmodel", "9", ON, False),
        ("trading agent", "12", ON, False),
    ],
    (0, 2): [
        ("gradient bandit", "1", ON, False),
        ("REINFORCE", "5", ON, False),
        ("GRPO", "9", ON, False),
        ("DPO", "9", OFF, True),
    ],
    (1, 0): [
        ("value iteration", "1, 3", KNOWN, False),
        ("UCT", "3", KNOWN, False),
        ("Dyna-Q", "3", OFF, False),
    ],
    (1, 1): [
        ("policy iteration", "1, 3", KNOWN, False),
        ("PUCT, self-play", "3", KNOWN, False),
    ],
}
HEIGHT = {0: 5.98, 1: 2.38}
STEP = 0.68


def draw_loop() -> HTML:
    """Draw agent, environment and what passes between them, and the same along time."""
    with drawing(5.1, 3.3) as (figure, ax):
        for x, name, note in ((1.0, "agent", "policy π"), (7.4, "environment", "P and R")):
            ax.add_patch(_box((x, 3.4), 2.6, 1.5, INK))
            ax.text(x + 1.3, 4.35, name, ha="center", va="center", weight="bold")
            ax.text(x + 1.3, 3.82, note, ha="center", va="center", fontsize=10)
        arrow = {"arrowstyle": "-|>", "lw": 1.8, "shrinkA": 0, "shrinkB": 0}
        over = arrow | {"color": BLUE, "connectionstyle": "angle3,angleA=50,angleB=-50"}
        under = arrow | {"color": ORANGE, "connectionstyle": "angle3,angleA=50,angleB=-50"}
        ax.annotate("", (7.9, 5.0), (3.1, 5.0), arrowprops=over)
        ax.text(5.5, 5.35, "action", color=BLUE, ha="center", va="center")
        ax.annotate("", (3.1, 3.3), (7.9, 3.3), arrowprops=under)
        ax.text(5.5, 3.1, "reward, next state", color=ORANGE, ha="center", va="center")
        ax.axhline(1.5, color=INK, lw=0.5, alpha=0.4)
        marks = [("s", "t", INK), ("a", "t", BLUE), ("r", "t", ORANGE), ("s", "t+1", ORANGE),
                 ("a", "t+1", BLUE), ("r", "t+1", ORANGE), ("s", "t+2", ORANGE)]  # fmt: skip
        for number, (letter, index, colour) in enumerate(marks):
            x = 0.7 + 1.45 * number
            ax.text(x, 0.75, letter, color=colour, style="italic", fontsize=13, ha="center")
            ax.text(x + 0.14, 0.6, index, color=colour, fontsize=8.5, ha="left")
        ax.annotate("", (10.6, 0.2), (0.4, 0.2), arrowprops={"arrowstyle": "->", "color": INK})
        ax.text(10.55, -0.12, "time", ha="right", va="top", fontsize=9)
        _blank(ax, (0, 11), (-0.5, 6.4))
        return inline(
            figure,
            "rl-loop",
            "Two boxes, agent and environment. An arrow with the action leads from the agent to the"
            " environment, one with reward and next state leads back. Below, along time: state,"
            " action and reward of step t, then state, action and reward of step t plus 1.",
        )


def draw_map() -> HTML:
    """Draw the methods of the course by what they learn and what they know of the world."""
    with drawing(5.1, 6.4) as (figure, ax):
        width, left = 3.3, 0.9
        for column, name in enumerate(COLUMNS):
            x = left + width * (column + 0.5)
            ax.text(x, 6.75, name, ha="center", va="center", weight="bold")
        ax.text(left + 1.5 * width, 7.45, "what is learned or computed", ha="center", va="center")
        for row, name in enumerate(ROWS):
            top, bottom = (6.35, 2.75) if row == 0 else (2.75, 0.5)
            ax.text(0.45, (top + bottom) / 2, name, ha="center", va="center", weight="bold",
                    rotation=90)  # fmt: skip
        ax.plot([left, left + 3 * width], [2.75, 2.75], color=INK, lw=0.6, alpha=0.6)
        ax.plot([left, left + 3 * width], [6.35, 6.35], color=INK, lw=0.6, alpha=0.6)
        for column in (1, 2):
            ax.plot([left + width * column] * 2, [0.5, 6.35], color=INK, lw=0.6, alpha=0.6)
        for (row, column), methods in METHODS.items():
            for number, (name, chapter, colour, fixed) in enumerate(methods):
                y = HEIGHT[row] - STEP * number
                _chip(ax, left + width * column + 0.12, y, width - 0.24, name, chapter, colour,
                      fixed)  # fmt: skip
        key = [("on-policy", ON, False), ("off-policy", OFF, False), ("model given", KNOWN, False),
               ("from fixed data", OFF, True)]  # fmt: skip
        for number, (name, colour, fixed) in enumerate(key):
            x = 0.25 + 2.68 * number
            ax.add_patch(_box((x, -0.2), 0.42, 0.3, colour, fixed))
            ax.text(x + 0.56, -0.05, name, ha="left", va="center", fontsize=8.5)
        _blank(ax, (0, 11), (-0.35, 7.7))
        return inline(
            figure,
            "rl-map",
            f"A table of methods with their chapters. {_told()} Colours mark on-policy, off-policy"
            " and given models, dashes mark learning from fixed data.",
        )


def _told() -> str:
    """Return the map in words."""
    kinds = {ON: "on-policy", OFF: "off-policy", KNOWN: "model given"}
    sentences = []
    for (row, column), methods in METHODS.items():
        place = f"With {ROWS[row]}, {' '.join(COLUMNS[column].split())}"
        names = [
            f"{' '.join(name.split())} (chapter {chapter}, {kinds[colour]}"
            f"{', from fixed data' if fixed else ''})"
            for name, chapter, colour, fixed in methods
        ]
        sentences.append(f"{place}: {', '.join(names)}.")
    return " ".join(sentences)


def _box(
    corner: tuple[float, float], width: float, height: float, colour: str, dashed: bool = False
) -> FancyBboxPatch:
    return FancyBboxPatch(
        corner, width, height, boxstyle="round,pad=0,rounding_size=0.12", facecolor="none",
        edgecolor=colour, lw=1.4, ls=(0, (3, 2)) if dashed else "-",
    )  # fmt: skip


def _chip(
    ax: Axes, x: float, y: float, width: float, name: str, chapter: str, colour: str, fixed: bool
) -> None:
    ax.add_patch(_box((x, y - 0.27), width, 0.54, colour, fixed))
    ax.text(x + 0.1, y, name, ha="left", va="center", fontsize=8.2, linespacing=0.9)
    ax.text(x + width - 0.1, y, chapter, ha="right", va="center", fontsize=8.2, color=colour,
            weight="bold")  # fmt: skip


def _blank(ax: Axes, xlim: tuple[float, float], ylim: tuple[float, float]) -> None:
    ax.set(xlim=xlim, ylim=ylim)
    ax.set_axis_off()
