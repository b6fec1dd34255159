"""The time limit stops what does not stop by itself, on the main thread and on any other."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

from labkit import limits
from labkit.limits import TimeLimitError, time_limit
from labkit.probes import Returns, observe


def _forever() -> None:
    while True:
        pass


def _swallows_exceptions() -> None:
    while True:
        with contextlib.suppress(Exception):
            _forever()


def _swallows_everything_twice() -> str:
    for _ in range(2):
        try:
            _forever()
        except BaseException:
            continue
    _forever()
    return "never here"


ENDLESS = [_forever, _swallows_exceptions, _swallows_everything_twice]


def _on_main_thread(work: Callable[[], Any]) -> Any:
    assert threading.current_thread() is threading.main_thread()
    return work()


def _on_another_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture(params=["main thread", "main thread without signals", "another thread"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call a function on one of the roads that the limit can take."""
    if request.param == "another thread":
        return _on_another_thread
    if request.param.endswith("without signals"):  # as on Windows
        monkeypatch.delattr(limits.signal, "setitimer")
    return _on_main_thread


@pytest.mark.parametrize("endless", ENDLESS)
def test_it_stops_what_does_not_end(run: Any, endless: Callable[[], Any]) -> None:
    def limited() -> str:
        try:
            with time_limit(0.05):
                endless()
        except TimeLimitError:
            return "stopped"
        return "not stopped"

    assert run(limited) == "stopped"


def test_an_endless_function_is_observed_as_timed_out(run: Any) -> None:
    observation = run(lambda: observe(_swallows_exceptions, Returns(), {}, seconds=0.05))
    assert observation.timed_out


def test_what_ends_in_time_is_left_alone(run: Any) -> None:
    def many() -> int:
        total = 0
        for number in range(200):
            with time_limit(30):
                total += number
        return total

    threads = threading.active_count()
    assert run(many) == sum(range(200))
    assert threading.active_count() == threads


def test_an_error_inside_passes_through(run: Any) -> None:
    def failing() -> str:
        try:
            with time_limit(30):
                raise KeyError("mine")
        except KeyError as error:
            return str(error)

    assert run(failing) == "'mine'"


def test_nothing_is_left_behind() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with contextlib.suppress(TimeLimitError), time_limit(0.05):
        _forever()
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
