"""Chapter 6: measured steps of TRPO, the clip at work, Table 1, and what details are worth."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from IPython.display import HTML

from benchmarks import recording
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
SIZES = {"0.01": BLUE, "0.1": GREEN, "1.0": ORANGE}
ALL = "all details"
SHORT = "CartPole, 50 steps"
NAMED = {  # rows of the figure that the prose quotes
    "last": "last layer of the policy with gain 1",
    "init": "torch's own initialisation",
    "never": "advantages: never normalised",
    "value": "value clipping",
    "anneal": "no annealing",
    "none": "none of them",
}


@functools.cache
def results(name: str) -> dict[str, Any]:
    """Return what ``benchmarks/lab06_NAME.py`` measured."""
    return recording.read(f"lab06_{name}")


def thousands(number: float) -> str:
    """Return a whole number with thin spaces."""
    return f"{number:,.0f}".replace(",", "\u202f")


def minus(text: str) -> str:
    """Return a number with a real minus sign."""
    return text.replace("-", "−")


def effect(task: str, variant: str, what: str) -> tuple[float, float]:
    """Return by how much a variant differs from all details, and the standard error of that."""
    variants = results("details")["tasks"][task]["variants"]
    one, other = (np.array(variants[name][what]) for name in (variant, ALL))
    error = np.hypot(*(x.std(ddof=1) / len(x) ** 0.5 for x in (one, other)))
    return float(one.mean() - other.mean()), float(error)


def clear(task: str, variant: str, what: str = "during") -> bool:
    """Whether a variant differs from all details by more than two standard errors."""
    change, error = effect(task, variant, what)
    return abs(change) > 2.0 * error


def change(task: str, variant: str) -> str:
    """Return a variant's difference with two standard errors, as the prose writes it."""
    found, error = effect(task, variant, "during")
    return f"{minus(f'{found:+.0f}')} ± {2 * error:.0f}"


def peak() -> tuple[float, float]:
    """Return where on the line the pessimistic objective is largest, and the KL there."""
    found = results("interpolation")
    best = int(np.argmax(found["curves"]["min"]["mean"]))
    return float(found["points"][best]), float(found["curves"]["kl"]["mean"][best])


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    trpo, reuse = results("trpo"), results("reuse")
    small, wide = trpo["sizes"]["0.01"], trpo["sizes"]["1.0"]
    none, clip = (reuse["variants"][name] for name in ("no clip", "clip 0.2"))
    last = {name: rows["kl after each pass"]["50%"][-1] for name, rows in reuse["variants"].items()}
    where, kl = peak()
    line = results("interpolation")
    stopped = np.interp(1.0, line["points"], line["curves"]["outside"]["mean"])
    table, tasks = results("surrogates"), results("details")["tasks"]
    clock = tasks[SHORT]["variants"]
    pendulum, acrobot = (table["tasks"][task] for task in ("Pendulum", "acrobot, any torque"))
    unclipped = table["table"]["no clipping or penalty"]
    return {
        "trpo_seeds": str(trpo["settings"]["seeds"]),
        "trpo_updates": str(trpo["settings"]["updates"]),
        "trpo_taken": str(small["steps taken"]),
        "trpo_refused": str(small["steps refused"]),
        "trpo_largest": f"{small['largest kl']:.4f}",
        "trpo_better": str(small["clearly better"]),
        "trpo_worse": str(small["clearly worse"]),
        "trpo_drop": f"{-small['worst change']:.0f}",
        "trpo_wide_taken": str(wide["steps taken"]),
        "trpo_wide_worse": str(wide["clearly worse"]),
        "trpo_wide_drop": f"{-wide['worst change']:.0f}",
        "line_agents": str(line["settings"]["agents"]),
        "line_peak": f"{where:g}",
        "line_kl": f"{kl:.3f}",
        "line_outside": f"{100 * stopped:.0f}",
        "reuse_agents": str(reuse["settings"]["agents"]),
        "reuse_kl_clip": f"{last['clip 0.2']:.3f}",
        "reuse_kl_none": f"{last['no clip']:.2f}",
        "reuse_factor": f"{last['no clip'] / last['clip 0.2']:.0f}",
        "reuse_after_clip": f"{np.median(clip['after']):.0f}",
        "reuse_after_none": f"{np.median(none['after']):.0f}",
        "table_seeds": str(table["settings"]["seeds"]),
        "table_steps": thousands(table["settings"]["steps"]),
        "table_none": minus(f"{unclipped['mean']:.2f}"),
        "table_clip": f"{table['table']['clipping, 0.2']['mean']:.2f}",
        "table_adaptive": f"{table['table']['adaptive KL, target 0.01']['mean']:.2f}",
        "table_fixed": f"{table['table']['fixed KL, weight 1']['mean']:.2f}",
        "table_three": f"{table['table']['fixed KL, weight 3']['mean']:.2f}",
        "table_heavy": f"{table['table']['fixed KL, weight 10']['mean']:.2f}",
        "table_error": f"{2 * table['table']['clipping, 0.2']['stderr']:.2f}",
        "pendulum_none": minus(f"{np.mean(pendulum['scores']['no clipping or penalty']):.2f}"),
        "acrobot_none": f"{np.median(acrobot['scores']['no clipping or penalty']):.2f}",
        "pendulum_kl": f"{np.mean(pendulum['kl']['no clipping or penalty']):.1f}",
        "details_agents": str(results("details")["settings"]["agents"]),
        "details_steps": thousands(tasks["CartPole"]["steps"]),
        "clock_with": f"{np.mean(clock[ALL]['after']):.0f}",
        "clock_without": f"{np.mean(clock['a time limit counts as an end']['after']):.0f}",
        "clock_error": f"{2 * effect(SHORT, 'a time limit counts as an end', 'after')[1]:.0f}",
        **{
            f"{key}_{task.lower()}": change(task, variant)
            for key, variant in NAMED.items()
            for task in ("CartPole", "Acrobot")
        },
    }


