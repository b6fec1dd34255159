"""Runs one submitted notebook in a sandbox and judges every exercise from outside.

Only the notebook's own code and the inputs of cases enter the student's process, one call at a
time. References, mutants, expected values and verdicts stay here. Functions are called after the
last cell, so that no cell can show an input; each with what the notebook was at its test cell.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from autograder import judging
from autograder.discover import FILES, LoadedLab
from autograder.errors import LabError
from autograder.expected import Expected
from autograder.results import ExerciseResult, Status, SubmissionResult
from autograder.spec import Choice, Exercise, Item, Numeric, Outcome
from autograder.student import DeathError
from autograder.survivor import OverError, Survivor, is_about_memory
from labkit.probes import Observation, Returns

TOTAL_SECONDS = 900.0
MAX_ARTIFACT_BYTES = 32 << 20
PATIENCE = 3.0  # times the limit of a student's own check: here others compute beside it

_expected: dict[tuple[Path, int, bytes], Expected] = {}
_judging = threading.Lock()  # references and mutants share the global random generators


def expected_of(lab: LoadedLab, course_seed: int) -> Expected:
    """Return cases and what is right on them, computed once per process, lab and course seed.

    What a lab's mutants show is added when the first answer is wrong.

    Raises:
        LabError: if the lab is at fault.
    """
    digest = hashlib.sha256(b"\0".join((lab.path / name).read_bytes() for name in FILES)).digest()
    key = lab.path, course_seed, digest
    with _judging:
        if key not in _expected:
            expected = Expected(lab, course_seed)
            for exercise in lab.exercises:
                expected.groups(exercise)
            _expected[key] = expected
        return _expected[key]


def grade_submission(
    lab: LoadedLab,
    files: Mapping[str, bytes],
    *,
    course_seed: int,
    time_limit: float | None = None,
    memory_limit: int = 2048,
    total_limit: float = TOTAL_SECONDS,
    sandbox: bool = True,
) -> SubmissionResult:
    """Run a notebook and judge it.

    Args:
        lab: the lab.
        files: the notebook ``<lab>.ipynb``, already made complete, and what lies beside it.
        course_seed: draws the hidden cases.
        time_limit: seconds per call into the student's code; by default `PATIENCE` times each
            exercise's own.
        memory_limit: MiB.
        total_limit: seconds for the whole notebook; what is left then counts as timed out.
        sandbox: False runs the notebook with this user's rights, for the instructor's own.

    Raises:
        SandboxError: if a student's process cannot be started here.
        LabError: if the lab is at fault.
    """
    started = time.monotonic()
    expected = expected_of(lab, course_seed)
    notebook = f"{lab.name}.ipynb"
    run = Survivor(
        {name: content for name, content in files.items() if name != notebook},
        memory_limit=memory_limit,
        total_limit=total_limit,
        isolate=sandbox,
    )
    sitting = _Sitting(expected, files, run, time_limit, memory_limit)
    try:
        sitting.judge_notebook(files.get(notebook))
    finally:
        run.close()
    return SubmissionResult(
        tuple(sitting.results[item.name] for item in lab.items),
        sitting.outputs,
        seconds=time.monotonic() - started,
        tier=run.tier,
        cpu_seconds=run.cpu_seconds,
        peak_bytes=run.peak_bytes,
    )


class _Sitting:
    """One notebook's verdicts, from its first cell to its last."""

    def __init__(
        self,
        expected: Expected,
        files: Mapping[str, bytes],
        run: Survivor,
        time_limit: float | None,
        memory_limit: int,
    ) -> None:
        self._expected, self._files, self._run = expected, files, run
        self._time_limit, self._memory_limit = time_limit, memory_limit
        self._items = expected.lab.items
        self._called: list[Exercise | Outcome] = []  # the items that need calls
        self.results: dict[str, ExerciseResult] = {}
        self.outputs: dict[str, list[dict[str, Any]]] = {}

    def judge_notebook(self, raw: bytes | None) -> None:
        """Run the cells in order, then judge what must be called."""
        if raw is None:
            self._give_up("missing", "nothing was handed in")
            return
        try:
            cells = list(_code_cells(raw))
        except ValueError as error:
            self._give_up("malformed", str(error))
            return
        over = self._run_cells(cells)
        self._run.cells_are_over()
        try:
            for item in self._called:
                if isinstance(item, Exercise):
                    self.results[item.name] = self._exercise(item)
                else:
                    self.results[item.name] = self._outcome(item)
        except OverError as caught:
            over = over or caught
        if over is not None:
            self._give_up(over.status, str(over))

    def _run_cells(self, cells: list[tuple[str, str]]) -> OverError | None:
        """Run the cells; return what ended them before the last."""
        items = {f"test-{item.name}": item for item in self._items}
        try:
            for key, source in cells:
                if key in items:
                    self._reach(items.pop(key))
                elif not key.startswith(("test-", "train-")):
                    self.outputs[key] = self._run.run_cell(key, source)
            for item in items.values():
                self._reach(item)
        except OverError as over:
            return over
        return None

    def _reach(self, item: Item) -> None:
        """Read now what is read; keep for later what must be called."""
        if isinstance(item, Numeric | Choice):
            self.results[item.name] = self._variable(item)
        elif isinstance(item, Outcome) and item.artifact is not None:
            self.results[item.name] = self._artifact(item, item.artifact)
        else:
            self._run.keep(item.name)
            self._called.append(item)

    def _give_up(self, status: Status, message: str) -> None:
        for item in self._items:
            if item.name not in self.results:
                self.results[item.name] = judging.unanswered(item, message, status)

    def _exercise(self, exercise: Exercise) -> ExerciseResult:
        seen: dict[str, list[Observation | None]] = {}
        death: DeathError | None = None
        where, seconds = "", 0.0
        for group in self._expected.groups(exercise):
            where = group.group.name
            in_group = seen.setdefault(where, [])
            for case in group.cases:
                started = time.monotonic()
                try:
                    got = self._observe(exercise, group.probe, case)
                except DeathError as caught:
                    death = caught
                    got = Observation(timed_out=True) if death.kind == "timeout" else None
                    in_group.append(got)
                    break
                finally:
                    seconds += time.monotonic() - started
                if got is None:
                    return self._absent(exercise)
                in_group.append(got)
                if got.timed_out:
                    break
            if in_group[-1] is None or in_group[-1].timed_out:
                break
        result = self._judged(
            exercise,
            lambda: judging.judge_exercise(
                exercise, self._expected, seen, seconds=round(seconds, 3)
            ),
        )
        if death is not None and death.kind != "timeout":
            return _with_death(result, death, where)
        observed = (got for in_group in seen.values() for got in in_group if got is not None)
        first_error = next((got.error for got in observed if got.error is not None), None)
        if (
            result.status == "error"
            and first_error is not None
            and is_about_memory(first_error.type_name, first_error.message)
        ):
            message = f"it needs more than {self._memory_limit} MiB of memory"
            return dataclasses.replace(result, status="memory", message=message)
        return result

    def _observe(self, item: Exercise | Outcome, probe: Any, case: Any) -> Observation | None:
        limit = self._time_limit if self._time_limit is not None else PATIENCE * item.time_limit
        return self._run.observe(item.name, probe, case, limit)

    def _outcome(self, item: Outcome) -> ExerciseResult:
        started = time.monotonic()
        try:
            got = self._observe(item, Returns(), dict(item.case))
        except DeathError as death:
            return judging.unanswered(item, str(death), death.kind)
        if got is None:
            return self._absent(item)
        if got.timed_out:
            return judging.unanswered(item, "it does not finish in time", "timeout")
        if got.error is not None:
            kind: Status = "error"
            if got.error.type_name == judging.STUB:
                return judging.unanswered(item, "the stub was not replaced")
            if is_about_memory(got.error.type_name, got.error.message):
                kind = "memory"
            where = f" in line {got.error.line}" if got.error.line else ""
            return judging.unanswered(item, f"it stops with an error{where}", kind)
        seconds = round(time.monotonic() - started, 3)
        value = got.value
        return self._judged(item, lambda: judging.judge_outcome(item, value, seconds=seconds))

    def _artifact(self, item: Outcome, name: str) -> ExerciseResult:
        raw = self._files.get(name)
        if raw is None:
            return self._judged(item, lambda: judging.judge_outcome(item, None))
        if len(raw) > MAX_ARTIFACT_BYTES:
            size = f"larger than {MAX_ARTIFACT_BYTES >> 20} MiB"
            return judging.unanswered(item, f"the file `{name}` is {size}", "rejected")
        try:
            arrays: dict[str, np.ndarray] = safetensors.numpy.load(raw)
        except Exception:  # bytes that nobody vouches for
            return judging.unanswered(item, f"`{name}` is not a safetensors file", "malformed")
        return self._judged(item, lambda: judging.judge_outcome(item, arrays))

    def _variable(self, item: Numeric | Choice) -> ExerciseResult:
        try:
            value = self._run.read(item.name)
        except DeathError as death:
            return judging.unanswered(item, str(death), death.kind)
        if value is None and item.name in self._run.failures:
            return self._absent(item)
        if isinstance(item, Numeric):
            return self._judged(item, lambda: judging.judge_numeric(item, value))
        return self._judged(item, lambda: judging.judge_choice(item, value))

    def _judged(self, item: Item, judge: Callable[[], ExerciseResult]) -> ExerciseResult:
        started = time.monotonic()
        try:
            with _judging:
                return judge()
        except LabError:
            raise
        except Exception:  # data that nobody vouches for may break a comparison: that is no answer
            return judging.unanswered(item, "the answer cannot be compared", "wrong")
        finally:
            self._run.give_time(time.monotonic() - started)

    def _absent(self, item: Item) -> ExerciseResult:
        """The result of an exercise whose name the notebook does not define."""
        if item.name in self._run.failures:
            status, message = self._run.failures[item.name]
            return judging.unanswered(item, f"its cell failed: {message}", status)
        return judging.unanswered(item, f"`{item.name}` is not defined")


def _with_death(result: ExerciseResult, death: DeathError, where: str) -> ExerciseResult:
    """Say how the process ended where it did; nothing earned makes that the status."""
    groups = tuple(
        dataclasses.replace(group, message=str(death)) if group.name == where else group
        for group in result.groups
    )
    status = result.status if result.points else death.kind
    return dataclasses.replace(result, status=status, message=str(death), groups=groups)


def _code_cells(raw: bytes) -> Iterator[tuple[str, str]]:
    """Code cells in order: grade id, or else index as text, and source.

    Raises:
        ValueError: if the notebook cannot be read, in a sentence.
    """
    try:
        cells = json.loads(raw)["cells"]
        for index, cell in enumerate(cells):
            source = cell["source"]
            text = source if isinstance(source, str) else "".join(source)
            if cell["cell_type"] == "code" and text.strip():
                metadata = cell.get("metadata", {}).get("nbgrader", {})
                yield str(metadata.get("grade_id") or index), text
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("the file is not a notebook") from None
