"""Two agents in Dyna's maze, one that plans and one that doesn't, in their second episode.

Both are trained when the site is built, by the function that lab 3 asks for. They act with the
same random numbers, so their first episodes, in which nothing is known until the end, are the same.
"""

from __future__ import annotations

import itertools

import gymnasium
import numpy as np

from course_site.films.reel import AT_ONCE, Reel, svg, text, tile, translated
from labkit.envs import DynaMaze
from solutions.lab02_q_learning_sarsa.reference import choose_action
from solutions.lab03_planning_mcts.reference import dyna_q_step, empty_model

ROWS, COLS = DynaMaze.SHAPE
PLANNING = (0, 50)  # imagined steps per real one
TICKS = 104
SECONDS_PER_STEP = 0.14
AT_GOAL = 3  # ticks that an agent rests

Episode = list[tuple[int, set[int]]]


def train(num_planning: int, num_episodes: int, seed: int = 5) -> list[Episode]:
    """Return, for each time of each episode, the agent's cell and the cells it knows a way from.

    Args:
        num_planning: imagined steps per real one.
        num_episodes: how many to walk.
        seed: of the actions; planning draws its own random numbers.
    """
    env = gymnasium.make("labkit/DynaMaze-v0")
    acting, planning = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    q, model = np.zeros((ROWS * COLS, 4)), empty_model(ROWS * COLS, 4)

    def known() -> set[int]:
        return set(np.flatnonzero(q.max(axis=1) > 0).tolist())

    episodes: list[Episode] = []
    for _ in range(num_episodes):
        obs, terminated = int(env.reset()[0]), False
        episode = [(obs, known())]
        while not terminated:
            action = choose_action(q, obs, 0.1, acting)
            next_obs, reward, terminated, _, _ = env.step(action)
            outcome = (float(reward), int(next_obs), terminated)
            settings = {"num_planning": num_planning, "alpha": 0.1, "gamma": 0.95}
            dyna_q_step(q, model, obs, action, *outcome, rng=planning, **settings)
            obs = int(next_obs)
            episode.append((obs, known()))
        episodes.append(episode)
    return episodes


def panel(num_planning: int, episodes: list[Episode]) -> str:
    """Return one agent's drawing: as many of its episodes as there is time for.

    Args:
        num_planning: imagined steps per real one.
        episodes: from the second on.
    """
    reel = Reel(f"maze-{num_planning}", TICKS, SECONDS_PER_STEP)
    moves: list[tuple[float, float, float]] = []
    learned: dict[int, int] = {}  # the tick at which a cell became known
    ends = [0]
    time = 0
    for episode in episodes:
        for cell, known in episode[: TICKS - time]:
            learned = dict.fromkeys(known, time) | learned
            moves.append((time, cell % COLS, cell // COLS))
            time += 1
        if moves[-1][1:] == (DynaMaze.GOAL % COLS, DynaMaze.GOAL // COLS):
            ends.append(time - 1)
        time = min(time + AT_GOAL, TICKS)
        moves.append((time - AT_ONCE, *moves[-1][1:]))
        if time == TICKS:
            break
    lengths = [len(episode) - 1 for episode in episodes]
    says = [
        "to the goal in " + ", ".join(map(str, lengths[:count])) + " steps"
        if count
        else "looking for the goal, which it found once"
        for count in range(len(ends))
    ]
    if len(ends) == 1:
        ends.append(TICKS - 30)
        says.append(f"cut here: this episode took it {lengths[0]} steps")
    words = "".join(
        text(0, 6.55, said, size=0.44, more=f'style="{rest}{reel.shown(begin, end)}"')
        for said, (begin, end) in zip(says, itertools.pairwise([*ends, TICKS]), strict=True)
        for rest in ("" if end == TICKS else "opacity:0;",)
    )
    heading = f"{num_planning} imagined steps per step" if num_planning else "Without a model"
    middle, bold = 'text-anchor="middle"', 'font-weight="600"'
    ground = "".join(
        tile(cell % COLS, cell // COLS, "abyss" if cell in DynaMaze.WALLS else "ground")
        for cell in range(ROWS * COLS)
    )
    known_tiles = "".join(
        tile(cell % COLS, cell // COLS, "known", f'style="{reel.shown(tick, TICKS)}"')
        for cell, tick in learned.items()
    )
    content = (
        f"{ground}{known_tiles}"
        f"{text(0.48, 2.63, 'S', size=0.42, more=middle)}"
        f"{text(8.48, 0.63, 'G', size=0.42, more=middle)}"
        f"{text(0, -0.3, heading, size=0.46, more=bold)}{words}"
        f'<g style="{translated(*moves[-1][1:])};{reel.moved(moves)}">'
        f'<circle class="agent" cx=".48" cy=".48" r=".3"/></g>'
    )
    label = (
        f"{heading}: the agent in its second episode, {says[-1]}. At the end it knows a way to the"
        f" goal from {len(learned)} of {ROWS * COLS - len(DynaMaze.WALLS) - 1} cells."
    )
    return svg("0 -0.85 9 7.6", label, f"<style>{reel.style}</style>{content}")


def film() -> list[str]:
    """Train both agents and return their drawings, side by side on a desk."""
    return [panel(n, train(n, num_episodes=6)[1:]) for n in PLANNING]
