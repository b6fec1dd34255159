"""Value iteration on a grid of a million cells: numpy against torch, sweep for sweep.

``python -m benchmarks.lab01_value_iteration`` writes ``results/lab01_value_iteration_cuda.json`` on
a GPU and ``results/lab01_value_iteration_cpu.json`` on a processor:

- ``methods``: for numpy, for torch in float64 and float32 on the processor, and on a GPU there as
  well: ``sweeps``, ``seconds``, ``ms per sweep``, ``speed-up`` over numpy, ``largest difference``
  of a value from numpy's and ``same action``, the share of cells where the policies agree;
- ``by size``: ``numpy, ms per sweep`` and ``torch, ms per sweep``, in float64 on the best device,
  and their ``speed-up``, for smaller and (on a GPU) larger grids.

Both make the same shifts into buffers made once, so that they differ only in what runs them. On a
processor both have one core, and what counts are the seconds that it worked for them: others may
use it, too. On a GPU it is the seconds until the answer is there.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

from benchmarks import recording
from labkit.planning import GridWorld, grid_value_iteration, random_grid
from labkit.runtime import device as best_device

NEEDS_GPU = True  # for its comparison
GAMMA, TOL = 0.999, 1e-3
SIZES = (100, 316, 1_000)
"""Rows, and columns, of the grids."""


def numpy_value_iteration(
    world: GridWorld, *, gamma: float, tol: float, most: int | None = None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return values, greedy policy and sweeps, of which ``most`` can be set to time a few.

    The same sweep as `labkit.planning.grid_value_iteration`, with the same stop.
    """
    rows, cols = world.walls.shape
    slip, closed, blocked = world.slip, world.walls | world.terminal, world.blocked()
    ringed = np.zeros((rows + 2, cols + 2))
    arrival = ringed[1:-1, 1:-1]
    beside = (ringed[:-2, 1:-1], ringed[1:-1, 2:], ringed[2:, 1:-1], ringed[1:-1, :-2])
    V, new, upright, across = np.zeros((4, rows, cols))
    ends = np.zeros((4, rows, cols))
    up, right, down, left = ends

    def look() -> None:
        np.multiply(V, gamma, out=arrival)
        np.add(arrival, world.reward, out=arrival)
        for end, stays, there in zip(ends, blocked, beside, strict=True):
            np.copyto(end, there)
            np.copyto(end, arrival, where=stays)

    change, num_sweeps = np.inf, 0
    while change >= tol * (1 - gamma) / (2 * gamma) and num_sweeps != most:
        look()
        np.maximum(up, down, out=upright)
        np.maximum(right, left, out=across)
        upright *= 1 - slip
        across *= 1 - slip
        up += down
        up *= slip / 2
        across += up
        right += left
        right *= slip / 2
        upright += right
        np.maximum(upright, across, out=new)
        np.copyto(new, 0, where=closed)
        V -= new
        change = np.abs(V, out=V).max()
        V, new = new, V
        num_sweeps += 1
    look()
    sides = np.roll(ends, 1, axis=0) + np.roll(ends, -1, axis=0)
    policy = ((1 - slip) * ends + slip / 2 * sides).argmax(axis=0)
    return V, np.where(closed, -1, policy), num_sweeps


def clock(device: str) -> float:
    """Return the seconds that this process worked, or for a GPU the time."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def by_numpy(size: int, most: int | None = None) -> dict[str, np.ndarray]:
    """Return the values, the policy, the sweeps and the seconds of numpy."""

    def make() -> dict[str, np.ndarray]:
        world = random_grid(size, size)
        begin = clock("cpu")
        V, policy, num_sweeps = numpy_value_iteration(world, gamma=GAMMA, tol=TOL, most=most)
        seconds = clock("cpu") - begin
        return {
            "V": V,
            "policy": policy,
            "sweeps": np.array(num_sweeps),
            "seconds": np.array(seconds),
        }

    return recording.part(f"lab01_value_iteration/numpy_{size}_{most}", make)


def by_torch(size: int, device: str, dtype: torch.dtype) -> dict[str, np.ndarray]:
    """Return the values, the policy, the sweeps and the seconds of torch."""

    def make() -> dict[str, np.ndarray]:
        world = random_grid(size, size)
        how: dict[str, Any] = {"dtype": dtype, "device": device}
        grid_value_iteration(random_grid(8, 8), gamma=0.9, tol=0.1, **how)  # wakes the device
        begin = clock(device)
        plan = grid_value_iteration(world, gamma=GAMMA, tol=TOL, desc=f"{device} {dtype}", **how)
        seconds = np.array(clock(device) - begin)
        sweeps = np.array(plan.num_sweeps)
        return {"V": plan.V, "policy": plan.policy, "sweeps": sweeps, "seconds": seconds}

    name = f"{device}_{str(dtype).removeprefix('torch.')}_{size}"
    return recording.part(f"lab01_value_iteration/{name}", make)


def ms_per_sweep(part: dict[str, np.ndarray]) -> float:
    return 1e3 * float(part["seconds"]) / int(part["sweeps"])


def main(arguments: list[str] | None = None) -> None:
    device = best_device()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=1_000, help="rows, and columns, of the grid")
    size = parser.parse_args(arguments).size
    torch.set_num_threads(1)
    baseline = by_numpy(size)
    runs = {"numpy": baseline}
    for where in dict.fromkeys(("cpu", device)):
        for dtype in (torch.float64, torch.float32):
            if (where, dtype) != ("mps", torch.float64):
                name = f"torch on {where}, {str(dtype).removeprefix('torch.')}"
                runs[name] = by_torch(size, where, dtype)
    methods = {}
    for name, run in runs.items():
        methods[name] = {
            "sweeps": int(run["sweeps"]),
            "seconds": round(float(run["seconds"]), 2),
            "ms per sweep": round(ms_per_sweep(run), 3),
            "speed-up": round(float(baseline["seconds"] / run["seconds"]), 2),
            "largest difference": float(f"{abs(run['V'] - baseline['V']).max():.2g}"),
            "same action": round(float((run["policy"] == baseline["policy"]).mean()), 6),
        }
    by_size = []
    best = torch.float32 if device == "mps" else torch.float64
    for rows in sorted({*SIZES, size, *((3_162,) if device == "cuda" else ())}):
        there = by_torch(rows, device, best)
        # numpy need not finish the largest grid to say what a sweep costs
        here = by_numpy(rows) if rows <= size else by_numpy(rows, most=100)
        ms = {"numpy": ms_per_sweep(here), "torch": ms_per_sweep(there)}
        by_size.append(
            {
                "cells": rows * rows,
                "sweeps": int(there["sweeps"]),
                **{f"{name}, ms per sweep": round(value, 3) for name, value in ms.items()},
                "speed-up": round(ms["numpy"] / ms["torch"], 2),
            }
        )
    settings = {
        "cells": size * size,
        "gamma": GAMMA,
        "tol": TOL,
        "slip": 0.1,
        "walls": 0.2,
        "pits": 0.001,
        "cores": 1,
    }
    measured = {"settings": settings, "methods": methods, "by size": by_size}
    recording.write(f"lab01_value_iteration_{device}", measured, device=device)


if __name__ == "__main__":
    main()
