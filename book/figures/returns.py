"""Chapter 1's figures and numbers about the courier: returns, values, Bellman's equations."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import gymnasium as gym
import numpy as np
from IPython.display import HTML, Markdown
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.optimize import minimize

from book.figures import courier
from book.figures.courier import CHARGE, DOCK, DOOR, FULL, GAMMA, LEFT, RIGHT, START, Float, state
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK
from solutions.lab01_rl_basics import reference

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
ARROWS = {LEFT: "←", RIGHT: "→", CHARGE: "+"}
WORDS = dict(enumerate(courier.NAMES))
DISCOUNTS = {0.5: PURPLE, 0.9: ORANGE, 0.95: GREEN, 0.99: BLUE}
FORK = state(1, 2)
FORKS = (0.25, 0.5, 0.8, 0.95)
LIMIT, NUM_EPISODES, SWEEPS = 8, 4_000, 80
BONUSES = np.round(np.arange(0.0, 3.001, 0.02), 2)


def signed(value: float, digits: int = 2) -> str:
    """Write a number with a true minus sign, and no minus before a zero."""
    text = f"{value:.{digits}f}"
    return (text[1:] if float(text) == 0 and text[0] == "-" else text).replace("-", "−")


@functools.cache
def model() -> tuple[Float, Float]:
    """Return the courier's transitions and rewards."""
    return courier.model()


def greedy(Q: Float) -> Float:
    """Return the greedy policy; on ties, up to rounding, the first action."""
    return courier.deterministic(np.round(Q, 9).argmax(axis=1))


def value(pi: Float, R: Float | None = None, gamma: float = GAMMA) -> Float:
    """Return the exact value of a policy, with the courier's rewards unless others are given."""
    P, own = model()
    return reference.policy_value(P, own if R is None else R, pi, gamma=gamma)


def improvements(pi: Float, R: Float | None = None, gamma: float = GAMMA) -> list[Float]:
    """Return the policies of policy iteration, the first one given, the last one optimal."""
    P, own = model()
    rewards = own if R is None else R
    policies = [pi]
    while True:
        Q = reference.q_from_v(P, rewards, value(policies[-1], rewards, gamma), gamma=gamma)
        is_best = (policies[-1] * Q).sum(axis=1) >= Q.max(axis=1) - 1e-9
        better = np.where(is_best[:, None], policies[-1], greedy(Q))
        if np.array_equal(better, policies[-1]):
            return policies
        policies.append(better)


@functools.cache
def optimum() -> tuple[Float, Float]:
    """Return the optimal policy and its values."""
    pi = improvements(courier.careful())[-1]
    return pi, value(pi)


@functools.cache
def evaluation_sweeps() -> list[Float]:
    """Return the estimates of iterative evaluation of the random policy, from zeros on."""
    P, R = model()
    pi = courier.random_policy()
    P_pi, R_pi = np.einsum("sa,sat->st", pi, P), (pi * R).sum(axis=1)
    sweeps = [np.zeros(len(P))]
    for _ in range(SWEEPS):
        sweeps.append(R_pi + GAMMA * P_pi @ sweeps[-1])
    return sweeps


@functools.cache
def optimality_sweeps() -> list[Float]:
    """Return the estimates of value iteration, from zeros on."""
    P, R = model()
    sweeps = [np.zeros(len(P))]
    for _ in range(60):
        sweeps.append((R + GAMMA * P @ sweeps[-1]).max(axis=1))
    return sweeps


def losses() -> list[float]:
    """Return what the greedy policy of each sweep of value iteration loses in its worst state."""
    P, R = model()
    _, best = optimum()
    policies = [greedy(R + GAMMA * P @ V) for V in optimality_sweeps()]
    return [float((best - value(pi)).max()) for pi in policies]


def change_and_error(sweeps: Sequence[Float], truth: Float) -> tuple[Float, Float]:
    """Return the largest change of each sweep after the first, and the largest error after it."""
    array = np.array(sweeps)
    change = np.abs(np.diff(array, axis=0)).max(axis=1)
    return change, np.abs(array[1:] - truth).max(axis=1)


