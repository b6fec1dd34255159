"""Makes .venv and installs the course into it; says in one sentence why it can't.

Runs before anything is installed and on any Python, so that an old one gets a sentence instead of
a syntax error: the standard library only, no f-strings, no annotations.
"""

import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
OLDEST = (3, 11)
NEWER = ["python3.14", "python3.13", "python3.12", "python3.11"]
NEEDED_BYTES = 3 * 10**9

PIP_FAILURES = [
    (
        r"No space left on device|Disk quota exceeded",
        "The disk is full: the course needs about 3 GB (8 GB where pip brings PyTorch with CUDA).",
    ),
    (
        r"NewConnectionError|Failed to establish|Temporary failure in name resolution"
        r"|Could not fetch URL|ReadTimeout|ConnectionReset|Max retries exceeded",
        "No package index could be reached: connect this machine, or point pip at a mirror"
        " (PIP_INDEX_URL), and run make again.",
    ),
    (
        r"No matching distribution found for (\S+)",
        "There is no {0} for this Python and system: Python 3.11 to 3.13 on 64-bit Linux, macOS or"
        " Windows has every package.",
    ),
]

SHOWN = re.compile(r"\s*(Collecting|Downloading|Installing collected)")
RETRYING = "WARNING: Retrying"


class Refusal(Exception):
    """What is missing, in one sentence."""


def say(text):
    """Print a line at once, so that it stands above the output of what it announces."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def which(name):
    """The path of a program, or None (Python 2 has no shutil.which)."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            return path
    return None


def runs(command):
    """Whether a command runs and succeeds, silently."""
    with open(os.devnull, "w") as nowhere:
        try:
            return subprocess.call(command, stdout=nowhere, stderr=nowhere) == 0
        except OSError:
            return False


def newer_python():
    """The newest Python on the path that is new enough, or None."""
    for name in NEWER:
        path = which(name)
        if path and runs([path, "-c", "import venv, ensurepip"]):
            return path
    return None


def check_python(version):
    """Refuse a Python that is too old."""
    if tuple(version[:2]) < OLDEST:
        raise Refusal(
            "The course needs Python %d.%d or newer and this is %d.%d: install one and run"
            " make PYTHON=python3.12 with its name." % (OLDEST + tuple(version[:2]))
        )


def check_venv(importable):
    """Refuse a Python that Debian shipped without its venv module.

    Args:
        importable: called with a module's name, returns whether it can be imported.
    """
    if not (importable("venv") and importable("ensurepip")):
        raise Refusal(
            "This Python has no venv module: install it (Debian and Ubuntu:"
            " sudo apt-get install python3-venv) and run make again."
        )


def check_disk(free):
    """Refuse a disk without room for what is installed.

    Args:
        free: bytes that are free where .venv will be.
    """
    if free < NEEDED_BYTES:
        raise Refusal(
            "The course needs about 3 GB of disk and %.1f GB are free in %s: make room, or clone it"
            " elsewhere." % (free / 1e9, ROOT)
        )


def explain(output):
    """One sentence for what pip wrote."""
    for pattern, sentence in PIP_FAILURES:
        match = re.search(pattern, output)
        if match:
            return sentence.format(*match.groups())
    last = [line for line in output.splitlines() if line.strip()][-1:]
    return "pip could not install the course: %s" % "".join(last)


def importable(module):
    """Whether a module can be imported here."""
    try:
        __import__(module)
    except ImportError:
        return False
    return True


def venv_python():
    """The interpreter inside .venv."""
    parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return os.path.join(VENV, *parts)


def pip(arguments):
    """Run pip in .venv: a line per package as it comes, one sentence if it fails."""
    command = [venv_python(), "-m", "pip", "--disable-pip-version-check", "install"] + arguments
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    lines = []
    for line in process.stdout:
        lines.append(line)
        if SHOWN.match(line):
            say("  " + line.strip())
        elif line.startswith(RETRYING):
            say("  The package index does not answer, trying again")
    if process.wait() != 0:
        raise Refusal(explain("".join(lines)))


def install():
    """Make .venv, or mend a half-made one, and install the course and its pins."""
    if not runs([venv_python(), "-m", "pip", "--version"]):
        check_disk(shutil.disk_usage(ROOT).free)
        say("Making .venv with Python %d.%d.%d" % tuple(sys.version_info[:3]))
        if subprocess.call([sys.executable, "-m", "venv", "--clear", VENV]) != 0:
            raise Refusal("Python could not make .venv: its message stands above.")
    say("Installing the pins of requirements.txt (about 2 GB the first time)")
    pip(["-r", "requirements.txt"])
    say("Installing the course itself")
    pip(["--no-deps", "-e", ".", "-e", "labs"])
    with open(os.path.join(VENV, ".installed"), "w"):
        pass


def main():
    """Set the course up; the exit code."""
    try:
        try:
            check_python(sys.version_info)
        except Refusal:
            newer = newer_python()
            if newer is None:
                raise
            return subprocess.call([newer, os.path.abspath(__file__)])
        check_venv(importable)
        install()
    except Refusal as refusal:
        sys.stderr.write("%s\n" % refusal)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted: run make again to go on.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
