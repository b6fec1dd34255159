"""What is observed of a function: run it on one case, where it lives, and report plain data."""

from __future__ import annotations

import copy
import dataclasses
import linecache
import random
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np

from labkit import markers
from labkit.limits import TimeLimitError, time_limit
from labkit.wire import Opaque, loaded_torch, record

UNSEEN = "any value"
BY_CHANCE = "by chance"
_MUTABLE = (np.ndarray, list, dict)
_FIXED = {bool, int, float, str, type(None)}
Function = Callable[..., Any]
Arguments = dict[str, Any]


@record
@dataclasses.dataclass(frozen=True)
class CallError:
    """An exception, as text: its type, its message, and the line of the function it came from."""

    type_name: str
    message: str
    line: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        texts = (self.type_name, self.message, self.source)
        if not all(type(text) is str for text in texts) or type(self.line) is not int:
            raise TypeError("an error is three texts and a line number")


@record
@dataclasses.dataclass(frozen=True)
class Observation:
    """What a probe saw: a value, or an error, or that time ran out; and which arguments changed.

    Where time ran out, the error is a `TimeLimitError` that names the line where it happened.
    """

    value: Any = None
    changed: tuple[str, ...] = ()
    error: CallError | None = None
    timed_out: bool = False

    def __post_init__(self) -> None:
        if type(self.changed) is not tuple or not all(type(name) is str for name in self.changed):
            raise TypeError("changed arguments are a tuple of names")
        if self.error is not None and type(self.error) is not CallError:
            raise TypeError("an error is a CallError")
        if type(self.timed_out) is not bool:
            raise TypeError("timed_out is a bool")


@record
@dataclasses.dataclass(frozen=True)
class Returns:
    """Observes the return value."""

    @property
    def mutates(self) -> tuple[str, ...]:
        return ()

    def run(self, function: Function, arguments: Arguments) -> Any:
        return function(**arguments)


@record
@dataclasses.dataclass(frozen=True)
class Part:
    """Observes one part of a returned tuple, where more than one value of the others is right.

    The others are seen as `UNSEEN`; a return value that has no such part is seen as it is.
    """

    index: int

    def __post_init__(self) -> None:
        if type(self.index) is not int or self.index < 0:
            raise TypeError("a part is counted by a whole number from 0 on")

    @property
    def mutates(self) -> tuple[str, ...]:
        return ()

    def run(self, function: Function, arguments: Arguments) -> Any:
        value = function(**arguments)
        if type(value) not in (tuple, list) or len(value) <= self.index:
            return value
        return tuple(part if at == self.index else UNSEEN for at, part in enumerate(value))


@record
@dataclasses.dataclass(frozen=True)
class Gradient:
    """Observes the return value and the gradient of its sum with respect to torch arguments."""

    wrt: tuple[str, ...]

    @property
    def mutates(self) -> tuple[str, ...]:
        return ()

    def run(self, function: Function, arguments: Arguments) -> Any:
        import torch

        for name in self.wrt:
            arguments[name].requires_grad_(True)
        value = function(**arguments)
        first = value[0] if isinstance(value, tuple) and value else value
        gradients: dict[str, Any] = dict.fromkeys(self.wrt)
        if isinstance(first, torch.Tensor) and first.requires_grad:
            inputs = [arguments[name] for name in self.wrt]
            found = torch.autograd.grad(first.sum(), inputs, allow_unused=True)
            gradients = {
                name: torch.zeros_like(argument) if gradient is None else gradient
                for name, argument, gradient in zip(self.wrt, inputs, found, strict=True)
            }
        for name in self.wrt:
            arguments[name].requires_grad_(False)
        return {"return": value, **{f"gradient of {name}": g for name, g in gradients.items()}}


@record
@dataclasses.dataclass(frozen=True)
class Mutates:
    """Observes named arguments after the call, and the return value; of a network its tensors."""

    args: tuple[str, ...]

    @property
    def mutates(self) -> tuple[str, ...]:
        return self.args

    def run(self, function: Function, arguments: Arguments) -> Any:
        value = function(**arguments)
        return {
            "return": value,
            **{f"{name} after the call": _tensors(arguments[name]) for name in self.args},
        }


