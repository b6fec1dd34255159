"""Maximisation bias: how often Q-learning and Double Q-learning go left, over 1,000 runs each.

``python -m benchmarks.lab02_max_bias`` writes ``results/lab02_max_bias.json``.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks import recording
from solutions.lab02_q_learning_sarsa import reference

METHODS: dict[str, tuple[Any, int]] = {
    "Q-learning": (reference.q_update, 1),
    "Double Q-learning": (reference.double_q_update, 2),
}
NUM_EPISODES, CHUNK, LATE = 300, 100, 20


def chunk(method: str, index: int) -> np.ndarray:
    """Return the left choices of ``CHUNK`` runs, shape ``(CHUNK, NUM_EPISODES)``."""
    update, num_tables = METHODS[method]

    def make() -> dict[str, np.ndarray]:
        left = reference.left_choices(
            update,
            reference.choose_action,
            num_tables=num_tables,
            num_runs=CHUNK,
            num_episodes=NUM_EPISODES,
            alpha=0.1,
            epsilon=0.1,
            seed=CHUNK * index,
        )
        return {"left": left}

    return recording.part(f"lab02_max_bias/{method.replace(' ', '_')}_{index}", make)["left"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    num_chunks = parser.parse_args(arguments).runs // CHUNK
    methods: dict[str, Any] = {}
    for method in METHODS:
        left = np.concatenate([chunk(method, index) for index in range(num_chunks)])
        share = left.mean(axis=0)
        peak = int(share.argmax())
        late = left[:, -LATE:].mean(axis=1)
        methods[method] = {
            "peak": float(share[peak]),
            "peak stderr": float(np.sqrt(share[peak] * (1 - share[peak]) / len(left))),
            "peak episode": peak + 1,
            f"last {LATE} episodes": recording.spread(late),
            "left by episode": share.round(4),
        }
    settings = {
        "num_runs": num_chunks * CHUNK,
        "num_episodes": NUM_EPISODES,
        "alpha": 0.1,
        "epsilon": 0.1,
        "actions in B": 10,
        "optimum": 0.05,
    }
    recording.write("lab02_max_bias", {"settings": settings, "methods": methods})


if __name__ == "__main__":
    main()