def draw_trpo() -> HTML:
    """Draw the KL of each step, and the true returns, for three sizes of the trust region."""
    found = results("trpo")["sizes"]
    with drawing(5.8, 3.0, ncols=2) as (figure, (left, right)):
        for size, colour in SIZES.items():
            kl = np.array(found[size]["kl"])
            update = np.tile(np.arange(1, kl.shape[1] + 1), (len(kl), 1))
            taken = kl > 0.0
            left.plot(update[taken], kl[taken], ".", color=colour, ms=3.5)
            left.axhline(float(size), color=colour, lw=1.0, ls="--")
            left.text(0.3, 1.07 * float(size), f"δ = {float(size):g}", color=colour, va="bottom")
            rows = {name: np.array(row) for name, row in found[size]["returns"].items()}
            x = np.arange(len(rows["50%"]))
            right.fill_between(x, rows["10%"], rows["90%"], color=colour, alpha=0.18, linewidth=0)
            right.plot(x, rows["50%"], color=colour)
        left.set(yscale="log", xlabel="update", title="KL of each step", ylim=(None, 2.0))
        right.set(xlabel="update", title="true return", ylim=(0, 520))
        return inline(
            figure,
            "trpo-steps",
            "Left: the KL of every step against the update, for three sizes of the trust region;"
            " all dots lie on or below the dashed line of their size, most of them close to it."
            " Right: true return against the update; with 0.01 it rises steadily to 500, with 0.1"
            " faster and with setbacks, with 1 it goes wildly up and down.",
        )


def draw_line() -> HTML:
    """Draw the objectives on the line from the old to the new parameters."""
    found = results("interpolation")
    x, curves = np.array(found["points"]), found["curves"]
    with drawing(5.8, 3.1, ncols=2) as (figure, (left, right)):
        for name, colour, words, place in (
            ("surrogate", ORANGE, "plain", (4.0, 0.046)),
            ("clipped", GREEN, "clipped", (4.0, 0.024)),
            ("min", BLUE, "the smaller one", (2.6, -0.02)),
            ("kl", INK, "KL", (1.9, 0.064)),
        ):
            mean, error = (np.array(curves[name][key]) for key in ("mean", "stderr"))
            left.plot(x, mean, color=colour, ls=":" if name == "kl" else "-")
            left.text(*place, words, color=colour, ha="right")
            left.fill_between(x, mean - error, mean + error, color=colour, alpha=0.2, linewidth=0)
        mean, error = (np.array(curves["return"][key]) for key in ("mean", "stderr"))
        right.plot(x, mean, color=PURPLE)
        right.fill_between(x, mean - error, mean + error, color=PURPLE, alpha=0.2, linewidth=0)
        for ax in (left, right):
            ax.axvline(0.0, color=INK, lw=0.8)
            ax.axvline(1.0, color=INK, lw=0.8)
            ax.set_xlabel("0 is old, 1 is new")
        left.set(title="objective", ylim=(-0.03, 0.075))
        right.set(title="true return")
        return inline(
            figure,
            "ppo-line",
            "Left: objectives along the line through old and new parameters. The plain surrogate"
            " rises throughout, the clipped one becomes flat, the mean of the smaller one of each"
            " pair has its maximum at the new parameters and falls beyond them; the KL is a"
            " parabola. Right: the true return rises along the whole line.",
        )