# State and observation


def stranded_next(moves: int) -> float:
    """Return P(the next move strands it), for a robot that left the dock full, by its moves.

    Every move has used a unit or not, with even odds, and the robot is not stranded yet.
    """
    charges = np.eye(FULL + 1)[FULL]
    for _ in range(moves):
        charges = 0.5 * charges + 0.5 * np.append(charges[1:], 0.0)
        charges[0] = 0.0
        charges /= charges.sum()
    return float(0.5 * charges[1])


def markov_table() -> Markdown:
    """Return the risk of the same move in the same cell after different pasts."""
    pasts = {
        3: "3: straight from the dock",
        5: "5: once back and forth",
        7: "7: twice",
        9: "9: three times",
    }
    lines = ["| moves since the dock | P(stranded by the next move) |", "|---|---|"]
    lines += [f"| {past} | {stranded_next(moves):.3f} |" for moves, past in pasts.items()]
    return Markdown("\n".join(lines))


def by_cell(rows: Float) -> Float:
    """Return the policy that acts on the cell alone, from one row of probabilities per cell."""
    return np.repeat(np.vstack([rows, rows[-1:]]), courier.NUM_CHARGES, axis=0)


@functools.cache
def blind() -> tuple[float, Float]:
    """Return the best value of the start without seeing the charge, and that policy by cell."""

    def policy(x: Float) -> Float:
        odds = np.exp(x.reshape(DOOR, courier.NUM_ACTIONS))
        return odds / odds.sum(axis=1, keepdims=True)

    rng, size = np.random.default_rng(0), DOOR * courier.NUM_ACTIONS
    found = [
        minimize(lambda x: -value(by_cell(policy(x)))[START], rng.normal(size=size),
                 bounds=[(-12, 12)] * size)
        for _ in range(5)
    ]  # fmt: skip
    best = min(found, key=lambda result: result.fun)
    return -float(best.fun), policy(best.x)


def blind_deterministic() -> float:
    """Return the best value of the start that one fixed action per cell can earn."""
    choices = np.array(np.meshgrid(*[range(courier.NUM_ACTIONS)] * DOOR)).reshape(DOOR, -1).T
    return max(float(value(by_cell(np.eye(3)[actions]))[START]) for actions in choices)


# Endings


@functools.cache
def cut_off() -> dict[str, float]:
    """Return the start's value under the random policy: exact, and from episodes cut short.

    Each episode is stopped after ``LIMIT`` steps. Its return is completed with the exact value of
    where it stood, or with nothing.
    """
    env = gym.wrappers.TimeLimit(courier.Courier(), max_episode_steps=LIMIT)
    pi, rng = courier.random_policy(), np.random.default_rng(0)
    V = value(pi)
    returns, cut = [], 0
    for _ in range(NUM_EPISODES):
        seen, _, rewards, terminated = courier.play(env, pi, rng)
        worth = 0.0 if terminated else float(V[seen[-1]])
        cut += not terminated
        returns.append(
            [reference.discounted_returns(np.array(rewards), GAMMA, b)[0] for b in (worth, 0.0)]
        )
    right, wrong = np.array(returns).T
    error = NUM_EPISODES**0.5
    return {
        "truth": float(V[START]),
        "right": float(right.mean()),
        "right error": float(right.std(ddof=1) / error),
        "wrong": float(wrong.mean()),
        "wrong error": float(wrong.std(ddof=1) / error),
        "cut": cut / NUM_EPISODES,
    }


# Discount and reward


@functools.cache
def best_policy(gamma: float) -> Float:
    """Return the optimal policy under a discount."""
    return improvements(courier.careful(), gamma=gamma)[-1]


