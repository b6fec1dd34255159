"""A time limit on a call, on every operating system that Python runs on."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

AGAIN = 0.2  # seconds until the error is raised again, should the block have swallowed it


class TimeLimitError(BaseException):
    """The call took too long. Not an `Exception`, so ``except Exception`` cannot swallow it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeLimitError` in the block once ``seconds`` of wall time have passed.

    On the main thread of a POSIX system an interval timer does it, which also interrupts ``sleep``;
    elsewhere a watching thread raises the error at the next Python instruction.
    """
    on_main_thread = threading.current_thread() is threading.main_thread()
    if hasattr(signal, "setitimer") and on_main_thread:
        with _signal_limit(seconds):
            yield
    else:
        with _thread_limit(seconds):
            yield


@contextlib.contextmanager
def _signal_limit(seconds: float) -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> None:
        raise TimeLimitError

    before = signal.signal(signal.SIGALRM, stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:  # also where the error came in the line above
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _thread_limit(seconds: float) -> Iterator[None]:
    raise_in_thread: Any = ctypes.pythonapi.PyThreadState_SetAsyncExc
    target = ctypes.c_ulong(threading.get_ident())
    lock, finished = threading.Lock(), threading.Event()

    def watch() -> None:
        wait = seconds
        while not finished.wait(wait):
            with lock:
                if not finished.is_set():
                    raise_in_thread(target, ctypes.py_object(TimeLimitError))
            wait = AGAIN

    watcher = threading.Thread(target=watch, daemon=True)
    try:
        try:
            watcher.start()
            yield
        finally:
            finished.set()
    finally:  # also where the error came in the line above
        finished.set()
        with lock:
            raise_in_thread(target, None)  # an error on its way that came too late
        watcher.join()
