"""A student's JupyterLab: a server on a free port, and a notebook driven through the browser."""

from __future__ import annotations

import collections
import contextlib
import json
import re
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from autograder import formgrader

KERNEL_MS = 120_000
# JupyterLab's own sign says "idle" from when the first cell is drawn, before a kernel is started;
# a cell that is run then is not run, and nobody is told.
KERNEL_WAITS = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return Boolean(context?.isReady) && kernel?.connectionStatus === "connected"
    && kernel.status === "idle";
}"""
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@contextlib.contextmanager
def serving(command: Sequence[str], root: Path, home: Path) -> Iterator[str]:
    """Run a Jupyter server as `started` does; yields its address alone."""
    with started(command, root, home) as (_, address):
        yield address


@contextlib.contextmanager
def started(
    command: Sequence[str], root: Path, home: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a Jupyter server on a free port; yields it and an address that takes a path: ``format``.

    Args:
        command: starts the server; the options of a test are appended.
        root: where it runs.
        home: an empty folder for configuration and whatever else Jupyter keeps.
    """
    token = secrets.token_hex()
    environment = formgrader.environment() | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    options = ["--no-browser", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0"]
    server = subprocess.Popen(
        [*command, *options, f"--IdentityProvider.token={token}"],
        cwd=root,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert server.stderr
    with server.stderr as log:
        try:
            said = []
            for line in log:
                said.append(line)
                if address := re.search(r"(http://127\.0\.0\.1:\d+)/", line):
                    break
            else:
                raise AssertionError("Jupyter did not start:\n" + "".join(said))
            threading.Thread(target=collections.deque, args=(log, 0), daemon=True).start()
            yield server, f"{address[1]}/{{}}?reset&token={token}"
        finally:
            server.terminate()
            try:
                server.wait(timeout=30)
            except subprocess.TimeoutExpired:
                server.kill()
                raise


@contextlib.contextmanager
def jupyterlab(root: Path, home: Path) -> Iterator[str]:
    """Serve a student's folder with JupyterLab, which fetches nothing and shows every cell."""
    for name, settings in SETTINGS.items():
        path = home / "settings/@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "jupyterlab", "--allow-root"]
    options = [f"--ServerApp.root_dir={root}", "--LabApp.extension_manager=readonly"]
    options += ["--LabApp.expose_app_in_browser=True"]
    with serving([*command, *options], root, home) as address:
        yield address.replace("/{}", "/lab/tree/{}")


class Notebook:
    """A notebook that is open in JupyterLab."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        page.goto(address)
        self.wait_for_kernel()

    def wait_for_kernel(self) -> None:
        """Wait until there is a kernel that has nothing left to do."""
        self.page.wait_for_function(KERNEL_WAITS, timeout=KERNEL_MS)

    def cell(self, text: str) -> Locator:
        """The one code cell whose source contains a text."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").filter(
            has=self.page.locator(".cm-content", has_text=text)
        )
        expect(cell).to_have_count(1)
        return cell

    def run_above(self, cell: Locator) -> None:
        """Run every code cell that stands before a cell."""
        last = cell.element_handle()
        for above in self.page.locator(".jp-Notebook .jp-CodeCell").all():
            if above.evaluate("(one, other) => one === other", last):
                return
            self.run(above)

    def write(self, cell: Locator, source: str) -> None:
        """Replace a cell's source, as somebody would who pastes it."""
        cell.locator(".cm-content").focus()
        expect(cell).to_contain_class("jp-mod-active")
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.insert_text(source)

    def run(self, cell: Locator) -> Locator:
        """Run a cell and wait until it is done; its outputs."""
        prompt = cell.locator(".jp-InputArea-prompt")
        before = prompt.inner_text()
        self.wait_for_kernel()
        cell.locator(".cm-content").focus()  # a click may miss it when an output above grows
        expect(cell).to_contain_class("jp-mod-active")
        self.page.keyboard.press("ControlOrMeta+Enter")
        expect(prompt).not_to_have_text(before, timeout=KERNEL_MS)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=KERNEL_MS)
        return cell.locator(".jp-OutputArea")
