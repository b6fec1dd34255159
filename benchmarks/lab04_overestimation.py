"""What DQN and Double DQN believe the start of CartPole to be worth, and what it is worth.

With rewards as they are and with noise added to them: a maximum turns noise into belief.
``python -m benchmarks.lab04_overestimation`` writes ``results/lab04_overestimation.json``.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace

from benchmarks import recording
from benchmarks.lab04_ablation import BASE, SEEDS, summary, trained
from benchmarks.stacked_dqn import Setting

NOISE = 3.0
SETTINGS: dict[str, tuple[str, Setting]] = {  # the first one the ablation has made as well
    "DQN": ("replay and target", BASE),
    "Double DQN": ("double", replace(BASE, double=True)),
    "DQN, noisy rewards": ("noisy", replace(BASE, reward_noise=NOISE)),
    "Double DQN, noisy rewards": ("noisy double", replace(BASE, double=True, reward_noise=NOISE)),
}


def main(arguments: list[str] | None = None) -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__).parse_args(arguments)
    methods = {}
    for name, (part, setting) in SETTINGS.items():
        found = trained(part, setting)
        gap = (found["believed"] - found["collected"]).mean(axis=0)
        methods[name] = summary(found) | {"believed minus collected, all": recording.spread(gap)}
    settings = asdict(BASE) | {"seeds": SEEDS, "noise": NOISE, "compared every": 4_000}
    recording.write("lab04_overestimation", {"settings": settings, "methods": methods})


if __name__ == "__main__":
    main()
