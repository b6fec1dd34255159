"""The ``{cliff-film}`` directive: an agent learns to cross the cliff, as an SVG that CSS moves.

The agent is trained when the site is built, by the functions that the lab asks for.
"""

from __future__ import annotations

import gymnasium
import numpy as np
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from solutions.lab02_q_learning_sarsa import reference

ROWS, COLS, START = 4, 12, 36
EPISODES = (1, 40, 500)
LONGEST_SHOWN = 34  # steps; the first walks are long
SECONDS_PER_STEP = 0.16
PAUSE_STEPS = 7


def cell_entered(obs: int, action: int) -> int:
    """Return the cell that an action leads into, before a fall puts the agent back."""
    row, col = divmod(obs, COLS)
    row_step, col_step = ((-1, 0), (0, 1), (1, 0), (0, -1))[action]
    row, col = min(max(row + row_step, 0), ROWS - 1), min(max(col + col_step, 0), COLS - 1)
    return row * COLS + col


def train(seed: int = 3) -> list[list[int]]:
    """Return the cells that Q-learning walks over in each of `EPISODES`; the last is greedy."""
    env = gymnasium.make("CliffWalking-v1")
    rng = np.random.default_rng(seed)
    q = np.zeros((ROWS * COLS, 4))
    walks = []
    for episode in range(1, EPISODES[-1] + 1):
        epsilon = 0.0 if episode == EPISODES[-1] else 0.1
        obs = int(env.reset(seed=seed)[0])
        cells, terminated = [obs], False
        for _ in range(5000):
            action = reference.choose_action(q, obs, epsilon, rng)
            next_obs, reward, terminated, _, _ = env.step(action)
            reference.q_update(
                q, obs, action, float(reward), int(next_obs), terminated, alpha=0.5, gamma=1.0
            )
            entered = cell_entered(obs, action)
            cells += [entered] if entered == next_obs else [entered, START]
            obs = int(next_obs)
            if terminated:
                break
        if episode in EPISODES:
            walks.append(cells)
    return walks


def keyframes(name: str, frames: list[tuple[float, str]]) -> str:
    """Return a CSS animation; each frame is (share of the film, declarations)."""
    steps = "".join(f"{100 * share:.2f}%{{{rules}}}" for share, rules in frames)
    return f"@keyframes {name}{{{steps}}}"


def film(walks: list[list[int]]) -> str:
    """Return the film as one SVG, three walks in a row, with its own style sheet."""
    shown = [walk[:LONGEST_SHOWN] for walk in walks]
    total = sum(len(walk) + PAUSE_STEPS for walk in shown)
    moves: list[tuple[float, str]] = []
    style, captions, time = [], [], 0
    for act, (walk, episode) in enumerate(zip(shown, EPISODES, strict=True)):
        first = time
        for cell in walk:
            row, col = divmod(cell, COLS)
            moves.append((time / total, f"transform:translate({col}px,{row}px)"))
            time += 1
        moves.append(((time - 1 + PAUSE_STEPS - 0.5) / total, moves[-1][1]))
        time += PAUSE_STEPS
        begin, end = first / total, time / total
        visible = [(begin, "opacity:1"), (max(begin, end - 0.004), "opacity:1"), (end, "opacity:0")]
        before = [(0.0, "opacity:0"), (max(0.0, begin - 0.0001), "opacity:0")] if act else []
        after = [(1.0, "opacity:0")] if end < 1 else []
        style.append(keyframes(f"film-act-{act}", before + visible + after))
        ending = "cut here: it walks on" if len(walks[act]) > LONGEST_SHOWN else "to the goal"
        words = f"Episode {episode}: {len(walks[act]) - 1} moves, {ending}"
        if episode == EPISODES[-1]:
            words = f"After {episode} episodes: {len(walk) - 1} steps, the shortest way there is"
        captions.append(
            f'<text class="ink" x="0" y="-0.35" font-size="0.42" font-weight="600"'
            f' style="animation:film-act-{act} {total * SECONDS_PER_STEP:.1f}s linear infinite'
            f'{";opacity:0" if act < len(shown) - 1 else ""}">{words}</text>'
        )
    style.append(keyframes("film-walk", moves))
    last = shown[-1]
    line = " ".join(f"{cell % COLS + 0.5},{cell // COLS + 0.5}" for cell in last)
    rest = f"transform:translate({last[-1] % COLS}px,{last[-1] // COLS}px)"
    ground = "".join(
        f'<rect class="ground" x="{cell % COLS}" y="{cell // COLS}" width=".95" height=".95"'
        ' rx=".1"/>'
        for cell in range(ROWS * COLS)
        if not START < cell < ROWS * COLS - 1
    )
    return (
        f'<svg viewBox="0 -0.95 12 5" role="img" aria-label="An agent learns to cross the cliff: it'
        f" wanders and falls at first; after {EPISODES[-1]} episodes it walks along the edge to the"
        f' goal in {len(last) - 1} steps."><style>{"".join(style)}</style>{ground}'
        f'<rect class="abyss" x="1" y="3" width="9.95" height=".95" rx=".1"/>'
        f'<text class="abyss-ink" x="6" y="3.62" font-size=".4" text-anchor="middle">'
        f"the cliff</text>"
        f'<text class="ink" x=".48" y="3.63" font-size=".42" text-anchor="middle">S</text>'
        f'<text class="ink" x="11.48" y="3.63" font-size=".42" text-anchor="middle">G</text>'
        f"{''.join(captions)}"
        f'<polyline class="walk last-walk" points="{line}" style="opacity:0;'
        f'animation:film-act-{len(shown) - 1} {total * SECONDS_PER_STEP:.1f}s linear infinite"/>'
        f'<g style="{rest};animation:film-walk {total * SECONDS_PER_STEP:.1f}s linear infinite">'
        f'<circle class="agent" cx=".48" cy=".48" r=".3"/></g></svg>'
    )


class CliffFilm(SphinxDirective):
    """``{cliff-film}``; the body is its caption."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(reference.__file__))
        text, messages = self.state.inline_text(" ".join(self.content), self.lineno)
        pause = (
            '<label class="film-pause"><input type="checkbox" aria-label="Pause the film">'
            " Pause</label>"
        )
        return [
            nodes.raw(
                "", f'<div class="film">{film(train())}<div class="film-bar">', format="html"
            ),
            nodes.paragraph("", "", *text),
            nodes.raw("", f"{pause}</div></div>", format="html"),
            *messages,
        ]


def setup(app: Sphinx) -> None:
    app.add_directive("cliff-film", CliffFilm)
