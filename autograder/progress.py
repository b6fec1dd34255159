"""The progress bar of grading: submissions done, rate, time left, what could not be graded."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

SECONDS = 0.2  # between two pictures of the bar; where they stay, in a log, LOG_SECONDS
LOG_SECONDS = 10.0


class Bar(tqdm):  # type: ignore[misc]
    """tqdm by a clock that nobody can set, with what was done before left out of the rate."""

    monitor_interval = 0  # its watching thread goes by the other clock

    def __init__(self, *, total: int, desc: str) -> None:
        interval = SECONDS if sys.stderr.isatty() else LOG_SECONDS
        options: dict[str, Any] = {"smoothing": 0, "miniters": 1, "mininterval": interval}
        super().__init__(total=total, desc=desc, unit="student", **options)
        self._time = time.monotonic
        self.start_t = self.last_print_t = self._time()

    def skip(self) -> None:
        """Count one that was recorded before."""
        self.initial += 1
        self.update()

    def advance(self, number: int, failures: Mapping[str, int]) -> None:
        """Count submissions that are recorded now, and show what could not be graded so far."""
        self.set_postfix(failures, refresh=False)
        self.update(number)