@record
@dataclasses.dataclass(frozen=True)
class Trace:
    """Observes a class: builds it and records what each method call returns.

    Its cases have ``init`` (keyword arguments) and ``calls``, a list of ``(method, arguments)``.
    """

    @property
    def mutates(self) -> tuple[str, ...]:
        return ("init", "calls")

    def run(self, function: Function, arguments: Arguments) -> Any:
        instance = function(**arguments["init"])
        returned = []
        for method, call_arguments in arguments["calls"]:
            # copied, since a method may hand out a view of what the next call changes
            returned.append([method, copy.deepcopy(getattr(instance, method)(**call_arguments))])
        return returned


@record
@dataclasses.dataclass(frozen=True)
class Draws(Trace):
    """Observes a class as `Trace` does; of rows that ``sample`` draws at random, what holds always.

    A method ``sample`` that returns arrays of one length by name is reported by the different rows
    that it drew, sorted, by their number, by whether each came about as often as the others, and
    by whether a row says nothing about the one drawn after it. Where it takes a generator ``rng``,
    it is called with it twice, and before that with a copy: the same state of the generator has to
    draw the same rows, a later one others. Its widest type of float is reported as well.
    After each call the arrays that it was given are overwritten, as an environment may do with
    its own: what is to be kept has to be copied.
    """

    def run(self, function: Function, arguments: Arguments) -> Any:
        instance = function(**arguments["init"])
        returned = []
        for method, call_arguments in arguments["calls"]:
            call = getattr(instance, method)
            draws = method == "sample"
            rng = call_arguments.get("rng")
            again = call_arguments | {"rng": copy.deepcopy(rng)}
            early = copy.deepcopy(call(**again)) if draws and rng is not None else None
            value = copy.deepcopy(call(**call_arguments))
            found = _drawn(value) if draws else value
            if early is not None and found is not value:
                later = copy.deepcopy(call(**call_arguments))
                several = len(next(iter(found.values()))) > 1
                several &= found["in what order"] == BY_CHANCE
                found["drawn by"] = "`rng`" if _alike(early, value) else "something else than `rng`"
                found["drawn later"] = (
                    "the same rows again" if several and _alike(later, value) else "other rows"
                )
            returned.append([method, found])
            for given in call_arguments.values():
                if isinstance(given, np.ndarray):
                    given.fill(-1)
        return returned


def _alike(one: Any, other: dict[str, Any]) -> bool:
    """Whether two answers of ``sample`` hold the same rows in the same order."""
    return (
        type(one) is dict
        and one.keys() == other.keys()
        and all(np.array_equal(_stacked(one[name]), _stacked(other[name])) for name in one)
    )


def _stacked(column: Any) -> np.ndarray:
    """A column as an array of numbers, also if it is an array or a list of arrays."""
    array = np.asarray(column)
    return np.stack(array.tolist()) if array.dtype.kind == "O" and array.size else array