def discount_table() -> Markdown:
    """Return what the optimal courier does under several discounts, in three telling states."""
    lines = [
        "| γ | 1/(1 − γ) | it leaves the dock with | cell 1, charge 2 | cell 2, charge 1 |",
        "|---|---|---|---|---|",
    ]
    for gamma in FORKS:
        action = best_policy(gamma).argmax(axis=1)
        leaves = next(c for c in range(FULL + 1) if action[state(DOCK, c)] == RIGHT)
        does = [
            "sits down for good" if action[s] == CHARGE else WORDS[int(action[s])]
            for s in (state(1, 2), state(2, 1))
        ]
        lines.append(f"| {gamma:g} | {1 / (1 - gamma):.3g} | {leaves} units | {' | '.join(does)} |")
    return Markdown("\n".join(lines))


def with_bonus(bonus: float) -> Float:
    """Return the rewards with a bonus for each step of charging at the dock."""
    _, R = model()
    R = R.copy()
    R[[state(DOCK, charge) for charge in range(FULL + 1)], CHARGE] += bonus
    return R


def with_potential(bonus: float) -> Float:
    """Return the rewards with the same hint as a potential, ``bonus`` per unit of charge."""
    P, R = model()
    potential = bonus * (np.arange(courier.NUM_OBS) % courier.NUM_CHARGES)
    potential[courier.terminal()] = 0.0
    shaped = R + GAMMA * P @ potential - potential[:, None]
    shaped[courier.terminal()] = 0.0
    return shaped


@functools.cache
def hints() -> dict[str, list[float]]:
    """Return, by bonus, what the optimal policy of the hinted reward promises and really earns."""
    found: dict[str, list[float]] = {"promised": [], "earned": [], "earned, potential": []}
    for bonus in BONUSES:
        R = with_bonus(bonus)
        pi = improvements(courier.careful(), R)[-1]
        found["promised"].append(float(value(pi, R)[START]))
        found["earned"].append(float(value(pi)[START]))
        safe = improvements(courier.careful(), with_potential(bonus))[-1]
        found["earned, potential"].append(float(value(safe)[START]))
    return found


def turning_point() -> float:
    """Return the bonus from which the optimal robot never leaves the dock."""
    low, high = 0.0, 3.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        leaves = improvements(courier.careful(), with_bonus(middle))[-1][state(DOCK, FULL), RIGHT]
        low, high = (middle, high) if leaves else (low, middle)
    return high


def arrival(pi: Float) -> float:
    """Return the probability that a parcel from the start arrives."""
    P, _ = model()
    delivered = np.zeros((courier.NUM_OBS, courier.NUM_ACTIONS))
    for charge in range(FULL + 1):
        delivered += np.where(courier.terminal()[:, None], 0.0, P[:, :, state(DOOR, charge)])
    # A discount so close to 1 counts an arrival as 1, and a robot that never arrives as 0.
    return float(value(pi, delivered, gamma=1 - 1e-9)[START])


# Numbers for the text


