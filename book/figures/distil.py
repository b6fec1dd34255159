"""Chapter 4's figure about distillation: soft targets, and gradients with and without T squared."""

from __future__ import annotations

import numpy as np
import torch
from IPython.display import HTML

from book.figures.svg import drawing, inline
from labkit.plots import COLOURS, INK
from solutions.lab04_dqn.reference import kd_loss

BLUE, ORANGE, GREEN, PURPLE = COLOURS[:4]
LOGITS = torch.tensor([[4.0, 3.0, 1.0, -2.0]])  # a teacher's, for four actions
STUDENT = torch.zeros(1, 4)
TEMPERATURES = {0.3: ORANGE, 1.0: GREEN, 4.0: BLUE}


def slope(temperature: float) -> float:
    """Return the length of the loss's gradient in the student's logits."""
    student = STUDENT.clone().requires_grad_()
    loss = kd_loss(student, LOGITS, temperature=temperature)
    (gradient,) = torch.autograd.grad(loss, student)
    return float(gradient.norm())


def draw_temperature() -> HTML:
    """Draw a teacher's soft targets, and how hard they pull."""
    with drawing(5.1, 3.1, ncols=2) as (figure, (bars, ax)):
        for place, (temperature, colour) in enumerate(TEMPERATURES.items()):
            target = torch.softmax(LOGITS / temperature, dim=1)[0]
            at = np.arange(4) + 0.27 * (place - 1)
            bars.bar(at, target, width=0.25, color=colour, label=f"T = {temperature:g}")
        bars.set_xticks(range(4), [f"{z:g}".replace("-", "−") for z in LOGITS[0].tolist()])
        bars.set(title="soft targets", xlabel="teacher's logit", ylabel="probability")
        bars.legend(fontsize=9)
        temperatures = np.geomspace(0.5, 30, 40)
        with_factor = np.array([slope(t) for t in temperatures])
        ax.plot(temperatures, with_factor, color=BLUE)
        ax.plot(temperatures, with_factor / temperatures**2, "--", color=ORANGE)
        ax.text(4, with_factor[-1] * 0.45, "with T²", color=BLUE)
        ax.text(0.55, 0.012, "without", color=ORANGE)
        ax.axhline(float((LOGITS - LOGITS.mean()).norm()) / 4, color=INK, ls=":", lw=1.4)
        ax.set(title="length of the gradient", xlabel="T", xscale="log", yscale="log")
        return inline(
            figure,
            "temperature",
            "Left: a teacher's probabilities for four actions at three temperatures, from nearly"
            " all on the best action to nearly even. Right: the length of the gradient against the"
            " temperature; without the factor T squared it falls with its square, with the factor"
            " it levels off.",
        )