def _drawn(value: Any) -> Any:
    """Different rows, their number, and whether equal, independent chances would draw them."""
    if type(value) is not dict or not all(type(name) is str for name in value):
        return value
    arrays = {name: _stacked(value[name]) for name in sorted(value)}
    lengths = {array.shape[:1] for array in arrays.values()}
    if (
        len(lengths) != 1
        or () in lengths
        or any(a.dtype.kind not in "biuf" for a in arrays.values())
    ):
        return value
    flat = np.hstack([a.reshape(len(a), -1).astype(np.float64) for a in arrays.values()])
    _, first, which, counts = np.unique(
        flat, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    share = len(flat) / max(len(first), 1)
    even = bool((np.abs(counts - share) <= 6.0 * np.sqrt(share)).all())  # six standard deviations
    pairs = (counts**2).sum() / max(len(flat), 1)  # how often a row would follow itself by chance
    found = (np.diff(which.reshape(-1)) == 0).sum()
    independent = len(first) <= 1 or bool(abs(found - pairs) <= 6.0 * np.sqrt(pairs))
    widths = [array.dtype for array in arrays.values() if array.dtype.kind == "f"]
    return {
        **{f"different rows: {name}": array[first] for name, array in arrays.items()},
        "number of rows": len(flat),
        "how often": "each about as often" if even else "some much more often than others",
        "in what order": BY_CHANCE if independent else "a row depends on the one before",
        "widest float": max(widths, key=lambda kind: kind.itemsize).name if widths else "none",
    }


@record
@dataclasses.dataclass(frozen=True)
class Copies:
    """Observes whether one network became a copy of another and stays what it is.

    Reported are both after the call, and ``target`` once more after ``source`` has moved on.
    """

    source: str
    target: str

    @property
    def mutates(self) -> tuple[str, ...]:
        return (self.source, self.target)

    def run(self, function: Function, arguments: Arguments) -> Any:
        import torch

        source, target = arguments[self.source], arguments[self.target]
        value = function(**arguments)
        found = {f"{name} after the call": _tensors(arguments[name]) for name in self.mutates}
        with torch.no_grad():
            for tensor in torch.nn.Module.state_dict(source).values():
                tensor.add_(1)
        later = _tensors(target)
        return {"return": value, **found, f"{self.target} once {self.source} has moved on": later}


@record
@dataclasses.dataclass(frozen=True)
class Passes:
    """Observes arrays of indices that come in passes over the same samples, in random orders.

    Its cases have ``num_epochs`` and ``rng``. Reported is what holds for every order: how long the
    arrays are, which indices each pass has, how many passes have an order that no other has, and
    whether the same ``rng`` leads to the same orders again.
    """

    @property
    def mutates(self) -> tuple[str, ...]:
        return ()

    def run(self, function: Function, arguments: Arguments) -> Any:
        again = arguments | {"rng": copy.deepcopy(arguments["rng"])}
        batches = [np.array(batch).reshape(-1) for batch in function(**arguments)]
        indices = np.concatenate(batches) if batches else np.zeros(0, dtype=int)
        passes = np.array_split(indices, arguments["num_epochs"])
        repeated = [index for batch in function(**again) for index in np.ravel(batch).tolist()]
        orders = {tuple(each.tolist()) for each in passes}
        in_order = sum(bool((np.diff(each) >= 0).all()) for each in passes)
        return {
            "sizes of the batches": [len(batch) for batch in batches],
            "indices of each pass, sorted": [np.sort(each) for each in passes],
            "different orders": len(orders),
            "passes that are not shuffled": in_order,
            "the same orders again from the same rng": repeated == indices.tolist(),
        }


@record
@dataclasses.dataclass(frozen=True)
class Raises:
    """Observes the type of the exception that bad input raises, or that none was raised."""

    @property
    def mutates(self) -> tuple[str, ...]:
        return ()

    def run(self, function: Function, arguments: Arguments) -> Any:
        try:
            function(**arguments)
        except Exception as error:
            return {"raised": type(error).__name__}
        return {"raised": "nothing"}


@record
@dataclasses.dataclass(frozen=True)
class Samples:
    """Observes ``count`` outcomes of a random function; the judge compares their statistics.

    Every call gets fresh copies of the arguments, but one stream of random numbers: generators
    are built once. Outcomes are flattened to rows of numbers.

    Attributes:
        count: number of calls.
        categories: 0 compares means; k compares the frequencies of the outcomes 0 to k - 1.
        of: what one outcome is.
    """

    count: int
    categories: int = 0
    of: Returns | Mutates = dataclasses.field(default_factory=Returns)

    @property
    def mutates(self) -> tuple[str, ...]:
        return self.of.mutates

    def run(self, function: Function, arguments: Arguments) -> Any:
        rows = []
        data = {k: v for k, v in arguments.items() if isinstance(v, _MUTABLE)}
        for _ in range(self.count):
            outcome = self.of.run(function, arguments | {k: _copied(v) for k, v in data.items()})
            row = _flattened(outcome)
            if row is None:
                return outcome  # the judge names its type
            rows.append(row)
        return np.array(rows)


@record
@dataclasses.dataclass(frozen=True)
class Rewards:
    """Observes what the environments among the arguments paid, by name and episode.

    While grading they run at the grader's, which reads its own record of them: whatever the
    student's code does to rewards, counters or wrappers in its own process changes nothing.
    """

    @property
    def mutates(self) -> tuple[str, ...]:
        return ()

    def run(self, function: Function, arguments: Arguments) -> Any:
        import gymnasium

        from labkit.trusted import Recorder

        recorders = {
            name: Recorder(value)
            for name, value in arguments.items()
            if isinstance(value, gymnasium.Env)
        }
        function(**(arguments | recorders))
        return {name: recorder.paid() for name, recorder in recorders.items()}


def _copied(value: Any) -> Any:
    """As deepcopy, but in a fraction of its time where nothing but data is within."""
    kind = type(value)
    if kind is np.ndarray:
        return value.copy()
    if kind in _FIXED:
        return value
    if kind is dict:
        return {key: _copied(item) for key, item in value.items()}
    if kind is list:
        return [_copied(item) for item in value]
    return copy.deepcopy(value)


def _flattened(outcome: Any) -> np.ndarray | None:
    """One outcome as a row of numbers; what a mutating function returns (nothing) is left out."""
    parts: list[np.ndarray] = []
    if not _gather(outcome, parts):
        return None
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _gather(outcome: Any, parts: list[np.ndarray]) -> bool:
    """Append the outcome's arrays, each one row of numbers; return whether there is no else."""
    if type(outcome) is dict:
        for key, item in outcome.items():
            if (item is not None or key != "return") and not _gather(item, parts):
                return False
        return True
    if type(outcome) is not np.ndarray:
        try:
            outcome = np.asarray(outcome)
        except Exception:
            return False
    parts.append(outcome.ravel())
    return outcome.dtype.kind in "biuf" and outcome.size > 0


Probe = Returns | Part | Gradient | Mutates | Trace | Copies | Passes | Raises | Samples | Rewards


def observe(
    function: Function, probe: Probe, case: Arguments, *, seconds: float | None = None
) -> Observation:
    """Run ``function`` on ``case`` as ``probe`` says and report what was seen.

    Args:
        function: the function, or for `Trace` the class.
        probe: what to look at.
        case: keyword arguments as plain data and markers; they are copied, never changed.
        seconds: limit on wall time; None for no limit.
    """
    arguments = markers.build(case)
    before = copy.deepcopy({name: value for name, value in arguments.items() if _is_data(value)})
    _reseed()
    try:
        with time_limit(seconds) if seconds is not None else nullcontext():
            value = probe.run(function, arguments)
    except TimeLimitError as late:
        return Observation(error=_described(late, function), timed_out=True)
    except (Exception, SystemExit) as error:
        return Observation(error=_described(error, function))
    changed = tuple(
        name
        for name, old in before.items()
        if name not in probe.mutates and not _same(old, arguments[name])
    )
    return Observation(value=value, changed=changed)


def _is_data(value: Any) -> bool:
    torch = loaded_torch()
    kinds = (torch.Tensor, torch.nn.Module) if torch is not None else ()
    return isinstance(value, (*_MUTABLE, *kinds))


def _tensors(value: Any) -> Any:
    """A network's parameters and buffers by name; anything else as it is."""
    if (torch := loaded_torch()) is not None and isinstance(value, torch.nn.Module):
        # of the class: an answer may have put another network's method in place of its own
        tensors = torch.nn.Module.state_dict(value)
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}
    return value


