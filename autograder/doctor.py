"""Say what works on this machine and how to get what doesn't."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from autograder import sandbox

ROOT = Path(__file__).parents[1]
OLDEST_PYTHON = (3, 11)
LOW_DISK = 1e9
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: its name, in a word or two.
        state: what was found, in plain words.
        remedy: the command or step that mends it; empty when there is nothing to mend.
        mandatory: nothing works without it.
    """

    what: str
    state: str
    remedy: str = ""
    mandatory: bool = False

    @property
    def fine(self) -> bool:
        """Whether there is nothing to mend."""
        return not self.remedy


def python(version: tuple[int, int, int]) -> Finding:
    """Whether the interpreter is new enough."""
    found = "{}.{}.{} on {}".format(*version, platform.system())
    if version[:2] >= OLDEST_PYTHON:
        return Finding("Python", found)
    return Finding("Python", found, "install Python 3.11 or newer, then make", mandatory=True)


def pins(
    requirements: str, installed: Callable[[str], str] = importlib.metadata.version
) -> Iterator[Finding]:
    """Compare what is installed with the pins.

    Args:
        requirements: the text of requirements.txt.
        installed: a package's version, or `importlib.metadata.PackageNotFoundError`.
    """
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)$", requirements, re.MULTILINE))
    remedy = "make setup"
    strays = []
    for name, version in pinned.items():
        try:
            found = installed(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "not installed", remedy, mandatory=True)
            continue
        if found.split("+")[0] != version:
            strays.append(f"{name} {found} (pinned {version})")
    shown = [
        f"{name} {pinned[name]}"
        for name in ("torch", "transformers", "gymnasium", "nbgrader", "jupyter-book")
        if name in pinned
    ]
    if strays:
        yield Finding("packages", "other versions than pinned: " + ", ".join(strays), remedy)
    else:
        yield Finding("packages", f"{len(pinned)} as pinned: {', '.join(shown)}")


def gpu() -> Finding:
    """The accelerator that the labs would use."""
    try:
        import torch
    except ImportError as error:
        return Finding("GPU", f"torch can't be imported: {error}", "make setup", mandatory=True)
    if torch.cuda.is_available():
        memory = torch.cuda.get_device_properties(0).total_memory / 2**30
        return Finding("GPU", f"{torch.cuda.get_device_name(0)}, {memory:.0f} GiB")
    return Finding("GPU", "none: the labs run at their CPU sizes")


def browser() -> Finding:
    """The browser that tests, screenshots and the PDF go through."""
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        return Finding(
            "Chromium",
            "missing: the browser tests are left out",
            "sudo apt-get install chromium",
        )
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return Finding("Chromium", version.stdout.strip() or path)


def grading() -> Finding:
    """Whether students' code can be run safely here."""
    tier = sandbox.available()
    if isinstance(tier, str):
        return Finding("grading", "can't be done safely here", tier)
    return Finding("grading", f"in a sandbox ({tier.name})", tier.lacks)


def disk(free: int) -> Finding:
    """Whether builds and gradebooks have room.

    Args:
        free: free bytes where the repository is.
    """
    found = f"{free / 1e9:.1f} GB free"
    return Finding("disk", found, "make room" if free < LOW_DISK else "", mandatory=True)


def report(findings: list[Finding]) -> str:
    """The findings as aligned lines, then what to do."""
    width = max(len(finding.what) for finding in findings)
    lines = [
        f"{'ok  ' if finding.fine else 'MEND' if finding.mandatory else 'note'}"
        f"  {finding.what:{width}}  {finding.state}"
        for finding in findings
    ]
    if all(finding.fine for finding in findings):
        return "\n".join([*lines, "", "Everything works here: website, labs, grading, tests."])
    lines += ["", "To get the rest:"]
    lines += [f"  {finding.what}: {finding.remedy}" for finding in findings if not finding.fine]
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose: everything is looked at."""


def run(args: argparse.Namespace) -> int:
    """Print the findings; 1 when something mandatory is broken."""
    findings = [
        python(sys.version_info[:3]),
        *pins((ROOT / "requirements.txt").read_text(encoding="utf-8")),
        gpu(),
        grading(),
        browser(),
        disk(shutil.disk_usage(ROOT).free),
    ]
    print(report(findings))
    return int(any(finding.mandatory and not finding.fine for finding in findings))
