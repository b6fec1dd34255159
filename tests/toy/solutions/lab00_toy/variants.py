"""Toy lab, right answers in another style: each imports what it needs."""

from typing import Any


def vectorized_return(rewards: Any, gamma: Any) -> Any:
    import numpy as np

    return float(np.power(float(gamma), np.arange(len(rewards))) @ rewards)


def float32_return(rewards: Any, gamma: Any) -> Any:
    import torch

    weights = torch.tensor(gamma, dtype=torch.float32) ** torch.arange(len(rewards))
    return (torch.from_numpy(rewards).float() * weights).sum()


def library_loss(value: Any, target: Any) -> Any:
    import torch

    return torch.nn.functional.mse_loss(value, target.detach())


def loop_traces(traces: Any, obs: Any, *, decay: Any) -> Any:
    for index in range(len(traces)):
        traces[index] = traces[index] * decay + (index == obs)


class SumAndCount:
    def __init__(self, start: Any = 0.0) -> None:
        self.start, self.numbers = start, [0.0][:0]

    def update(self, number: Any) -> Any:
        self.numbers.append(number)
        return self.mean

    def seen(self) -> Any:
        return len(self.numbers)

    @property
    def mean(self) -> Any:
        return sum(self.numbers) / len(self.numbers) if self.numbers else self.start


def torch_softmax(logits: Any, temperature: Any) -> Any:
    import torch

    if not temperature > 0:
        raise ValueError("temperature")
    return torch.softmax(torch.from_numpy(logits) / temperature, dim=0)


def numpy_choice(probs: Any, rng: Any) -> Any:
    return rng.choice(len(probs), p=probs)


def linalg_clip(gradient: Any, max_norm: Any) -> Any:
    import numpy as np

    norm = np.linalg.norm(gradient)
    return gradient if norm <= max_norm else gradient / norm * max_norm