def _same(old: Any, new: Any) -> bool:
    if type(old) is not type(new):
        return False
    old, new = _tensors(old), _tensors(new)
    if isinstance(old, np.ndarray) and old.dtype.kind == "O":
        return old.shape == new.shape and _same(old.tolist(), new.tolist())
    if isinstance(old, np.ndarray):
        return (
            old.shape == new.shape
            and old.dtype == new.dtype
            and bool(np.array_equal(old, new, equal_nan=old.dtype.kind in "fc"))
        )
    if isinstance(old, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    if (torch := loaded_torch()) is not None and isinstance(old, torch.Tensor):
        return bool(torch.equal(old, new))
    return bool(old == new) or old is new


def _reseed() -> None:
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (students may use the global generator)
    if (torch := loaded_torch()) is None:
        return
    if torch.cuda.is_initialized() or torch.backends.mps.is_available():
        torch.manual_seed(0)
    else:  # the line above keeps a traceback per call for each kind of device that is not in use
        torch.default_generator.manual_seed(0)


def _described(error: BaseException, function: Function) -> CallError:
    """Name the last line inside the function's own file that the error passed through."""
    target = getattr(function, "__init__", function) if isinstance(function, type) else function
    filename = getattr(getattr(target, "__code__", None), "co_filename", None)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == filename]
    line = (frames[-1].lineno or 0) if frames else 0
    source = linecache.getline(str(filename), line).strip() if line else ""
    return CallError(type(error).__name__[:80], str(error)[:500], line, source[:200])


__all__ = [
    "CallError",
    "Copies",
    "Draws",
    "Gradient",
    "Mutates",
    "Observation",
    "Opaque",
    "Part",
    "Passes",
    "Probe",
    "Raises",
    "Returns",
    "Rewards",
    "Samples",
    "Trace",
    "observe",
]