@functools.cache
def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    P, R = model()
    pi, best = optimum()
    V = value(courier.careful())
    Q = reference.q_from_v(P, R, V, gamma=GAMMA)
    wanders = courier.random_policy()
    changes, errors = change_and_error(evaluation_sweeps(), value(wanders))
    _, sweeps = reference.iterative_policy_eval(P, R, wanders, gamma=GAMMA, tol=0.01)
    settled = next(k for k, loss in enumerate(losses()) if loss < 1e-9)
    optimal_change, optimal_error = change_and_error(optimality_sweeps(), best)
    cut, turn = cut_off(), turning_point()
    above = int(np.searchsorted(BONUSES, turn))
    seen, shaken = blind()
    return {
        "num_states": str(courier.NUM_OBS),
        "v_careful": signed(V[START]),
        "v_random": signed(value(wanders)[START]),
        "v_best": signed(best[START]),
        "p_careful": f"{100 * arrival(courier.careful()):.0f}%",
        "p_best": f"{100 * arrival(pi):.0f}%",
        "fork_v": signed(V[FORK]),
        "fork_left": signed(Q[FORK, LEFT]),
        "fork_a": signed(Q[FORK, LEFT] - V[FORK]),
        "eval_sweeps": str(sweeps),
        "eval_error": f"{errors[sweeps - 1]:.4f}",
        "eval_bound": f"{GAMMA / (1 - GAMMA) * changes[sweeps - 1]:.3f}",
        "pi_rounds": str(len(improvements(wanders)) - 1),
        "vi_settled": str(settled),
        "vi_error": signed(optimal_error[settled - 1]),
        "vi_bound": f"{2 * GAMMA / (1 - GAMMA) * optimal_change[settled - 1]:.1f}",
        "blind_fixed": signed(blind_deterministic(), 1),
        "blind_best": signed(seen),
        "blind_charges": f"{100 * shaken[DOCK, CHARGE]:.0f}%",
        "limit": str(LIMIT),
        "num_cut": f"{NUM_EPISODES:,}".replace(",", "\u202f"),
        "cut_share": f"{100 * cut['cut']:.0f}%",
        "cut_right": f"{signed(cut['right'])} ± {cut['right error']:.2f}",
        "cut_wrong": f"{signed(cut['wrong'])} ± {cut['wrong error']:.2f}",
        "turn": f"{turn:.2f}",
        "turn_promised": signed(hints()["promised"][above]),
        "turn_earned": signed(hints()["earned"][above], 1),
        "weight_inside": f"{100 * (1 - GAMMA ** (1 / (1 - GAMMA))):.0f}%",
    }  # fmt: skip


def fork_table() -> Markdown:
    """Return value, action values and advantages of the careful policy at the fork."""
    P, R = model()
    pi = courier.careful()
    V = value(pi)
    Q = reference.q_from_v(P, R, V, gamma=GAMMA)
    A = reference.advantage(Q, pi)
    lines = ["| in cell 1 with charge 2 | π(a given s) | Q | A = Q − V |", "|---|---|---|---|"]
    for action, word in WORDS.items():
        row = f"{pi[FORK, action]:.0f} | {signed(Q[FORK, action])} | {signed(A[FORK, action])}"
        lines.append(f"| {word} | {row} |")
    return Markdown("\n".join(lines))


# Figures


def draw_states(ax: Axes, V: Float | None = None, Q: Float | None = None, title: str = "") -> None:
    """Draw the states as a grid, the cell to the right and the charge upwards.

    Args:
        ax: where to draw.
        V: values, printed and coloured: blue is good, orange is bad.
        Q: action values; the greedy actions are printed below the values.
        title: stands above.
    """
    for s in range(courier.NUM_OBS):
        cell, charge = divmod(s, courier.NUM_CHARGES)
        box = {
            "xy": (cell - 0.5, charge - 0.5),
            "width": 1,
            "height": 1,
            "edgecolor": INK,
            "lw": 0.6,
        }
        if courier.terminal()[s]:
            ax.add_patch(Rectangle(**box, facecolor=INK, alpha=0.3))
            continue
        if V is None:
            ax.add_patch(Rectangle(**box, facecolor="none"))
            continue
        strength = round(0.5 * min(abs(V[s]) / 30, 1.0), 1)
        colour = BLUE if V[s] > 0 else ORANGE
        ax.add_patch(Rectangle(**(box | {"edgecolor": "none"}), facecolor=colour, alpha=strength))
        ax.add_patch(Rectangle(**box, facecolor="none"))
        height = charge if Q is None else charge + 0.2
        ax.text(cell, height, signed(V[s], 1), ha="center", va="center", fontsize=9)
        if Q is not None:
            best = ARROWS[int(np.round(Q[s], 9).argmax())]
            ax.text(cell, charge - 0.25, best, ha="center", va="center", fontsize=11, color=INK)
    ax.set(xlim=(-0.5, DOOR + 0.5), ylim=(-0.5, FULL + 0.5), title=title, aspect=0.6)
    ax.set_xticks(range(DOOR + 1), ["dock", *map(str, range(1, DOOR)), "door"])
    ax.set_yticks(range(FULL + 1))
    ax.set(ylabel="charge")
    ax.tick_params(length=0)
    ax.grid(visible=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)


