"""Regret of bandit rules on one fixed bandit over 100,000 steps; writes ``regret.json``.

Too slow for a build: run ``python book/figures/measure_regret.py``, a few minutes.
"""

import json
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from labkit.bandits import UCB, EpsilonGreedy, Rule

RESULTS = Path(__file__).with_name("regret.json")
Q_STAR = torch.arange(10) / 5  # 0, 0.2, ... 1.8: every gap is a multiple of 0.2
NUM_STEPS, RUNS, SEED = 100_000, 1_000, 1
RECORDED = np.unique(np.geomspace(1, NUM_STEPS, 120).round().astype(int))
RULES: dict[str, Rule] = {
    "greedy": EpsilonGreedy(0.0),
    "ε = 0.1": EpsilonGreedy(0.1),
    "ε = 0.01": EpsilonGreedy(0.01),
    "UCB": UCB(2**0.5),
}


@torch.inference_mode()
def regret(name: str) -> dict[str, list[float]]:
    """Return mean and standard error of the regret after each recorded number of steps."""
    generator = torch.Generator().manual_seed(SEED)
    rule, gaps = RULES[name], Q_STAR.max() - Q_STAR
    rule.reset(len(Q_STAR), RUNS, "cpu")
    total, rows, wanted = torch.zeros(RUNS, dtype=torch.float64), [], set(RECORDED.tolist())
    for step in tqdm(range(1, NUM_STEPS + 1), desc=name):
        action = rule.choose(generator)
        rule.learn(action, Q_STAR[action] + torch.randn(RUNS, generator=generator))
        total += gaps[action]
        if step in wanted:
            rows.append((float(total.mean()), float(total.std()) / RUNS**0.5))
    mean, stderr = zip(*rows, strict=True)
    return {"mean": [round(x, 2) for x in mean], "stderr": [round(x, 2) for x in stderr]}


def main() -> None:
    torch.set_num_threads(1)
    settings = {"q_star": Q_STAR.tolist(), "runs": RUNS, "num_steps": NUM_STEPS, "seed": SEED}
    settings["q_star"] = [round(value, 1) for value in settings["q_star"]]
    found = {name: regret(name) for name in RULES}
    text = json.dumps({"settings": settings, "steps": RECORDED.tolist(), "rules": found}, indent=1)
    RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
