"""Runs what an interactive figure computes, in Node, so that a test can compare it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BOOK = Path(__file__).parents[1] / "book"
WIDGETS = BOOK / "widgets"
sys.path.insert(0, str(BOOK / "_ext"))
from course_site import katex  # noqa: E402


def run_js(module: str, expression: str, data: Any) -> Any:
    """Return what an expression over ``core`` (a module) and ``data`` is, in Node."""
    script = (
        f"import * as core from {json.dumps((WIDGETS / module).as_uri())};"
        "import { readFileSync } from 'node:fs';"
        "const data = JSON.parse(readFileSync(0, 'utf8'));"
        f"process.stdout.write(JSON.stringify({expression}));"
    )
    done = subprocess.run(
        [katex.node_program(), "--input-type=module", "-e", script],
        input=json.dumps(data),
        capture_output=True,
        text=True,
        check=True,
        cwd=BOOK,
    )
    return json.loads(done.stdout)