def draw_reuse() -> HTML:
    """Draw the KL after each of twenty passes, and the returns, with and without clipping."""
    found = results("reuse")["variants"]
    with drawing(5.8, 3.0, ncols=2) as (figure, (left, right)):
        for name, colour in (("clip 0.2", BLUE), ("no clip", ORANGE)):
            for ax, key in ((left, "kl after each pass"), (right, "returns")):
                rows = {share: np.array(row) for share, row in found[name][key].items()}
                x = np.arange(1, len(rows["50%"]) + 1)
                ax.fill_between(x, rows["10%"], rows["90%"], color=colour, alpha=0.2, linewidth=0)
                ax.plot(x, rows["50%"], color=colour, label=name)
        left.set(yscale="log", xlabel="pass over the same data", title="KL(old || new)")
        right.set(xlabel="update", title="return in training", ylim=(0, None))
        left.legend(loc="upper left")
        return inline(
            figure,
            "ppo-reuse",
            "Left: KL against the pass over the same data, on a logarithmic axis. With clipping it"
            " levels off; without, it goes on growing to many times as much. Right: returns during"
            " training for both.",
        )


def draw_table() -> HTML:
    """Draw our scores of Table 1's settings beside the paper's."""
    table = results("surrogates")["table"]
    names = list(table)[::-1]
    with drawing(5.6, 4.0) as (figure, ax):
        for row, name in enumerate(names):
            found = table[name]
            ax.plot(found["paper"], row, "D", color=ORANGE, ms=6, fillstyle="none", zorder=3)
            ax.plot(found["mean"], row, "o", color=BLUE, ms=6, zorder=4)
            ax.hlines(
                row,
                found["mean"] - 2 * found["stderr"],
                found["mean"] + 2 * found["stderr"],
                color=BLUE,
            )
        ax.set_yticks(range(len(names)), names)
        ax.axvline(0.0, color=INK, lw=0.8)
        ax.plot([], [], "o-", color=BLUE, label="ours")
        ax.plot([], [], "D", color=ORANGE, fillstyle="none", label="paper")
        ax.set(xlabel="score: 0 untrained, 1 the best run", xlim=(-0.5, 1.05))
        ax.legend(loc="lower left")
        rows = ", ".join(
            f"{name} {minus(format(table[name]['mean'], '.2f'))}"
            f" (paper {minus(format(table[name]['paper'], '.2f'))})"
            for name in names[::-1]
        )
        return inline(figure, "ppo-table", f"Scores of eleven settings: {rows}.")


def draw_details() -> HTML:
    """Draw what taking away each detail changes, on both tasks."""
    tasks = results("details")["tasks"]
    names = [name for name in tasks["CartPole"]["variants"] if name != ALL][::-1]
    with drawing(6.4, 4.2, ncols=2, sharey=True) as (figure, axes):
        told = []
        for ax, task in zip(axes, ("CartPole", "Acrobot"), strict=True):
            for row, name in enumerate(names):
                change, error = effect(task, name, "during")
                colour = INK if not clear(task, name) else (GREEN if change > 0 else ORANGE)
                ax.hlines(row, change - 2 * error, change + 2 * error, color=colour)
                ax.plot(change, row, "o", color=colour, ms=5)
                told.append(f"{task}, {name}: {minus(format(change, '+.0f'))} ± {2 * error:.0f}")
            ax.axvline(0.0, color=INK, lw=0.8)
            base = np.mean(tasks[task]["variants"][ALL]["during"])
            ax.set(title=f"{task} (all: {minus(f'{base:.0f}')})")
        axes[0].set_yticks(range(len(names)), names)
        figure.supxlabel("change of the return", fontsize=11)
        return inline(
            figure, "ppo-details", "Change of the mean return in training. " + "; ".join(told) + "."
        )
