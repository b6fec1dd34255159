"""The trusted side of one student's process: asks, waits no longer than it should, believes little.

Every question has a deadline: first the student's code is interrupted, then the process is killed.
Answers are plain data; what else a process sends, or how it dies, ends as a `DeathError`.
"""

from __future__ import annotations

import dataclasses
import signal
import time
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np

from autograder.sandbox import Process
from labkit.frames import OUT_OF_MEMORY, ClosedError
from labkit.markers import Env, RemoteEnv
from labkit.probes import Observation, Probe, Rewards
from labkit.trusted import Host
from labkit.wire import Opaque, WireError

GRACE_SECONDS = (
    2.0  # from a limit to the interrupt where the process keeps it itself, then to death
)
CLOCK_SLACK = 0.5  # seconds by which the kernel's two counts of processor time may differ
MEMORY_SHARE = 0.9  # of the limit: who dies above it died of it
MAX_TALK_BYTES = 64 << 20  # of all that a process says to one question
MAX_OUTPUTS = 1000  # of one cell
MAX_NAME = 100  # characters of an exception's type
MAX_FILE_BYTES, FILE_SECONDS = 40 << 20, 30.0

Death = Literal["timeout", "memory", "killed"]
Output = dict[str, Any]


class DeathError(Exception):
    """The process is gone; `kind` is the status that this is worth.

    Attributes:
        kind: ``timeout``, ``memory`` or ``killed``.
        outputs: what the cell had shown until then.
    """

    def __init__(self, kind: Death, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.outputs: list[Output] = []


@dataclasses.dataclass(frozen=True)
class CellRun:
    """What running a cell yielded.

    Attributes:
        outputs: nbformat outputs.
        error: name of the exception that ended it; empty if none did.
        message: the exception's text.
        timed_out: it was interrupted at its limit, which is the error then.
    """

    outputs: list[Output]
    error: str
    message: str
    timed_out: bool


class Student:
    """One notebook's process, from start to end.

    Args:
        files: what lies beside the notebook, by relative path.
        memory_limit: MiB.
        cpu_seconds: limit on processor time.
        isolate: False runs trusted code without a sandbox.

    Attributes:
        tier: the sandbox's name.
        cpu_seconds: processor time, once it is closed.
        peak_bytes: the most memory in use, once it is closed.

    Every method that asks raises `autograder.sandbox.LostError` if the process was lost through no
    doing of its own.

    Raises:
        SandboxError: if the process cannot be started.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        memory_limit: int,
        cpu_seconds: int,
        isolate: bool = True,
    ) -> None:
        self._memory_limit, self._cpu_seconds = memory_limit, cpu_seconds
        self._number = 0
        self._death: DeathError | None = None
        self._process = Process(memory_limit=memory_limit, cpu_seconds=cpu_seconds, isolate=isolate)
        self.tier = self._process.tier.name
        self.cpu_seconds, self.peak_bytes = 0.0, 0  # known at the end
        try:
            for name, content in files.items():
                self._put(PurePosixPath(name), content)
        except BaseException:
            self.close()
            raise

    def run_cell(self, source: str, seconds: float) -> CellRun:
        """Run a cell; one that takes longer than ``seconds`` is interrupted.

        Raises:
            DeathError: if the process does not outlive it.
        """
        shown = _Outputs()
        try:
            reply, interrupted = self._ask({"op": "cell", "source": source}, seconds, shown)
        except DeathError as death:
            death.outputs = [*shown.result(), _error_output(str(death))]
            raise
        outputs = shown.result()
        error = _text(reply.get("error"))[:MAX_NAME]
        timed_out = interrupted and bool(error)
        message = next((o["evalue"] for o in outputs if o["output_type"] == "error"), "")
        if timed_out:
            error, message = "TimeLimitError", f"the cell ran longer than {seconds:g} s"
            outputs.append(_error_output(message, error))
        return CellRun(outputs, error, message, timed_out)

    def keep(self, name: str) -> None:
        """Have the notebook's function ``name`` called, later on, with all as it is now.

        Raises:
            DeathError: if the process has gone.
        """
        self._ask({"op": "keep", "name": name}, GRACE_SECONDS)

    def observe(self, name: str, probe: Probe, case: Any, seconds: float) -> Observation | None:
        """Return what is seen of the notebook's function ``name``; None if there is no such name.

        Raises:
            DeathError: if the process does not outlive the call.
        """
        message = {"op": "observe", "name": name, "probe": probe, "case": case, "seconds": seconds}
        hosted: dict[str, Env] = {}
        if type(probe) is Rewards:  # environments stay here, and so does what they pay
            hosted = {key: value for key, value in case.items() if type(value) is Env}
            remote = {key: RemoteEnv(env, at) for at, (key, env) in enumerate(hosted.items())}
            message["case"] = case | remote
        host = Host([env.build() for env in hosted.values()])
        started = time.monotonic()
        reply, interrupted = self._ask(message, seconds + GRACE_SECONDS, host=host)
        observation = self._observation(reply)
        if type(probe) is Rewards and observation is not None and observation.error is None:
            paid = zip(hosted, (recorder.paid() for recorder in host.recorders), strict=True)
            observation = dataclasses.replace(observation, value=dict(paid))
        late = interrupted or time.monotonic() - started > seconds + GRACE_SECONDS
        if late and observation is not None and not observation.timed_out:
            return Observation(timed_out=True)
        return observation

    def read(self, name: str) -> Any:
        """Return the value of the notebook's variable ``name``; None if there is no such name.

        Raises:
            DeathError: if the process has gone.
        """
        reply, _ = self._ask({"op": "read", "name": name}, GRACE_SECONDS)
        observation = self._observation(reply)
        return None if observation is None else observation.value

    def close(self) -> None:
        """End the process and all that it started."""
        ending = self._process.close()
        if ending is not None:
            self.cpu_seconds, self.peak_bytes = ending.cpu_seconds, ending.peak_bytes

    def _put(self, path: PurePosixPath, content: bytes) -> None:
        """Lay a file beside the notebook; what is too large or leads elsewhere is left out."""
        if len(content) <= MAX_FILE_BYTES and not path.is_absolute() and ".." not in path.parts:
            data = np.frombuffer(content, dtype=np.uint8)
            self._ask({"op": "file", "path": str(path), "data": data}, FILE_SECONDS)

    def _ask(
        self,
        message: dict[str, Any],
        seconds: float,
        shown: _Outputs | None = None,
        host: Host | None = None,
    ) -> tuple[dict[str, Any], bool]:
        """Return the reply, and whether an interrupt was needed to get it."""
        if self._death is not None:
            raise self._death
        self._number += 1
        interrupted = False
        heard = self._process.channel.received
        deadline = time.monotonic() + seconds
        try:
            self._process.channel.send({**message, "id": self._number}, seconds=seconds + 1.0)
            while True:
                try:
                    left = max(deadline - time.monotonic(), 0.0)
                    frame = self._process.channel.receive(seconds=left)
                except TimeoutError:
                    if interrupted:
                        raise
                    self._process.interrupt()
                    interrupted = True
                    deadline = time.monotonic() + GRACE_SECONDS
                    continue
                if self._process.channel.received - heard > MAX_TALK_BYTES:
                    raise WireError("too much")
                if type(frame) is not dict:
                    raise WireError("no message")
                if frame.get("op") == "output" and shown is not None:
                    shown.add(frame.get("output"))
                elif frame.get("op") == "ask" and host is not None:
                    answer = {"op": "answer", "id": frame.get("id"), **host.answer(frame)}
                    left = max(deadline - time.monotonic(), 0.0) + 1.0
                    self._process.channel.send(answer, seconds=left)
                elif frame.get("op") == "done" and frame.get("id") == self._number:
                    return frame, interrupted
                elif frame.get("op") != "output":
                    raise WireError("no answer")
        except TimeoutError:
            self._die(DeathError("timeout", f"it did not stop within {seconds:g} s"))
        except WireError:
            self._die(DeathError("killed", "the process sent what no notebook sends"))
        except ClosedError:
            self._die(None)
        raise AssertionError("unreachable")

    def _die(self, death: DeathError | None) -> None:
        """Make sure that the process is gone and raise why."""
        if death is None:
            death = self._how_it_ended()
        self._process.kill()
        self._death = death
        raise death

    def _how_it_ended(self) -> DeathError:
        ending = self._process.wait(GRACE_SECONDS)
        if ending is None:
            return DeathError("killed", "the process hung up")
        memory = DeathError("memory", f"it used more than {self._memory_limit} MiB of memory")
        if ending.killed_for == "memory" or ending.code == OUT_OF_MEMORY:
            return memory
        if ending.code and ending.peak_bytes > MEMORY_SHARE * (self._memory_limit << 20):
            return memory  # whatever failed first for want of it
        if ending.code >= 0:
            return DeathError("killed", "the code ended the process")
        if ending.code != -signal.SIGKILL:  # with which signal, like the code, it could choose
            return DeathError("killed", "the process crashed")
        if ending.cpu_seconds > self._cpu_seconds - CLOCK_SLACK:
            return DeathError("timeout", f"it computed for more than {self._cpu_seconds} s")
        return memory  # nobody else kills from outside: the machine itself was short of it

    def _observation(self, reply: dict[str, Any]) -> Observation | None:
        observation = reply.get("observation")
        if observation is None:
            return None
        if type(observation) is not Observation:
            self._die(DeathError("killed", "the process sent what no notebook sends"))
        return dataclasses.replace(observation, value=_data(observation.value))


def _data(value: Any) -> Any:
    """The value without records: a forged summary of samples must not be taken for one of ours."""
    if type(value) is dict:
        return {_data(key): _data(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_data(item) for item in value)
    if dataclasses.is_dataclass(value) and type(value) is not Opaque:
        return Opaque(type(value).__name__, "")
    return value


class _Outputs:
    """What a cell shows, as it comes: only what has the form of an output, bounded."""

    def __init__(self) -> None:
        self._outputs: list[Output] = []
        self._texts: list[list[str]] = []  # of each output, joined at the end

    def add(self, output: Any) -> None:
        """Take one output; text goes to the text before it if that is of the same stream."""
        if type(output) is not dict or len(self._outputs) >= MAX_OUTPUTS:
            return
        kind = output.get("output_type")
        made: Output = {"output_type": kind}
        if kind == "stream":
            name, text = output.get("name"), _text(output.get("text"))
            made["name"] = "stderr" if name == "stderr" else "stdout"
            if self._outputs and self._outputs[-1] == made:
                self._texts[-1].append(text)
                return
            self._outputs.append(made)
            self._texts.append([text])
            return
        if kind in ("display_data", "execute_result"):
            data = output.get("data")
            items = data.items() if type(data) is dict else ()
            made |= {"data": {_text(k): _text(v) for k, v in items}, "metadata": {}}
            if kind == "execute_result":
                count = output.get("execution_count")
                made["execution_count"] = count if type(count) is int else None
        elif kind == "error":
            lines = output.get("traceback")
            made |= {name: _text(output.get(name)) for name in ("ename", "evalue")}
            made["traceback"] = [_text(line) for line in lines] if type(lines) is list else []
        else:
            return
        self._outputs.append(made)
        self._texts.append([])

    def result(self) -> list[Output]:
        """Return nbformat outputs."""
        pairs = zip(self._outputs, self._texts, strict=True)
        return [{**made, "text": "".join(texts)} if texts else made for made, texts in pairs]


def _error_output(message: str, name: str = "DeadProcessError") -> Output:
    line = f"{name}: {message}"
    return {"output_type": "error", "ename": name, "evalue": message, "traceback": [line]}


def _text(value: Any) -> str:
    return value if type(value) is str else ""
