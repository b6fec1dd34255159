"""Environments whose rewards can be believed: recorded where they run, at the grader's.

In a student's own check an environment runs beside the code that acts in it. While grading, that
code holds a `Remote` only: every step is taken by the grader's own copy, whose record counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np

Message = dict[str, Any]

MAX_STEPS = 200_000  # of one call: what a grader keeps of them is bounded


class Recorder(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Passes everything on and keeps the rewards.

    Attributes:
        episodes: for each reset, the rewards after it, in order.
    """

    def __init__(self, env: gymnasium.Env[Any, Any]) -> None:
        super().__init__(env)
        self.episodes: list[list[float]] = []

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        self.episodes.append([])
        return self.env.reset(**options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        if not self.episodes:
            raise RuntimeError("reset() the environment before its first step()")
        if sum(map(len, self.episodes)) >= MAX_STEPS:
            raise RuntimeError(f"more than {MAX_STEPS} steps in one call")
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.episodes[-1].append(float(reward))
        return obs, reward, terminated, truncated, info

    def paid(self) -> list[np.ndarray]:
        """Return the rewards of every episode, float64."""
        return [np.array(rewards, dtype=np.float64) for rewards in self.episodes]


class Remote(gymnasium.Env[Any, Any]):
    """An environment that runs elsewhere.

    Args:
        env: one of the same kind, for its spaces.
        ask: sends a message there and returns the answer.
        number: which of the environments there.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], ask: Callable[[Message], Message], number: int
    ) -> None:
        self.observation_space, self.action_space = env.observation_space, env.action_space
        self.spec = env.spec
        self._ask, self._number = ask, number

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        obs, info = self._call("reset", {"seed": seed, "options": options})
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        obs, reward, terminated, truncated, info = self._call("step", action)
        return obs, reward, terminated, truncated, info

    def _call(self, method: str, argument: Any) -> Any:
        answer = self._ask({"env": self._number, "method": method, "argument": argument})
        if answer["error"]:
            raise RuntimeError(answer["error"])
        return answer["value"]


class Host:
    """The grader's side: its own environments, and what they paid.

    Args:
        envs: in the order of their numbers.
    """

    def __init__(self, envs: list[gymnasium.Env[Any, Any]]) -> None:
        self.recorders = [Recorder(env) for env in envs]

    def answer(self, message: Message) -> Message:
        """Do what a message asks for, which may come from anybody; say so if it can't be done."""
        try:
            recorder = self.recorders[message["env"]]
            argument = message["argument"]
            if message["method"] == "reset":
                value: Any = recorder.reset(seed=argument["seed"], options=argument["options"])
            elif message["method"] == "step":
                if not recorder.action_space.contains(_native(argument)):
                    raise ValueError(f"{argument!r} is not in {recorder.action_space}"[:300])
                value = recorder.step(argument)
            else:
                raise ValueError("an environment is reset or stepped")
        except Exception as error:  # whatever an environment says to a wrong action
            return {"value": None, "error": f"{type(error).__name__}: {error}"[:500]}
        return {"value": _plain(value), "error": ""}


def _native(action: Any) -> Any:
    """An action as a space knows it: a whole number may be Python's or numpy's."""
    return np.int64(action) if type(action) is int else action


def _plain(value: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a reset or step returned, with what cannot be sent left out of its ``info``."""
    *front, info = value
    kept = {k: v for k, v in info.items() if isinstance(v, bool | int | float | str | np.ndarray)}
    return *front, kept
