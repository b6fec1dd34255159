"""The student's process: runs the cells of a notebook and answers what a grader asks of them.

Nothing in it is secret and nothing it says is believed: whoever asks compares its answers with
expected values that never come here. It asks for nothing but inputs, one call at a time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from labkit import markers, probes, wire
from labkit.capture import Output, Shell
from labkit.frames import OUT_OF_MEMORY, Channel, ClosedError
from labkit.limits import TimeLimitError
from labkit.moments import Moment

MAX_ANSWER_BYTES = 15 << 20  # a grader reads no longer frame

Message = dict[str, Any]


class Interrupts:
    """Turns SIGINT into `KeyboardInterrupt` in the student's code, and nowhere else."""

    def __init__(self) -> None:
        self._armed = False
        self._sending = False
        self._pending = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._armed and self._sending:
            self._pending = True  # half a frame must not stay on the line
        elif self._armed:
            raise KeyboardInterrupt

    def run(self, call: Callable[[], Any]) -> Any:
        """Return ``call()``; an interrupt may end it."""
        signal.signal(signal.SIGINT, self)  # the student may have changed it
        try:
            self._armed = True
            return call()
        finally:
            self._armed = False

    def send(self, channel: Channel, message: Message) -> None:
        """Send one message whole; an interrupt that arrives meanwhile waits."""
        self._sending, self._pending = True, False
        try:
            channel.send(message)
        finally:
            self._sending = False
        if self._pending and self._armed:
            raise KeyboardInterrupt


class Runner:
    """Answers one message after another until the other side hangs up."""

    def __init__(self, channel: Channel, shell: Shell) -> None:
        self._channel = channel
        self._pid = os.getpid()
        self._interrupts = Interrupts()
        self._shell = shell
        self._asked = 0
        self._moments: dict[str, Moment] = {}
        self._now = ""  # the moment that was returned to
        shell.recorder.send_to(self._emit)
        markers.asking = self._ask
        self._answers: dict[str, Callable[[Message], Message]] = {
            "file": self._file,
            "cell": self._cell,
            "keep": self._keep,
            "observe": self._observe,
            "read": self._read,
        }

    def run(self) -> None:
        """Say that this process is ready, then answer."""
        signal.signal(signal.SIGINT, self._interrupts)
        self._interrupts.send(self._channel, {"op": "ready"})
        while True:
            try:
                message = self._channel.receive()
            except ClosedError:
                return
            if message["op"] == "answer":
                continue  # to a question whose asker was interrupted
            answer = self._answers[message["op"]](message)
            if os.getpid() != self._pid:
                return  # a fork that the student's code left behind
            self._interrupts.send(self._channel, {"op": "done", "id": message["id"], **answer})

    def _emit(self, output: Output) -> None:
        self._interrupts.send(self._channel, {"op": "output", "output": output})

    def _ask(self, question: Message) -> Message:
        """Ask the grader something in the middle of a call."""
        self._asked += 1
        number = self._asked
        self._interrupts.send(self._channel, {"op": "ask", "id": number, **question})
        while True:
            answer: Message = self._channel.receive()
            if answer["id"] == number:
                return answer

    def _file(self, message: Message) -> Message:
        path = Path(message["path"])
        with contextlib.suppress(OSError):  # names that collide, a full disk: then it is not there
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(message["data"].tobytes())
        return {}

    def _cell(self, message: Message) -> Message:
        """Run a cell; its outputs are sent while it runs."""
        shell = self._shell
        shell.recorder.start()
        try:
            source = message["source"]
            result = self._interrupts.run(partial(shell.run_cell, source, store_history=True))
            error = result.error_before_exec or result.error_in_exec
        except BaseException as caught:  # between the student's code and ours
            error = caught
        try:
            sys.stdout, sys.stderr = shell.recorder.stdout, shell.recorder.stderr
            shell.recorder.stop()
        except BaseException as caught:
            error = error or caught
        count = shell.execution_count - 1
        return {"error": type(error).__name__ if error else "", "execution_count": int(count)}

    def _keep(self, message: Message) -> Message:
        """Keep what the notebook is now, for calls of the function ``name`` later on."""
        self._moments[message["name"]] = Moment(self._shell.user_ns)
        return {}

    def _observe(self, message: Message) -> Message:
        """Observe a function of the notebook on one case, at the moment that was kept for it."""
        names, name = self._shell.user_ns, message["name"]
        try:
            if name in self._moments and name != self._now:
                self._moments[name].restore(names)
                self._now = name
            function = names.get(name)
            if function is None:
                return {"observation": None}
            probe, case, seconds = message["probe"], message["case"], message["seconds"]
            observation = self._interrupts.run(
                partial(probes.observe, function, probe, case, seconds=seconds)
            )
        except (KeyboardInterrupt, TimeLimitError):
            observation = probes.Observation(timed_out=True)
        except BaseException as caught:  # what the student defined may raise anything, anywhere
            error = probes.CallError(type(caught).__name__, "")
            observation = probes.Observation(error=error)
        return {"observation": _plain(observation)}

    def _read(self, message: Message) -> Message:
        """Return a variable of the notebook."""
        value = self._shell.user_ns.get(message["name"])
        return {"observation": _plain(probes.Observation(value=value))}


def _plain(observation: probes.Observation) -> probes.Observation:
    """The observation as it can be sent: a value that is not plain data is only described."""
    value: object
    try:
        raw = wire.dumps(observation.value, opaque=True)
        value = wire.loads(raw)
        fits = len(raw) < MAX_ANSWER_BYTES
    except Exception:  # whatever a student's object does when it is looked at
        fits = False
    if not fits:
        value = wire.Opaque(f"{type(observation.value).__name__} (too large or unusual)", "")
    return dataclasses.replace(observation, value=value)


def serve(descriptor: int, shell: Shell) -> NoReturn:
    """Serve whoever holds the other end of the socket ``descriptor``, with the process's shell."""
    runner = Runner(Channel(socket.socket(fileno=descriptor)), shell)
    sys.path.insert(0, "")  # as Jupyter has it: what lies beside the notebook can be imported
    try:
        runner.run()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    os._exit(0)  # no waiting for a student's threads