def draw_world() -> HTML:
    """Draw the courier's states, what ends the episode, and what one move may do."""
    with drawing(5.1, 2.7) as (figure, ax):
        draw_states(ax)
        for charge in range(FULL + 1):
            ax.text(DOOR, charge, "delivered\n+30", ha="center", va="center", fontsize=7.5)
        for cell in range(1, DOOR):
            ax.text(cell, 0, "stranded\n−30", ha="center", va="center", fontsize=7.5)
        ax.text(DOCK, 1, "start", ha="center", va="center", fontsize=9)
        ax.text(2, 2.26, "robot", ha="center", va="center", fontsize=9)
        for end, note in (((2.9, 2.0), "½"), ((2.9, 1.1), "½")):
            ax.annotate(
                "", end, (2.1, 2.0), arrowprops={"arrowstyle": "->", "color": BLUE, "lw": 1.4}
            )
            ax.text(end[0] + 0.12, end[1], note, color=BLUE, ha="left", va="center")
        ax.set(xlabel="cell")
        return inline(
            figure,
            "courier-world",
            "A grid of states, six cells wide and four charges high. The column of the door is"
            " marked delivered, the cells with charge 0 outside the dock are marked stranded. From"
            " cell 2 with charge 2, two arrows lead to cell 3, one with charge 2, one with 1.",
        )


def draw_discount() -> HTML:
    """Draw the weight of a reward against its delay."""
    delay = np.arange(0, 101)
    with drawing(5.1, 3.2) as (figure, ax):
        for gamma, colour in DISCOUNTS.items():
            ax.plot(delay, gamma**delay, color=colour, label=f"γ = {gamma:g}")
            horizon = 1 / (1 - gamma)
            ax.plot(horizon, gamma**horizon, "o", color=colour, ms=5)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 0.03))
        ax.set(xlabel="steps until the reward", ylabel="weight in the return")
        ax.set(xlim=(0, 101), ylim=(0, 1.02))
        return inline(
            figure,
            "discount",
            "Four falling curves, the weight of a reward against its delay, for discounts 0.5, 0.9,"
            " 0.95 and 0.99. A dot on each marks 1/(1-gamma) steps, where a bit over a third of the"
            " weight is left.",
        )


def draw_sweeps() -> HTML:
    """Draw the estimates of iterative evaluation after some sweeps."""
    shown = (1, 3, 8, 40)
    with drawing(5.1, 7.6, nrows=len(shown)) as (figure, axes):
        for ax, k in zip(axes, shown, strict=True):
            name = "1 sweep" if k == 1 else f"{k} sweeps"
            draw_states(ax, evaluation_sweeps()[k], title=name)
        return inline(
            figure,
            "evaluation-sweeps",
            "Four grids of estimated values of the random policy, after 1, 3, 8 and 40 sweeps."
            " After one sweep only states one move away from an ending differ from -1; then all"
            " fall, the lower the charge and the further the door, to about -27.",
        )


def draw_evaluation_error() -> HTML:
    """Draw the error of iterative evaluation, and what bounds it."""
    sweeps, truth = evaluation_sweeps(), value(courier.random_policy())
    change, error = change_and_error(sweeps, truth)
    k = np.arange(1, len(sweeps))
    with drawing(5.1, 3.3) as (figure, ax):
        first = np.abs(truth).max()
        ax.plot(k, GAMMA**k * first, color=INK, ls=":", label="known before: γᵏ × first error")
        ax.plot(
            k, GAMMA / (1 - GAMMA) * change, color=ORANGE, label="known then: γ/(1 − γ) × change"
        )
        ax.plot(k, error, color=BLUE, label="error")
        ax.plot(k, change, color=GREEN, ls="--", lw=1.3, label="largest change")
        ax.set(
            xlabel="sweep", ylabel="reward units", yscale="log", xlim=(0, SWEEPS), ylim=(1e-3, 3e4)
        )
        ax.legend(loc="upper right", fontsize=9)
        return inline(
            figure,
            "evaluation-error",
            "On a logarithmic scale over 80 sweeps: the error of iterative evaluation falls in a"
            " straight line, the bound from the last change runs parallel above it, the change"
            " itself parallel below it, and the bound known beforehand falls much more slowly.",
        )


