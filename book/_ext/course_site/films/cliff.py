"""An agent learns to cross the cliff: its first walk, one on the way, and the last.

It is trained when the site is built, by the functions that lab 2 asks for.
"""

from __future__ import annotations

import gymnasium
import numpy as np

from course_site.films.reel import Reel, polyline, svg, text, tile, translated
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


def drawn(walks: list[list[int]]) -> str:
    """Return the drawing: the walks in a row, each with its heading."""
    shown = [walk[:LONGEST_SHOWN] for walk in walks]
    reel = Reel("cliff", sum(len(walk) + PAUSE_STEPS for walk in shown), SECONDS_PER_STEP)
    moves: list[tuple[float, float, float]] = []
    headings, time = [], 0
    for walk, whole, episode in zip(shown, walks, EPISODES, strict=True):
        begin, last = time, episode == EPISODES[-1]
        for cell in walk:
            moves.append((time, cell % COLS, cell // COLS))
            time += 1
        moves.append((time - 1.5 + PAUSE_STEPS, *moves[-1][1:]))
        time += PAUSE_STEPS
        ending = "cut here: it walks on" if len(whole) > LONGEST_SHOWN else "to the goal"
        words = f"Episode {episode}: {len(whole) - 1} moves, {ending}"
        if last:
            words = f"Episode {episode}: {len(walk) - 1} moves, the shortest way there is"
        style = f"{'' if last else 'opacity:0;'}{reel.shown(begin, time)}"
        headings.append(text(0, -0.35, words, size=0.42, more=f'font-weight="600" style="{style}"'))
    last_walk = [(cell % COLS, cell // COLS) for cell in shown[-1]]
    ground = "".join(
        tile(cell % COLS, cell // COLS)
        for cell in range(ROWS * COLS)
        if not START < cell < ROWS * COLS - 1
    )
    line = polyline(
        ((x + 0.5, y + 0.5) for x, y in last_walk), f'style="opacity:.55;{reel.shown(begin, time)}"'
    )
    middle = 'text-anchor="middle"'
    content = (
        f'{ground}<rect class="abyss" x="1" y="3" width="9.95" height=".95" rx=".1"/>'
        f'<text class="abyss-ink" x="6" y="3.62" font-size=".4" {middle}>the cliff</text>'
        f"{text(0.48, 3.63, 'S', size=0.42, more=middle)}"
        f"{text(11.48, 3.63, 'G', size=0.42, more=middle)}"
        f"{''.join(headings)}{line}"
        f'<g style="{translated(*last_walk[-1])};{reel.moved(moves)}">'
        f'<circle class="agent" cx=".48" cy=".48" r=".3"/></g>'
    )
    label = (
        "An agent learns to cross the cliff: it wanders and falls at first; after"
        f" {EPISODES[-1]} episodes it walks along the edge to the goal in {len(last_walk) - 1}"
        " steps."
    )
    return svg("0 -0.95 12 5", label, f"<style>{reel.style}</style>{content}")


def film() -> list[str]:
    """Train the agent and return the film."""
    return [drawn(train())]
