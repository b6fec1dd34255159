"""``python -m tests.hostile.run ROOM``: grade the class in a room, in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from autograder import survivor
from autograder.grade import Options, grade
from tests.hostile.room import LAB

survivor.CELL_SECONDS = 5.0  # here, since worker processes import this module too


def main(folder: Path) -> int:
    """Grade with small limits, so that attacks that reach them cost little.

    The most memory in use, in bytes, goes to the file ``peak``: of this process alone, since what
    its children had in use includes students, who may fill their own limits. It is read from
    ``/proc``: ``getrusage`` also counts what a parent had in use when it started this process.
    """
    code = grade(
        Options(
            lab=LAB,
            submissions=folder / "submissions",
            out=folder / "out",
            course=folder / "course",
            labs=folder / "solutions",
            workers=2,
            time_limit=1.0,
            memory_limit=512,
        )
    )
    (folder / "peak").write_text(str(_most_memory()))
    return code


def _most_memory() -> int:
    """Bytes that this process had in use at most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(peak.split()[1]) << 10


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
