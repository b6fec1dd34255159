"""``python -m autograder.sample_class``: write the sample class to ``build/sample_class``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from autograder import discover
from autograder.errors import LabError
from autograder.sample_class import generate


def main() -> int:
    """Generate the sample class and say where it is."""
    parser = argparse.ArgumentParser(
        prog="python -m autograder.sample_class", description=generate.__doc__
    )
    parser.add_argument("lab", nargs="*", help="labNN_topic (default: every lab)")
    parser.add_argument("--out", type=Path, default=discover.ROOT / "build" / "sample_class")
    parser.add_argument("--course", type=Path, default=discover.COURSE)
    options = parser.parse_args()
    try:
        labs = [discover.load(name) for name in options.lab or discover.lab_names()]
        generate(labs, options.out, options.course)
    except LabError as error:
        print(error, file=sys.stderr)
        return 2
    print(options.out / "submissions")
    return 0


if __name__ == "__main__":
    sys.exit(main())
