"""Runs a student's code for a check without leaving a trace in the notebook."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Iterator

import numpy as np

from labkit.wire import loaded_torch

MAX_PRINTED = 2000


class Printed(io.TextIOBase):
    """The beginning of what was printed; an endless loop that prints fills no memory."""

    def __init__(self) -> None:
        self.text = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if len(self.text) < MAX_PRINTED:
            self.text = (self.text + text)[:MAX_PRINTED]
        return len(text)


@contextlib.contextmanager
def isolated() -> Iterator[Printed]:
    """Catch what is printed and give the global random generators their states back.

    Yields what the block prints. What it writes to standard error is dropped.
    """
    printed = Printed()
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002  (students may use the global generator)
    torch = loaded_torch()
    torch_state = torch.get_rng_state() if torch is not None else None
    on_gpu = torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized()
    cuda_states = torch.cuda.get_rng_state_all() if torch is not None and on_gpu else []
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(Printed()):
            yield printed
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        if torch is not None and torch_state is not None:
            torch.set_rng_state(torch_state)
            if cuda_states:
                torch.cuda.set_rng_state_all(cuda_states)
