"""Chapter 4's figures about DQN: replay, the loss, what the benchmarks of lab 4 measured."""

from __future__ import annotations

import functools
import itertools

import gymnasium as gym
import numpy as np
import torch
from IPython.display import HTML, Markdown
from matplotlib.axes import Axes
from numpy.typing import NDArray

from benchmarks import recording
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK
from solutions.lab04_dqn import reference

Float = NDArray[np.float64]

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
BATCH, NUM_STEPS = 32, 6_000
FOUR = {
    "replay and target": BLUE,
    "replay only": ORANGE,
    "target only": GREEN,
    "neither": PURPLE,
}
LOSSES = {"methods": "δ = 10", "delta 1": "δ = 1", "squared": "squared error"}
PAPER = {  # Mnih et al. (2015), Extended Data Table 3
    "Breakout": (316.8, 240.7, 10.2, 3.2),
    "Seaquest": (2894.0, 823.0, 1003.0, 276.0),
}
DOUBLE = {"DQN": ORANGE, "Double DQN": BLUE}
NOISY = ", noisy rewards"
ON_BREAKOUT = {
    "replay and target": ("DQN", ORANGE),
    "Double DQN": ("Double DQN", BLUE),
    "neither": ("neither", PURPLE),
}
METHODS = {"DQN": ORANGE, "Double DQN": BLUE, "dueling": GREEN, "three steps": PURPLE}
DRAWS = 5_000
LINE = np.linspace(-6.0, 6.0, 121)
MARKS, REPEATS = (-3.0, 3.0), 200
CEILING = 100.0  # 1 / (1 - gamma)


@functools.cache
def results(name: str) -> dict:
    """Return what a benchmark measured."""
    return recording.read(f"lab04_{name}")


