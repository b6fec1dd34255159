"""Plain words for exceptions: what to look at when a student's function stops with an error."""

from __future__ import annotations

import re

from labkit.probes import CallError

_SHAPES = (
    "Print both shapes: counted from the right, each pair of sizes must be equal or one of them 1."
)
_DTYPES = "Two tensors of different dtypes meet here: convert one, for example `x.to(y.dtype)`."
_STEP = "`env.step` gives five things: obs, reward, terminated, truncated, info."

# (exception's name, pattern in its message, advice with the pattern's groups): the first match wins
_RULES: tuple[tuple[str, str, str], ...] = (
    (
        "NameError",
        r"name '(np|torch|gym|plt|F|nn|math|random|scipy)' is not defined",
        "`{0}` is not imported yet: run the notebook's first cells, or import it in your own.",
    ),
    (
        "NameError",
        r"name '(.+?)' is not defined",
        "`{0}` has no value where this line runs. Is it spelled like the argument or variable you "
        "mean, and is the cell that defines it run?",
    ),
    (
        "UnboundLocalError",
        r"variable '(.+?)'",
        "`{0}` is used before it has a value: only one branch of an `if`, or a loop that never "
        "ran, gives it one.",
    ),
    (
        "IndexError",
        r"index (-?\d+) is out of bounds for (?:axis|dimension) (\d+) with size (\d+)",
        "Axis {1} has {2} entries, counted from 0. Which of your indices is {0}, and are they in "
        "the right order?",
    ),
    (
        "IndexError",
        r"too many indices for array: array is (\d+)-dimensional, but (\d+) were indexed",
        "The array has {0} axes, and this line gives {1} indices. Print its `.shape`.",
    ),
    (
        "IndexError",
        r"only integers|indices must be integers|must be of integer",
        "An index must be a whole number: something here is a float. `int(...)` makes it whole.",
    ),
    (
        "IndexError",
        r"",
        "An index points past the end. Print the length and the index; counting starts at 0.",
    ),
    ("KeyError", r"", "The dictionary has no such key: print its `.keys()`."),
    (
        "TypeError",
        r"missing \d+ required",
        "A call in this line leaves out an argument: compare it with the definition.",
    ),
    (
        "TypeError",
        r"(takes \d+ positional arguments? but|takes from \d+)",
        "A call in this line passes too many arguments. For a method: is `self` its first "
        "parameter?",
    ),
    (
        "TypeError",
        r"unexpected keyword argument '(.+?)'",
        "What this line calls has no parameter `{0}`: compare the call with the definition.",
    ),
    (
        "TypeError",
        r"'NoneType'",
        "Something in this line is None. A function that changes its argument in place returns "
        "nothing, so `x = f(x)` leaves None in `x`.",
    ),
    (
        "TypeError",
        r"unsupported operand type\(s\) for (.+?): '(.+?)' and '(.+?)'",
        "`{0}` does not work between `{1}` and `{2}`: print both sides.",
    ),
    (
        "TypeError",
        r"'(.+?)' object is not callable",
        "Round brackets call a function, but this is a {0}. Square brackets pick an entry; is a "
        "`*` missing?",
    ),
    (
        "TypeError",
        r"only (length-1|0-dimensional|size-1|integer scalar) arrays",
        "A whole array stands where one number is needed: is an index missing?",
    ),
    (
        "ValueError",
        r"could not be broadcast",
        "The arrays in this line do not fit together. " + _SHAPES,
    ),
    (
        "RuntimeError",
        r"must match the size|not broadcastable",
        "The tensors do not fit. " + _SHAPES,
    ),
    (
        "",
        r"truth value of an array|Boolean value of Tensor",
        "An array of several entries is neither true nor false: use `.any()`, `.all()` or "
        "`np.where`, or pick one entry.",
    ),
    (
        "",
        r"matmul|shapes .* not aligned|shapes cannot be multiplied",
        "A matrix product needs the last size of the left side to equal the first of the right: "
        "print both shapes.",
    ),
    (
        "",
        r"setting an array element with a sequence",
        "One entry of an array takes one number, but gets several: is an index missing?",
    ),
    (
        "ValueError",
        r"values to unpack",
        "The left side names another number of things than the right side gives. " + _STEP,
    ),
    (
        "",
        r"zero-size array|of an empty|empty sequence|iterable argument is empty",
        "There is nothing to reduce here: the array is empty. What should happen then?",
    ),
    ("RuntimeError", r"same dtype|expected scalar type|expected m1 and m2", _DTYPES),
    (
        "RuntimeError",
        r"same device",
        "Some tensors are on the GPU and some are not: make new ones with `device=x.device`.",
    ),
    (
        "RuntimeError",
        r"does not require grad",
        "No gradient reaches this tensor: `.detach()`, `.item()`, `torch.no_grad()` and numpy cut "
        "it off.",
    ),
    ("RuntimeError", r"in-place operation", "Autograd needs the old value: work on a new tensor."),
    (
        "AttributeError",
        r"'NoneType' object has no attribute '(.+?)'",
        "What stands before `.{0}` is None: where should it have got its value?",
    ),
    (
        "AttributeError",
        r"'(.+?)' object has no attribute '(.+?)'",
        "A {0} has no `{1}`. Is it spelled right, set in `__init__`, and is this the object that "
        "you mean? Print its type.",
    ),
    ("AttributeError", r"", "The name after the dot does not exist there: check its spelling."),
    ("ZeroDivisionError", r"", "Something is divided by zero: for which input, and what then?"),
    ("OverflowError", r"", "A number gets too large: does something grow in every step?"),
    ("RecursionError", r"", "The function calls itself without end: which case stops it?"),
    ("MemoryError", r"", "An array gets too large: print its shape before it is made."),
    ("AssertionError", r"", "An `assert` in the code fails for this input."),
    ("StopIteration", r"", "`next` found nothing left."),
    ("SystemExit", r"", "The function ends the whole program: `return` ends the function alone."),
    ("ImportError", r"", "Use the packages that the lab imports: the grader has no others."),
    (
        "ModuleNotFoundError",
        r"",
        "Use the packages that the lab imports: the grader has no others.",
    ),
)


def advice(error: CallError) -> str:
    """Return a sentence on what to look at, or nothing if there is nothing helpful to say."""
    for type_name, pattern, text in _RULES:
        if type_name in ("", error.type_name) and (found := re.search(pattern, error.message)):
            return text.format(*found.groups())
    return ""
