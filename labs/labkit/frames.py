"""Frames: one plain value after another over a socket, each a 4-byte length and wire bytes."""

from __future__ import annotations

import socket
import struct
import threading
import time
from typing import Any

from labkit import wire

HEADER = struct.Struct("<I")
CHUNK = 1 << 20
OUT_OF_MEMORY = 86  # exit code of a process that cannot even answer for want of memory


class ClosedError(ConnectionError):
    """The other side has gone."""


class Channel:
    """Both ends of the conversation between a grader and a student's process.

    What arrives may come from anybody: a frame longer than ``limit`` bytes is refused before it is
    read, and a frame that is not a well-formed value raises `labkit.wire.WireError`.
    """

    def __init__(self, connection: socket.socket, *, limit: int = wire.MAX_BYTES) -> None:
        self._connection = connection
        self._limit = limit
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self.received = 0  # bytes so far, for whoever bounds them

    def send(self, value: Any, *, seconds: float | None = None) -> None:
        """Send one value.

        Raises:
            WireError: if the value is not plain data or is too large; nothing was sent then.
            TimeoutError: if the other side does not read it within ``seconds``.
            ClosedError: if the other side has gone.
        """
        raw = wire.dumps(value)
        with self._lock:
            self._connection.settimeout(seconds)
            try:
                self._connection.sendall(HEADER.pack(len(raw)) + raw)
            except TimeoutError:
                raise
            except OSError:
                raise ClosedError from None

    def receive(self, *, seconds: float | None = None) -> Any:
        """Return the next value; what has arrived of it is kept if time runs out.

        Raises:
            TimeoutError: if it is not complete within ``seconds``.
            ClosedError: if the other side has gone.
            WireError: if what arrived is not a well-formed value.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        self._fill(HEADER.size, deadline)
        (length,) = HEADER.unpack_from(self._buffer)
        if length > self._limit:
            raise wire.WireError(f"a frame of {length} bytes is longer than {self._limit}")
        self._fill(HEADER.size + length, deadline)
        raw = bytes(self._buffer[HEADER.size : HEADER.size + length])
        del self._buffer[: HEADER.size + length]
        return wire.loads(raw)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _fill(self, size: int, deadline: float | None) -> None:
        while len(self._buffer) < size:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError
            self._connection.settimeout(left)
            try:
                chunk = self._connection.recv(CHUNK)
            except TimeoutError:
                raise
            except OSError:
                raise ClosedError from None
            if not chunk:
                raise ClosedError
            self.received += len(chunk)
            self._buffer += chunk