def spaced(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\u202f")


# Replay


@functools.cache
def played() -> reference.ReplayBuffer:
    """Return the steps of somebody who balances the pole by a rule of thumb, and slips at times."""
    env = gym.make("CartPole-v1")
    rng = np.random.default_rng(0)
    buffer = reference.ReplayBuffer(NUM_STEPS, (4,))
    obs, _ = env.reset(seed=0)
    for _ in range(NUM_STEPS):
        leans = obs[2] + 0.5 * obs[3] + 0.01 * obs[0] > 0
        action = int(leans) if rng.random() > 0.25 else int(rng.integers(2))
        next_obs, reward, terminated, truncated, _ = env.step(action)
        buffer.add(obs, action, float(reward), next_obs, terminated)
        obs = env.reset()[0] if terminated or truncated else next_obs
    return buffer


@functools.cache
def batches() -> tuple[Float, Float]:
    """Return the mean positions of batches in a row, and of batches drawn from the buffer."""
    place = played().obs[:, 0].astype(float)
    in_a_row = place[: len(place) // BATCH * BATCH].reshape(-1, BATCH).mean(axis=1)
    rng = np.random.default_rng(1)
    drawn = [played().sample(BATCH, rng)["obs"][:, 0].mean() for _ in range(1_000)]
    return in_a_row, np.array(drawn)


def draw_replay() -> HTML:
    """Draw 32 steps in a row, and 32 from the buffer."""
    buffer = played()
    start = 3_000
    panels = {
        f"{BATCH} steps in a row": buffer.obs[start : start + BATCH],
        f"{BATCH} from the buffer": buffer.sample(BATCH, np.random.default_rng(0))["obs"],
    }
    with drawing(5.1, 2.9, ncols=2, sharex=True, sharey=True) as (figure, axes):
        for ax, (title, obs), colour in zip(axes, panels.items(), (ORANGE, BLUE), strict=True):
            ax.plot(buffer.obs[::10, 0], buffer.obs[::10, 2], ".", color=INK, alpha=0.2, ms=3)
            ax.plot(obs[:, 0], obs[:, 2], "o", color=colour, ms=4.5)
            ax.set(title=title, xlabel="position of the cart")
        axes[0].set_ylabel("angle of the pole")
        return inline(
            figure,
            "replay",
            "Position of the cart and angle of the pole, twice. Thirty-two steps in a row form one"
            " short track; thirty-two steps from the buffer are spread over everything visited.",
        )


# The loss


def losses(error: torch.Tensor) -> dict[str, tuple[torch.Tensor, str]]:
    """Return three losses of each error by itself: squared, Huber's, and the wrong clip."""
    each = [reference.huber(e[None], torch.zeros(1), delta=1.0) for e in error]
    return {
        "squared": (0.5 * error**2, INK),
        "Huber": (torch.stack(each), BLUE),
        "clipped square": (0.5 * error.clamp(-1.0, 1.0) ** 2, ORANGE),
    }


def draw_huber() -> HTML:
    """Draw three losses and their slopes."""
    error = torch.linspace(-3.0, 3.0, 121, requires_grad=True)
    with drawing(5.1, 2.9, ncols=2) as (figure, axes):
        for name, (loss, colour) in losses(error).items():
            (slope,) = torch.autograd.grad(loss.sum(), error)
            x = error.detach()
            style = ":" if name == "squared" else "--" if name == "clipped square" else "-"
            axes[0].plot(x, loss.detach(), style, color=colour, label=name)
            axes[1].plot(x, slope, style, color=colour)
        axes[0].set(title="loss", xlabel="error", ylim=(-0.15, 4))
        axes[1].set(title="slope", xlabel="error", ylim=(-2.2, 2.2))
        axes[0].legend(loc="upper center", fontsize=9)
        return inline(
            figure,
            "huber",
            "Loss and slope against the error. The square's slope grows without bound, Huber's"
            " stays at plus or minus one from there on, that of the clipped square drops to zero.",
        )


# The ablation


def late(found: dict) -> Float:
    return np.array(found["late, each run"])


def ablation_table() -> Markdown:
    """Return the paper's games, ours and our pole, with replay and target network and without."""
    ours = results("ablation")
    names = [
        "",
        *(f"{game} (paper)" for game in PAPER),
        "small Breakout",
        *(f"CartPole, {x}" for x in LOSSES.values()),
    ]
    lines = ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]
    for row, name in enumerate(FOUR):
        cells = [spaced(scores[row]) if scores[row] > 999 else f"{scores[row]}"
                 for scores in PAPER.values()]  # fmt: skip
        cells.append(signed(late(results("breakout")["methods"][name]), digits=1))
        cells += [signed(late(ours[key][name])) for key in LOSSES]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return Markdown("\n".join(lines))


def draw_ablation() -> HTML:
    """Draw how long the poles stay up, and what the networks believe, for both losses."""
    settings = results("ablation")["settings"]
    with drawing(5.1, 5.4, nrows=2, ncols=2, sharey="row") as (figure, axes):
        for column, key in enumerate(("methods", "squared")):
            found = results("ablation")[key]
            for place, (name, colour) in enumerate(FOUR.items()):
                runs = late(found[name])
                _dots(axes[0, column], place, runs, colour)
                believed = np.median(np.abs(found[name]["believed"]), axis=0)
                step = settings["compared every"] * np.arange(1, len(believed) + 1)
                axes[1, column].plot(step / 1000, believed, "o-", color=colour, ms=3, label=name)
            axes[0, column].set(title=LOSSES[key])
            axes[0, column].set_yticks(range(4), ["both", "replay", "target", "neither"])
            axes[0, column].set(xlim=(0, 510), ylim=(3.6, -0.6), xlabel="steps up")
            axes[1, column].axhline(CEILING, color=INK, ls=":", lw=1.4)
            axes[1, column].set(yscale="log", xlabel="thousand steps")
        axes[1, 0].set_ylabel("value of the start")
        handles, labels = axes[1, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
        return inline(figure, "ablation", ABLATION_ALT)


ABLATION_ALT = (
    "Two columns, one for each loss. Above, the steps that the pole stays up for ten runs of each"
    " of four settings. Below, the value that the networks give to the start, on a logarithmic"
    " axis: with a target network it approaches one hundred, without one it leaves that line."
)


def _dots(ax: Axes, place: float, runs: Float, colour: str) -> None:
    """Draw each run, their mean and its 95% interval by the bootstrap."""
    jitter = np.linspace(-0.22, 0.22, len(runs))
    ax.plot(runs, place + jitter, "o", color=colour, ms=3.4, alpha=0.55, mec="none")
    low, high = interval(runs)
    ax.plot([low, high], [place, place], color=colour, lw=2.4, solid_capstyle="butt")
    ax.plot(runs.mean(), place, "D", color=colour, ms=6, mec="none")


def interval(runs: Float) -> tuple[float, float]:
    """Return the middle 95% of the means of samples drawn from these runs with replacement."""
    rng = np.random.default_rng(0)
    means = rng.choice(runs, size=(DRAWS, len(runs))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


# Overestimation


@functools.cache
def overestimates() -> tuple[Float, Float]:
    """Return, along a line of states, how far off a maximum is and how far a choice judged anew.

    Ten actions are all worth ``sin(s)``; a polynomial for each goes through a few noisy samples.
    """
    rng = np.random.default_rng(0)
    states = np.arange(-6.0, 7.0)
    off = np.zeros((REPEATS, 2, len(LINE)))
    for repeat in range(REPEATS):
        chosen, judged = (
            np.array([_fitted(rng.permutation(states)[:11], rng) for _ in range(10)])
            for _ in range(2)
        )
        off[repeat, 0] = chosen.max(axis=0)
        off[repeat, 1] = np.take_along_axis(judged, chosen.argmax(axis=0)[None], axis=0)[0]
    single, double = off.mean(axis=0) - np.sin(LINE)
    return single, double


def _fitted(at: Float, rng: np.random.Generator) -> Float:
    samples = np.sin(at) + 0.3 * rng.normal(size=len(at))
    return np.polynomial.Polynomial.fit(at, samples, 6)(LINE)


def draw_maximum() -> HTML:
    """Draw the truth, the mean of the maximum and the mean of the choice judged by another set."""
    single, double = overestimates()
    with drawing(5.1, 3.0) as (figure, ax):
        ax.plot(LINE, np.sin(LINE) + single, color=ORANGE, label="maximum of one set")
        ax.plot(LINE, np.sin(LINE) + double, color=BLUE, label="chosen by one, judged by another")
        ax.plot(LINE, np.sin(LINE), ":", color=INK, lw=2.2)
        for mark in MARKS:
            ax.axvline(mark, color=INK, lw=0.8)
        ax.set(xlabel="state", ylabel="value", xlim=(LINE[0], LINE[-1]), ylim=(-1.8, 3.2))
        ax.legend(loc="upper center", fontsize=9)
        return inline(
            figure,
            "maximum",
            "A wave is the true value of ten actions. The mean of the maximum of ten estimates"
            " runs clearly above it, most at the ends; the mean of the choice that another set of"
            " estimates judges runs along it.",
        )


def gap(name: str, benchmark: str = "overestimation") -> Float:
    """Return believed minus collected for each run, over the second half of the comparisons."""
    found = results(benchmark)["methods"][name]
    believed, collected = np.array(found["believed"]), np.array(found["collected"])
    half = believed.shape[1] // 2
    return (believed - collected)[:, half:].mean(axis=1)


def _promises(ax: Axes, runs: dict, every: float, name: str, colour: str) -> None:
    """Draw what the runs believed and what they collected, mean over the runs."""
    for key, style in (("believed", "-"), ("collected", "--")):
        middle = np.mean(runs[key], axis=0)
        at = every * np.arange(1, len(middle) + 1)
        ax.plot(at, middle, style, color=colour, label=f"{name}: {key}", marker=".")


def draw_double() -> HTML:
    """Draw what is believed and what is collected, with rewards as they are and noisy ones."""
    found, settings = results("overestimation")["methods"], results("overestimation")["settings"]
    with drawing(5.1, 3.6, ncols=2, sharey=True) as (figure, axes):
        titles = ("rewards of 1", f"rewards of 1 ± {settings['noise']:g}")
        for ax, suffix, title in zip(axes, ("", NOISY), titles, strict=True):
            for name, colour in DOUBLE.items():
                every = settings["compared every"] / 1000
                _promises(ax, found[name + suffix], every, name, colour)
            ax.axhline(CEILING, color=INK, ls=":", lw=1.4)
            ax.set(title=title, xlabel="thousand steps")
        axes[0].set_ylabel("value of the start")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
        return inline(
            figure,
            "double",
            "Believed and collected value of the start against training steps, for DQN and Double"
            " DQN, with plain and with noisy rewards; the line at one hundred is the most that the"
            " world can pay.",
        )


def draw_breakout() -> HTML:
    """Draw what is believed and collected on Breakout, and how many bricks are knocked out."""
    found, settings = results("breakout")["methods"], results("breakout")["settings"]
    thousands = settings["frames"] / 1000
    with drawing(5.1, 3.4, ncols=2) as (figure, axes):
        for key, (name, colour) in ON_BREAKOUT.items():
            _promises(axes[0], found[key], thousands / 10, name, colour)
            curves = np.array(found[key]["curves"])
            curves = curves.reshape(len(curves), 20, -1).mean(axis=2)  # of each twentieth
            frame = thousands * (np.arange(20) + 0.5) / 20
            axes[1].plot(frame, curves.mean(axis=0), color=colour)
            low, high = curves.min(axis=0), curves.max(axis=0)
            axes[1].fill_between(frame, low, high, color=colour, alpha=0.16, linewidth=0)
        for ax, title in zip(axes, ("value of states", "bricks per episode"), strict=True):
            ax.set(title=title, xlabel="thousand frames", ylim=(0, None))
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, fontsize=9)
        return inline(
            figure,
            "breakout",
            "Left, believed and collected value of the states that a greedy player meets, against"
            " frames of training: for DQN and Double DQN the belief is well above what is"
            " collected, for neither close to it. Right, bricks per episode in training: neither"
            " ends highest.",
        )


# Seeds


def triples(runs: Float) -> tuple[float, float]:
    """Return the lowest and the highest mean that three of the runs have."""
    means = [np.mean(three) for three in itertools.combinations(runs, 3)]
    return float(min(means)), float(max(means))


def draw_seeds() -> HTML:
    """Draw four methods' runs, means and intervals, and what three seeds might have said."""
    with drawing(5.1, 3.3) as (figure, ax):
        for place, (name, colour) in enumerate(METHODS.items()):
            runs = late(results("improvements")["methods"][name])
            low, high = triples(runs)
            ax.barh(place, high - low, left=low, height=0.62, color=INK, alpha=0.14, linewidth=0)
            _dots(ax, place, runs, colour)
        ax.set_yticks(range(len(METHODS)), METHODS)
        ax.set(xlabel="steps up, end of training", xlim=(0, 510), ylim=(3.6, -0.6))
        return inline(
            figure,
            "seeds",
            "Ten runs of each of four methods, their mean with its interval, and a wide grey bar"
            " for all means of three of the ten runs; the grey bars of the methods overlap.",
        )


# Numbers for the text


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    in_a_row, drawn = batches()
    spread = played().obs[:, 0].std()
    ours, settings = results("ablation"), results("ablation")["settings"]
    runs = {key: {name: late(ours[key][name]) for name in FOUR} for key in LOSSES}
    believed = {
        key: float(np.median(ours[key]["replay only"]["believed"], axis=0)[-1]) for key in LOSSES
    }
    small, of_small = results("breakout")["methods"], results("breakout")["settings"]
    improved = {name: late(results("improvements")["methods"][name]) for name in METHODS}
    plain = triples(improved["DQN"])
    ends = results("improvements")["methods"]["three steps"]["believed"]
    between = np.abs(LINE) <= MARKS[1]
    single, double = (float(off[between].mean()) for off in overestimates())
    return {
        "replay_row": f"{(spread / in_a_row.std()) ** 2:.1f}",
        "replay_drawn": f"{(spread / drawn.std()) ** 2:.0f}",
        "abl_seeds": str(settings["seeds"]),
        "abl_steps": spaced(settings["total_steps"]),
        "abl_copy": str(settings["sync_every"]),
        "abl_capacity": spaced(settings["replay"]),
        "abl_short": spaced(settings["steps of the shorter runs"]),
        "abl_both": f"{runs['methods']['replay and target'].mean():.0f}",
        "abl_target": f"{runs['methods']['target only'].mean():.0f}",
        "abl_squared_neither": f"{runs['squared']['neither'].mean():.0f}",
        "abl_squared_target": f"{runs['squared']['target only'].mean():.0f}",
        "abl_replay": f"{runs['methods']['replay only'].mean():.0f}",
        "abl_lost": f"{believed['methods'] / 1e6:.0f} million",
        "abl_squared_believed": f"{believed['squared']:.0f}",
        "abl_squared_replay": f"{runs['squared']['replay only'].mean():.0f}",
        "abl_squared_both": f"{runs['squared']['replay and target'].mean():.0f}",
        "abl_clipped_both": f"{runs['delta 1']['replay and target'].mean():.0f}",
        "gap_dqn": signed(gap("DQN")),
        "gap_double": signed(gap("Double DQN")),
        "gap_noisy": signed(gap("DQN" + NOISY)),
        "gap_noisy_double": signed(gap("Double DQN" + NOISY)),
        "small_frames": spaced(of_small["frames"]),
        "small_seeds": str(of_small["seeds"]),
        "small_copy": str(of_small["sync_every"]),
        "small_gap_dqn": signed(gap("replay and target", "breakout"), digits=1),
        "small_gap_alone": signed(gap("replay only", "breakout"), digits=1),
        "small_gap_target": signed(gap("target only", "breakout"), digits=1),
        "small_gap_neither": signed(gap("neither", "breakout"), digits=1),
        "small_gap_double": signed(gap("Double DQN", "breakout"), digits=1),
        "small_bricks_dqn": signed(late(small["replay and target"]), digits=1),
        "small_bricks_neither": signed(late(small["neither"]), digits=1),
        "small_bricks_double": signed(late(small["Double DQN"]), digits=1),
        "gap_noise": f"{results('overestimation')['settings']['noise']:g}",
        "max_repeats": str(REPEATS),
        "max_single": f"{single:.2f}",
        "max_double": f"{max(abs(double), 0.01):.2f}",
        "three_lost": str(sum(run[-1] > 5 * CEILING for run in ends)),
        "three_up": f"{improved['three steps'].mean():.0f}",
        "seeds_low": f"{plain[0]:.0f}",
        "seeds_high": f"{plain[1]:.0f}",
    }


def signed(runs: Float, digits: int = 0) -> str:
    """Write a mean and its standard error."""
    return f"{runs.mean():.{digits}f} ± {runs.std(ddof=1) / len(runs) ** 0.5:.{digits}f}"