def draw_values() -> HTML:
    """Draw the values of the careful policy and of the optimal one."""
    pi, best = optimum()
    shown = {"the careful policy": (courier.careful(), value(courier.careful())),
             "the optimal policy": (pi, best)}  # fmt: skip
    with drawing(5.1, 4.4, nrows=2) as (figure, axes):
        for ax, (name, (policy, V)) in zip(axes, shown.items(), strict=True):
            draw_states(ax, V, policy, title=name)
        return inline(
            figure,
            "courier-values",
            "Two grids of values with the action of each state. The careful policy charges at the"
            " dock and goes right everywhere else; the optimal one also turns left in cell 1 with"
            " charge 1 or 2 and in cell 2 with charge 1, and all values on the left are higher.",
        )


def draw_value_iteration() -> HTML:
    """Draw the error of value iteration, its bound, and what its greedy policy loses."""
    sweeps = optimality_sweeps()[:46]
    _, best = optimum()
    change, error = change_and_error(sweeps, best)
    loss = np.array(losses()[1 : len(sweeps)])
    k = np.arange(1, len(sweeps))
    with drawing(5.1, 3.5) as (figure, ax):
        ax.plot(k, 2 * GAMMA / (1 - GAMMA) * change, color=ORANGE, label="bound on the loss")
        ax.plot(k, error, color=BLUE, label="error of the values")
        ax.step(k, np.where(loss > 1e-9, loss, np.nan), color=PURPLE, where="mid",
                label="loss of the greedy policy")  # fmt: skip
        settled = next(i for i, value in zip(k, loss, strict=True) if value <= 1e-9)
        ax.axvline(settled, color=PURPLE, ls=":", lw=1.3)
        ax.text(settled + 0.6, 300, f"optimal from\nsweep {settled} on", color=PURPLE, va="center")
        ax.set(xlabel="sweep", ylabel="reward units", yscale="log", xlim=(0, 45), ylim=(1e-3, 3e3))
        ax.legend(loc="lower left", fontsize=9)
        return inline(
            figure,
            "value-iteration",
            "On a logarithmic scale over 45 sweeps of value iteration: the error of the values"
            " falls steadily, the loss of the greedy policy falls in steps and is zero from sweep"
            f" {settled} on, while the bound on the loss is still far above it.",
        )


def draw_hints() -> HTML:
    """Draw what a bonus for charging promises and what the robot then earns."""
    turn, found = turning_point(), hints()
    below = turn > BONUSES
    earned = np.array(found["earned"])
    with drawing(5.1, 3.5) as (figure, ax):
        ax.plot(BONUSES, found["promised"], color=ORANGE, label="return with the bonus")
        ax.plot(BONUSES[below], earned[below], color=BLUE, label="return without it")
        ax.plot(BONUSES[~below], earned[~below], color=BLUE)
        ax.plot([turn, turn], [earned[below][-1], earned[~below][0]], color=BLUE, ls=":", lw=1.3)
        ax.plot(BONUSES, found["earned, potential"], color=GREEN, ls="--",
                label="without it, hint as a potential")  # fmt: skip
        ax.text(
            turn + 0.06,
            -8,
            f"bonus {turn:.2f}:\nit never leaves\nthe dock",
            color=BLUE,
            va="center",
        )
        ax.set(xlabel="bonus per step of charging", ylabel="value of the start")
        ax.set(xlim=(0, 3), ylim=(-24, 44))
        ax.legend(loc="upper left", fontsize=9)
        return inline(
            figure,
            "reward-hints",
            "Value of the start against the bonus for charging. The return that the robot is"
            " trained on rises; what it earns without the bonus stays constant and then falls in"
            f" one step to -20 at a bonus of {turn:.2f}. With the hint given as a potential it"
            " stays constant throughout.",
        )
