"""The handbook's figures and numbers about grading: speed, scale, memory, attacks."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from IPython.display import HTML, Markdown
from matplotlib.axes import Axes

from benchmarks import recording
from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK

Draw: TypeAlias = Callable[[], HTML | Markdown]

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
STOCK = "nbgrader autograde"
MEMORY_TARGET = 900
BENCHMARKS = ("throughput", "child", "memory", "workers", "scale", "faults")
NOT_MEASURED = "Not measured yet on this engine: make bench-grading does it."


class Unknown:
    """What was not measured yet: has every part that is asked for, and shows itself as dots."""

    def __getitem__(self, key: object) -> Unknown:
        return self

    def __truediv__(self, other: object) -> Unknown:
        return self

    def __radd__(self, other: object) -> Unknown:
        return self

    def __lt__(self, other: object) -> bool:
        return False

    def __format__(self, spec: str) -> str:
        return "…"

    def __str__(self) -> str:
        return "…"

    def values(self) -> list[Unknown]:
        return [self]


@functools.cache
def results(name: str) -> Any:
    """Return what one of the benchmarks of grading measured, or `Unknown`."""
    return recording.read(f"grading_{name}") if measured(name) else Unknown()


def drawn_from(*names: str) -> Callable[[Draw], Draw]:
    """Let a function say that there is nothing to draw where one of the benchmarks is missing."""

    def decorate(draw: Draw) -> Draw:
        @functools.wraps(draw)
        def drawn() -> HTML | Markdown:
            if all(measured(name) for name in names):
                return draw()
            if draw.__name__.startswith("draw_"):  # a figure's label needs something that is shown
                return HTML(f"<p>{NOT_MEASURED}</p>")
            return Markdown(NOT_MEASURED)

        return drawn

    return decorate


def measured(name: str) -> bool:
    """Whether a benchmark's results are there."""
    return (recording.RESULTS / f"grading_{name}.json").is_file()


# Numbers for the text


def numbers() -> dict[str, str]:
    """Return the numbers that the prose quotes, as it writes them."""
    return {**_throughput(), **_child(), **_memory(), **_workers(), **_scale(), **_faults()}


def _throughput() -> dict[str, str]:
    found = results("throughput")
    methods, two, machine = found["methods"], _ours(2), found["machine"]
    stock, added = methods[STOCK], found["added, CPU ms"]
    return {
        "g_class": str(found["settings"]["submissions"]),
        "g_repetitions": str(found["settings"]["repetitions"]),
        "g_machine": f"{machine['cores used']} cores ({machine['processor']})",
        "g_date": found["date"],
        "g_engine": machine["engine"],
        "g_stock": _seconds(stock["seconds a submission"]["median"]),
        "g_stock_cpu": _seconds(stock["CPU seconds a submission"]["median"]),
        "g_two": _seconds(two["seconds a submission"]["median"]),
        "g_two_cpu": _seconds(two["CPU seconds a submission"]["median"]),
        "g_times": f"{two['times stock']['median']:.1f}",
        "g_times_low": f"{two['times stock']['low']:.1f}",
        "g_times_high": f"{two['times stock']['high']:.1f}",
        "g_times_steady": f"{two['times stock without start and end']:.1f}",
        "g_start": f"{two['seconds for start and end']:.1f}",
        "g_busy": f"{two['cores that others used']['median']:.1f}",
        "g_nbgrader_ms": f"{added['nbgrader']:.0f}",
        "g_added_ms": f"{added['grader']:.0f}",
        "g_student_ms": f"{added['student']:.0f}",
    }


def _child() -> dict[str, str]:
    found = results("child")
    return {
        "g_fork": f"{found['ms']['to be ready']['median']:.0f}",
        "g_fork_90": f"{found['ms']['to be ready']['90%']:.0f}",
        "g_plain_ms": f"{found['trivial']['CPU ms in a bare Python']:.0f}",
        "g_private": f"{found['idle']['private MB']:.0f}",
        "g_tier": found["machine"]["tier"],
    }


def _memory() -> dict[str, str]:
    found = results("memory")
    return {"g_memory": f"{found['memory']['highest MB']:.0f}"}


def _workers() -> dict[str, str]:
    found = results("workers")
    two = found["methods"]["workers: 2"]
    return {
        "g_second_times": f"{two['times as fast']['median']:.2f}",
        "g_second_work": f"{two['times as fast at work']['median']:.2f}",
        "g_second_class": str(found["settings"]["submissions"]),
    }


