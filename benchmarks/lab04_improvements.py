"""Double, dueling and three-step DQN on CartPole, one change at a time, ten seeds each.

``python -m benchmarks.lab04_improvements`` writes ``results/lab04_improvements.json``.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace

from benchmarks import recording
from benchmarks.lab04_ablation import BASE, SEEDS, summary, trained
from benchmarks.stacked_dqn import Setting

SETTINGS: dict[str, tuple[str, Setting]] = {  # the first two are made by the others as well
    "DQN": ("replay and target", BASE),
    "Double DQN": ("double", replace(BASE, double=True)),
    "dueling": ("dueling", replace(BASE, dueling=True)),
    "three steps": ("three_step", replace(BASE, n_step=3)),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    methods = {name: summary(trained(part, each)) for name, (part, each) in SETTINGS.items()}
    settings = asdict(BASE) | {"seeds": SEEDS}
    recording.write("lab04_improvements", {"settings": settings, "methods": methods})


if __name__ == "__main__":
    main()
