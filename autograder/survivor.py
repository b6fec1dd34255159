"""A notebook's run that outlives its process: after a death, a new one replays what came before."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from autograder.results import Status
from autograder.sandbox import LostError
from autograder.student import DeathError, Output, Student
from labkit.probes import Observation, Probe

CELL_SECONDS = 60.0
CELLS_SHARE = 2 / 3  # of a notebook's time: so much may pass before its functions are called
REPLAY_SECONDS = 5.0  # for a cell that was interrupted at its limit before
MAX_DEATHS = 8  # of one notebook's process, each followed by a replay
MAX_LOSSES = 3  # of processes that somebody else killed

Answer = TypeVar("Answer")


class OverError(Exception):
    """Nothing more is run of this notebook.

    Attributes:
        status: what that is worth for every exercise not judged yet.
    """

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass
class _Cell:
    """A cell that was run, and what became of it.

    Attributes:
        is_fatal: the process died of it when it was run again: it is not run once more.
        is_slow: it was interrupted at its limit.
        is_greedy: it ran out of memory and may still hold what there was.
    """

    source: str
    is_fatal: bool = False
    is_slow: bool = False
    is_greedy: bool = False


class Survivor:
    """Runs the cells of one notebook, then answers about what they defined.

    Args:
        files: what lies beside the notebook.
        memory_limit: MiB.
        total_limit: seconds for the whole notebook; its cells may take `CELLS_SHARE` of them.
        isolate: False runs trusted code without a sandbox.

    Attributes:
        tier: the sandbox's name.
        failures: how cells failed, by key.
        cpu_seconds: processor time of all its processes that are closed.
        peak_bytes: the most memory that one of them had in use.

    Every method raises `OverError` once the time is up or the process has died too often, and
    `SandboxError` if a process cannot be started, or somebody keeps killing it.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        memory_limit: int,
        total_limit: float,
        isolate: bool,
    ) -> None:
        self._files = files
        self._memory_limit, self._total_limit = memory_limit, total_limit
        self._isolate = isolate
        self._deadline = time.monotonic() + CELLS_SHARE * total_limit
        self._student: Student | None = None
        self._deaths = self._losses = 0
        self._history: list[_Cell | str] = []  # a text: the name for which a moment was kept
        self.tier = ""
        self.cpu_seconds, self.peak_bytes = 0.0, 0
        self.failures: dict[str, tuple[Status, str]] = {}

    def run_cell(self, key: str, source: str) -> list[Output]:
        """Run a cell and return its outputs; how it failed is kept in ``failures[key]``."""
        cell = _Cell(source)
        try:
            run = self._insistent(
                lambda student: student.run_cell(source, self._within(CELL_SECONDS))
            )
        except DeathError as death:
            self.failures[key] = death.kind, str(death)
            return death.outputs
        self._history.append(cell)
        cell.is_slow = run.timed_out
        cell.is_greedy = is_about_memory(run.error, run.message)
        if run.timed_out:
            self.failures[key] = "timeout", run.message
        elif run.error:
            text = f"{run.error}: {run.message[:300]}".removesuffix(": ")
            self.failures[key] = "memory" if cell.is_greedy else "error", text
        return run.outputs

    def keep(self, name: str) -> None:
        """Have the function ``name`` called, later on, with all as it is now."""
        with contextlib.suppress(DeathError):
            self._insistent(lambda student: student.keep(name))
            self._history.append(name)

    def cells_are_over(self) -> None:
        """Give the calls that come now the rest of the time, and deaths of their own."""
        self._deadline += (1.0 - CELLS_SHARE) * self._total_limit
        self._deaths = 0

    def observe(self, name: str, probe: Probe, case: Any, seconds: float) -> Observation | None:
        """Return what is seen of a function of the notebook; None if there is none of that name.

        Raises:
            DeathError: if the process does not outlive the call.
        """
        return self._insistent(
            lambda student: student.observe(name, probe, case, self._within(seconds))
        )

    def read(self, name: str) -> Any:
        """Return the value of a variable of the notebook; None if there is none of that name.

        Raises:
            DeathError: if the process has gone.
        """
        return self._insistent(lambda student: student.read(name))

    def give_time(self, seconds: float) -> None:
        """Put off the end: it was the grader that took so long."""
        self._deadline += seconds

    def close(self) -> None:
        """End the process."""
        if self._student is not None:
            self._student.close()
            self.cpu_seconds += self._student.cpu_seconds
            self.peak_bytes = max(self.peak_bytes, self._student.peak_bytes)
            self._student = None

    def _insistent(self, ask: Callable[[Student], Answer]) -> Answer:
        """Return the answer; of a new process if others, or an earlier cell's greed, ended it."""
        while True:
            try:
                return ask(self._living())
            except LostError:
                self.close()
                self._losses += 1
                if self._losses > MAX_LOSSES:
                    raise
            except DeathError as death:
                self._bury()
                greedy = [cell for cell in self._cells() if cell.is_greedy and not cell.is_fatal]
                if death.kind != "memory" or not greedy:
                    raise
                greedy[-1].is_fatal = True

    def _living(self) -> Student:
        """Return the process; where the last one died, a new one that has seen the same cells."""
        while self._student is None:
            self._within(0.0)
            self._student = Student(
                self._files,
                memory_limit=self._memory_limit,
                cpu_seconds=int(self._total_limit) + 1,
                isolate=self._isolate,
            )
            self.tier = self._student.tier
            try:
                self._replay(self._student)
            except DeathError:
                self._bury()
        return self._student

    def _replay(self, student: Student) -> None:
        for step in self._history:
            if isinstance(step, str):
                student.keep(step)
            elif not step.is_fatal:
                seconds = self._within(REPLAY_SECONDS if step.is_slow else CELL_SECONDS)
                try:
                    student.run_cell(step.source, seconds)
                except DeathError:
                    step.is_fatal = True
                    raise

    def _cells(self) -> list[_Cell]:
        return [step for step in self._history if isinstance(step, _Cell)]

    def _bury(self) -> None:
        self.close()
        self._deaths += 1
        if self._deaths > MAX_DEATHS:
            raise OverError("killed", f"the notebook's process ended {self._deaths} times")

    def _within(self, seconds: float) -> float:
        """Return ``seconds``, or what is left of the whole notebook's time if that is less."""
        left = self._deadline - time.monotonic()
        if left <= 0.0:
            message = f"the notebook as a whole ran longer than {self._total_limit:g} s"
            raise OverError("timeout", message)
        return min(seconds, left)


def is_about_memory(error: str, message: str) -> bool:
    """Return whether an exception says that memory ran out; torch has no type of its own for it."""
    return error.endswith("MemoryError") or "can't allocate memory" in message