def _scale() -> dict[str, str]:
    found = results("scale")
    largest = list(found["methods"].values())[-1]
    ratio = found["largest class over the one before"]
    return {
        "g_large": _spaced(largest["submissions"]),
        "g_large_minutes": f"{largest['seconds'] / 60:.0f}",
        "g_large_each": _seconds(largest["seconds a submission"]),
        "g_large_cpu": _seconds(largest["CPU seconds a submission"]),
        "g_large_ratio": f"{ratio['CPU seconds a submission']:.2f}",
        "g_large_ratio_wall": f"{ratio['seconds a submission']:.2f}",
        "g_large_mb": f"{largest['highest MB']:.0f}",
        "g_grown": f"{found['memory']['grown by MB per 100 submissions']:.1f}".replace("-", "−"),
    }


def _faults() -> dict[str, str]:
    found = results("faults")
    return {
        "g_fault_runs": f"{found['runs']}",
        "g_fault_class": f"{found['students']}",
        "g_faults": f"{sum(found['faults'].values())}",
        "g_lost": f"{found['grades lost']}",
        "g_doubled": f"{found['grades doubled']}",
    }


def _ours(workers: int) -> dict[str, Any]:
    name = "ours, 1 worker" if workers == 1 else f"ours, {workers} workers"
    row: dict[str, Any] = results("throughput")["methods"][name]
    return row


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _spaced(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


# Tables


def reservation() -> Markdown:
    """Return a sentence where some of the numbers are missing, else nothing."""
    return Markdown("" if all(measured(name) for name in BENCHMARKS) else NOT_MEASURED)


@drawn_from("throughput")
def throughput_table() -> Markdown:
    """Return every command that was timed, with its spread."""
    lines = [
        "| command | seconds a submission | CPU seconds | times stock |",
        "|---|---|---|---|",
    ]
    for name, row in results("throughput")["methods"].items():
        each, cpu, times = (
            row[key] for key in ("seconds a submission", "CPU seconds a submission", "times stock")
        )
        lines.append(f"| {name} | {_range(each, 2)} | {cpu['median']:.2f} | {_range(times, 1)} |")
    return Markdown("\n".join(lines))


def _range(value: dict[str, float], digits: int) -> str:
    low, high = (f"{value[key]:.{digits}f}" for key in ("low", "high"))
    return f"{value['median']:.{digits}f} ({low} to {high})"


@drawn_from("attacks")
def attacks_table() -> Markdown:
    """Return how many attacks of each kind succeed here and under stock nbgrader."""
    tried: Counter[str] = Counter()
    won: dict[str, Counter[str]] = {"ours": Counter(), "stock": Counter()}
    for attack in results("attacks")["attacks"]:
        tried[attack["goal"]] += 1
        for side, counts in won.items():
            counts[attack["goal"]] += bool(attack[side])
    lines = ["| what an attack is after | attacks | succeed here | succeed under stock |"]
    lines.append("|---|---|---|---|")
    rows = [(goal, tried[goal], *(won[side][goal] for side in won)) for goal in tried]
    rows.append(("all", tried.total(), *(won[side].total() for side in won)))
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return Markdown("\n".join(lines))


@drawn_from("attacks")
def attacks_list() -> Markdown:
    """Return every attack with what it achieved on either side."""
    lines = ["| attack | here | under stock |", "|---|---|---|"]
    for attack in results("attacks")["attacks"]:
        achieved = [", ".join(attack[side]) or "nothing" for side in ("ours", "stock")]
        lines.append(f"| {attack['tries']} | {' | '.join(achieved)} |".replace("`", ""))
    return Markdown("\n".join(lines))


# Figures


@drawn_from("throughput")
def draw_throughput() -> HTML:
    """Draw submissions a minute against workers, with stock nbgrader's below."""
    methods = results("throughput")["methods"]
    rows = {int(name.split()[1]): row for name, row in methods.items() if name.startswith("ours")}
    workers = np.array(sorted(rows))
    each = {
        key: [rows[w]["seconds a submission"][key] for w in workers]
        for key in ("median", "low", "high")
    }
    rate = 60 / np.array(each["median"])
    spread = np.abs(60 / np.array([each["high"], each["low"]]) - rate)
    steady = [60 / rows[w]["seconds a submission without them"] for w in workers]
    stock = 60 / methods[STOCK]["seconds a submission"]["median"]
    with drawing(5.1, 3.3) as (figure, ax):
        ax.errorbar(workers, rate, spread, fmt="o-", color=BLUE, capsize=3, label="whole command")
        ax.plot(workers, steady, "s--", color=GREEN, ms=5, label="without start and end")
        ax.axhline(stock, color=ORANGE, ls=":", lw=1.8, label="stock nbgrader")
        ax.set_xticks(workers)
        ax.set(xlabel="workers", ylabel="submissions a minute", ylim=(0, None))
        ax.legend(loc="best")
        told = ", ".join(f"{w}: {r:.0f}" for w, r in zip(workers, rate, strict=True))
        return inline(
            figure,
            "grading-throughput",
            f"Submissions a minute against workers, whole command: {told}; stock nbgrader"
            f" {stock:.0f}. Without start and end: {', '.join(f'{s:.0f}' for s in steady)}.",
        )


@drawn_from("scale")
def draw_cost() -> HTML:
    """Draw what a submission costs against the size of the class, and along the largest run."""
    found = results("scale")
    rows = list(found["methods"].values())
    sizes = [row["submissions"] for row in rows]
    kinds = {
        "whole command": ("seconds a submission", BLUE, "o-"),
        "at work": ("seconds a submission at work", GREEN, "s--"),
        "processor time": ("CPU seconds a submission", PURPLE, "D:"),
    }
    along = found["curve seconds a submission"]
    width = found["settings"]["mix"]
    with drawing(5.1, 5.2, nrows=2) as (figure, (ax, below)):
        for label, (key, colour, line) in kinds.items():
            ax.plot(sizes, [row[key] for row in rows], line, color=colour, ms=5, label=label)
        ax.set_xscale("log")
        ax.set_xticks(sizes, [_spaced(size) for size in sizes])
        ax.minorticks_off()
        ax.set(xlabel="submissions in the class", ylabel="seconds each", ylim=(0, None))
        ax.legend(loc="lower left", ncols=3, columnspacing=1.0, handlelength=1.6, fontsize=9)
        below.plot(width * (np.arange(len(along)) + 0.5), along, color=GREEN, lw=1.6)
        below.set(xlabel="submissions done", ylabel="seconds each", ylim=(0, None))
        below.set(xlim=(0, sizes[-1]))
        told = "; ".join(
            f"{s}: {row['seconds a submission']:.2f}" for s, row in zip(sizes, rows, strict=True)
        )
        return inline(
            figure,
            "grading-cost",
            f"Above, seconds a submission by class size, whole command: {told}. Below, seconds a"
            f" submission along the largest run, from {min(along):.2f} to {max(along):.2f}.",
        )


@drawn_from("throughput")
def draw_breakdown() -> HTML:
    """Draw where a submission's processor time goes."""
    parts = {k: v for k, v in results("throughput")["breakdown"].items() if v >= 0.05}
    ordered = sorted(parts, key=parts.__getitem__)
    with drawing(5.1, 0.4 * len(ordered) + 0.8) as (figure, ax):
        for height, name in enumerate(ordered):
            ax.barh(height, parts[name], color=_colour(name), height=0.62)
            ax.text(parts[name], height, f"  {parts[name]:.1f}", va="center", fontsize=9)
        ax.set_yticks(range(len(ordered)), ordered, fontsize=9.5)
        ax.grid(axis="y", visible=False)
        ax.set(xlabel="ms of processor time a submission", xlim=(0, 1.15 * max(parts.values())))
        return inline(
            figure,
            "grading-breakdown",
            "Milliseconds of processor time a submission: "
            + ", ".join(f"{name} {parts[name]:.1f}" for name in reversed(ordered))
            + ".",
        )


def _colour(part: str) -> str:
    if part == "student's process":
        return ORANGE
    if part in (f"writer: {name}" for name in ("autograde", "feedback", "gradebook", "writer")):
        return GREEN  # nbgrader's own bookkeeping
    return BLUE


@drawn_from("memory", "scale")
def draw_memory() -> HTML:
    """Draw the grader's memory: over a short run with two workers, and over the largest one."""
    short, long = results("memory"), results("scale")
    with drawing(5.1, 4.8, nrows=2) as (figure, (ax, below)):
        ax.plot(short["curve seconds"], short["curve MB"], color=BLUE)
        _target(ax)
        ax.set(xlabel="seconds", ylabel="MB")
        below.plot(long["curve done"], long["curve MB"], color=BLUE, lw=1.2)
        _target(below)
        below.set(xlabel="submissions done", ylabel="MB")
        return inline(
            figure,
            "grading-memory",
            f"Above, memory over a run of {short['settings']['submissions']} trivial submissions:"
            f" at most {short['memory']['highest MB']:.0f} MB. Below, over"
            f" {max(long['curve done'])} submissions of lab 2: at most"
            f" {max(long['curve MB']):.0f} MB, in the last tenth"
            f" {long['memory']['MB in the last tenth']:.0f} MB.",
        )


def _target(ax: Axes) -> None:
    ax.axhline(MEMORY_TARGET, color=INK, ls=":", lw=1.4)
    ax.set(ylim=(0, None), xlim=(0, None))
