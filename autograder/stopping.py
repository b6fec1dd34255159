"""Ctrl-C and SIGTERM: the first one asks for an orderly end, a second one ends the program."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Whether somebody asked for the end; a `KeyboardInterrupt` unless `politely` holds it back."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._polite = False

    def is_set(self) -> bool:
        return self._asked.is_set()

    def set(self) -> None:
        self._asked.set()

    @contextlib.contextmanager
    def politely(self) -> Iterator[None]:
        """Raise nothing while this lasts: what runs looks at `is_set`."""
        self._polite = True
        try:
            yield
        finally:
            self._polite = False

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Listen to both signals; without effect outside the main thread, where nobody can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._first) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _first(self, number: int, frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        self._asked.set()
        if not self._polite:
            raise KeyboardInterrupt
