"""An IPython shell without a terminal: what its cells show becomes nbformat outputs."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell, InteractiveShellABC
from traitlets.config import Config

MAX_OUTPUT_BYTES = 4 << 20  # of one cell
MAX_TEXT = 20_000  # characters of an error's message and of a line of its traceback
FLUSH_CHARACTERS, FLUSH_SECONDS = 8192, 0.2

Output = dict[str, Any]
Emit = Callable[[Output], None]


class Recorder:
    """Where everything that a cell shows arrives: bounded, and silent while a call is judged."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._left = 0
        self.stdout = Stream("stdout", self)
        self.stderr = Stream("stderr", self)

    def send_to(self, emit: Emit) -> None:
        """Let everything go to ``emit`` from here on."""
        self._emit = emit

    def start(self) -> None:
        """Begin a cell."""
        self.stdout.discard()
        self.stderr.discard()
        self._left = MAX_OUTPUT_BYTES

    def stop(self) -> None:
        """End a cell: nothing is recorded until the next one begins."""
        self.flush()
        self._left = 0

    def flush(self, but: Stream | None = None) -> None:
        """Pass on what was written so far, so that outputs keep their order."""
        for stream in (self.stdout, self.stderr):
            if stream is not but:
                stream.flush()

    def add(self, output: Output) -> None:
        """Record one output, or say once that there was too much."""
        if self._left <= 0:
            return
        self._left -= _size(output)
        if self._left <= 0:
            text = f"\n[this cell's output is longer than {MAX_OUTPUT_BYTES >> 20} MiB: cut here]\n"
            output = {"output_type": "stream", "name": "stderr", "text": text}
        self._emit(output)


class Stream(io.TextIOBase):
    """What a cell sees as ``sys.stdout`` or ``sys.stderr``."""

    encoding = "utf-8"

    def __init__(self, name: str, recorder: Recorder) -> None:
        self._name = name
        self._recorder = recorder
        self._parts: list[str] = []
        self._length = 0
        self._flushed = time.monotonic()

    def discard(self) -> None:
        """Forget what was written between cells."""
        self._parts, self._length, self._flushed = [], 0, time.monotonic()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1 if self._name == "stdout" else 2

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._recorder.flush(but=self)
        self._parts.append(text)
        self._length += len(text)
        if self._length > FLUSH_CHARACTERS or time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if parts := self._parts:
            self.discard()
            text = "".join(parts)[:MAX_OUTPUT_BYTES]
            self._recorder.add({"output_type": "stream", "name": self._name, "text": text})


def _recorder(shell: Any) -> Recorder:
    recorder: Recorder = shell.recorder
    return recorder


class Hook(DisplayHook):
    """Records the value of a cell's last expression."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        recorder = _recorder(self.shell)
        recorder.flush()
        recorder.add(
            {
                "output_type": "execute_result",
                "execution_count": self.prompt_count,
                "data": _bundle(format_dict),
                "metadata": {},
            }
        )

    def log_output(self, format_dict: Any) -> None:
        pass

    def finish_displayhook(self) -> None:
        pass


class Publisher(DisplayPublisher):
    """Records what ``display`` shows; updates of an earlier output are dropped."""

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
        **kwargs: Any,
    ) -> None:
        if not update:
            recorder = _recorder(self.shell)
            recorder.flush()
            recorder.add({"output_type": "display_data", "data": _bundle(data), "metadata": {}})

    def clear_output(self, wait: bool = False) -> None:
        pass


class Shell(InteractiveShell):
    """Runs cells as Jupyter does: magics, displays, figures, top-level ``await``, tracebacks."""

    recorder: Recorder

    def init_io(self) -> None:
        pass

    def enable_gui(self, gui: Any = None) -> None:
        pass

    def ask_exit(self) -> None:
        pass

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        self.recorder.flush()
        lines = [stb] if isinstance(stb, str) else list(stb)
        self.recorder.add(
            {
                "output_type": "error",
                "ename": str(getattr(etype, "__name__", etype))[:200],
                "evalue": _text(evalue),
                "traceback": [_text(line) for line in lines[:200]],
            }
        )

    def system(self, cmd: str) -> None:
        """Run ``!cmd`` and show what it prints."""
        done = subprocess.run(
            self.var_expand(cmd, depth=1),  # type: ignore[no-untyped-call]
            shell=True,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        sys.stdout.write(done.stdout.decode(errors="replace"))
        self.user_ns["_exit_code"] = done.returncode


InteractiveShellABC.register(Shell)


def make_shell(emit: Emit) -> Shell:
    """Return the process's shell, its outputs going to ``emit``; a figure is shown inline."""
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.cache_size = 0
    config.InteractiveShell.colors = "Linux"
    shell: Shell = Shell.instance(
        config=config, displayhook_class=Hook, display_pub_class=Publisher
    )
    shell.recorder = Recorder(emit)
    sys.stdout, sys.stderr = shell.recorder.stdout, shell.recorder.stderr
    return shell


def _bundle(data: Any) -> dict[str, Any]:
    """A mime bundle as JSON data: bytes as base64, everything unusual as text."""
    bundle = {}
    for kind, value in dict(data).items():
        if isinstance(value, bytes):
            bundle[str(kind)] = base64.b64encode(value).decode("ascii")
        else:
            bundle[str(kind)] = str(value)[:MAX_OUTPUT_BYTES]
    return bundle


def _text(value: Any) -> str:
    try:
        return str(value)[:MAX_TEXT]
    except Exception:  # a student's __str__ may do anything
        return "(no message)"


def _size(output: Output) -> int:
    bundle = output.get("data", {})
    texts = [*bundle.values(), *output.get("traceback", ()), output.get("text", "")]
    return 100 + sum(map(len, texts))
