"""``python -m autograder grade`` on labs that lie elsewhere, optionally looking at itself.

``python -m benchmarks.classroom.cli LAB ... [--labs DIR] [--profile FILE]``
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path

from autograder import discover, grade
from benchmarks.classroom.sampling import Sampler


def main() -> int:
    """Grade as the command does."""
    parser = argparse.ArgumentParser(description=__doc__)
    grade.add_arguments(parser)
    parser.add_argument("--labs", type=Path, default=discover.SOLUTIONS)
    parser.add_argument("--profile", type=Path)
    options = vars(parser.parse_args())
    profile = options.pop("profile")
    sampler = Sampler() if profile else None
    with sampler or contextlib.nullcontext():
        code = grade.grade(grade.Options(**options))
    if sampler:
        profile.write_text(json.dumps(sampler.seconds), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
