"""nbgrader's formgrader with a guard around it: an extension of the Jupyter server.

Its pages, scripts and handlers stay nbgrader's. A script on one of its pages could do on this
machine whatever the instructor can, so that no page runs a script but nbgrader's own (each answer
carries a Content-Security-Policy), whatever came through the sanitizer. Besides, a button that runs
a notebook doesn't hold up the server, formulas need no other machine, and a gradebook that was busy
once doesn't stay unusable.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from jinja2 import Environment
from jinja2.ext import Extension
from markupsafe import escape
from nbgrader.server_extensions.formgrader import apihandlers, handlers
from nbgrader.server_extensions.formgrader.base import BaseHandler, check_xsrf
from nbgrader.server_extensions.formgrader.formgrader import FormgradeExtension
from nbgrader.utils import is_grade, is_solution
from tornado import web

from autograder.course import read_notebook
from autograder.notebook_pages import PageExporter, Resources

NONCE = secrets.token_urlsafe(24)  # in no page that a student sees
HANDLER = re.compile(r"""\son[a-z]+="([^"{}]+)\"""", re.IGNORECASE)
MAX_ANSWER_BYTES = 256 << 20
# In place of MathJax, for whose start nbgrader's script waits; fields that take nothing until
# nbgrader listens to them, which is when it has fetched what was given before and shows that in
# place of whatever is typed there; and a word on what failed, until it is done after all.
SCRIPT = """
window.MathJax = {Hub: {Startup: {signal: {Interest: heard => heard("End")}}}};
const lock = locked => {
  $(".score, .extra-credit, .comment").prop("readonly", locked);
  $(".scoring-buttons button").prop("disabled", locked);
};
const failed = new Set();
$(() => lock(true));
$(document).ajaxSuccess((event, answer, asked) => {
  lock(!(formgrader.grades.loaded && formgrader.comments.loaded));
  if (failed.delete(asked.url) && !failed.size) { $("#statusmessage").stop(true).hide(); }
});
$(document).ajaxError((event, answer, asked) => {
  failed.add(asked.url);
  const [what, then] = asked.type === "GET"
    ? ["NOT LOADED", "Load this page again"] : ["NOT SAVED", "Change the field again"];
  $("#statusmessage").stop(true).css({color: "#a00", opacity: 1}).show().text(
    `${what}: the gradebook is busy or out of reach. ${then} in a moment.`);
});
"""


class OwnScripts(Extension):
    """Marks the scripts that stand in a template, before anything of a student comes into it."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.replace("<script", f'<script nonce="{NONCE}"')


def policy(templates: Path) -> str:
    """Return the Content-Security-Policy of pages that are made from these templates."""
    texts = [path.read_text("utf-8") for path in sorted(templates.rglob("*")) if path.is_file()]
    written = {found for text in texts for found in HANDLER.findall(text)}
    digests = [base64.b64encode(hashlib.sha256(code.encode()).digest()) for code in sorted(written)]
    hashes = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{NONCE}' 'unsafe-hashes' {hashes}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        )
    )


POLICY = policy(Path(handlers.template_path))
FILE_POLICY = "default-src 'none'; sandbox"


class FormgradePage(PageExporter):
    """A submission in formgrader, with the fields for scores and comments."""

    def _create_environment(self) -> Environment:
        environment: Environment = super()._create_environment()  # type: ignore[no-untyped-call]
        environment.add_extension(OwnScripts)
        return environment

    def model_answers(self, resources: Resources) -> dict[str, str]:
        """The instructor's own answers to what is graded by hand."""
        lab, root = resources["assignment_id"], Path(self.config.CourseDirectory.root)
        path = root / "source" / lab / f"{lab}.ipynb"
        cells = read_notebook(path).cells if path.is_file() else []
        return {
            cell.metadata.nbgrader.grade_id: cell.source
            for cell in cells
            if cell.cell_type == "markdown" and is_grade(cell) and is_solution(cell)
        }

    def from_notebook_node(  # type: ignore[override]
        self, nb: Any, resources: Resources | None = None, **options: Any
    ) -> tuple[str, Resources]:
        """Return the page of a notebook."""
        told = {} if resources is None else resources
        for name in ("student", "first_name", "last_name"):  # nbgrader's page takes them for HTML
            told[name] = escape(told.get(name) or "")
        page, made = super().from_notebook_node(nb, told, **options)
        script = f'<script nonce="{NONCE}">{SCRIPT}</script>'
        return page.replace("</head>", f"{script}\n</head>", 1), made


class Worker:
    """The process that does what takes long, one request after another."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._one = asyncio.Lock()

    async def do(self, action: str, *arguments: str) -> dict[str, Any]:
        """Return what `autograder.formgrader_worker.do` returns."""
        async with self._one:
            if self._process is None or self._process.returncode is not None:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "autograder.formgrader_worker"),
                    stdin=PIPE,
                    stdout=PIPE,
                    limit=MAX_ANSWER_BYTES,
                )
            process = self._process
            assert process.stdin and process.stdout
            try:
                process.stdin.write(json.dumps([action, *arguments]).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
            except ConnectionError:
                line = b""
            if not line:
                code = await process.wait()
                said = f"the process that grades ended with code {code}: try again"
                return {"success": False, "log": "", "error": said}
            result: dict[str, Any] = json.loads(line)
            return result


class Guarded:
    """What every handler of formgrader gets in addition."""

    policy = POLICY

    @property
    def content_security_policy(self) -> str:
        return self.policy

    def set_default_headers(self: Any) -> None:
        super().set_default_headers()  # type: ignore[misc]
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")

    def on_finish(self: Any) -> None:
        """Forget what was read: others may write, and a failed transaction would stay failed."""
        if gradebook := self.settings["nbgrader_gradebook"]:
            gradebook.db.remove()
        super().on_finish()  # type: ignore[misc]


class Start(BaseHandler):  # type: ignore[misc]
    """nbgrader's own would read, and so run, the configuration in any folder that a link names."""

    @web.authenticated
    @check_xsrf  # type: ignore[untyped-decorator]
    def get(self) -> None:
        self.redirect(f"{self.base_url}/formgrader/manage_assignments")


class SubmittedFile(handlers.SubmissionFilesHandler):  # type: ignore[misc]
    """What a student handed in is downloaded, never shown as a page of this server."""

    policy = FILE_POLICY

    def set_extra_headers(self, path: str) -> None:
        super().set_extra_headers(path)
        self.set_header("Content-Disposition", "attachment")


def long(action: str) -> type[BaseHandler]:
    """Return the handler of a button that the worker serves; its URL holds the arguments."""

    class Button(BaseHandler):  # type: ignore[misc]
        @web.authenticated
        @check_xsrf  # type: ignore[untyped-decorator]
        async def post(self, *arguments: str) -> None:
            self.write(json.dumps(await self.settings["autograder_worker"].do(action, *arguments)))

    return Button


REPLACED: dict[type[Any], type[Any]] = {
    handlers.FormgraderHandler: Start,
    handlers.SubmissionFilesHandler: SubmittedFile,
    apihandlers.AssignHandler: long("generate_assignment"),
    apihandlers.AutogradeHandler: long("autograde"),
    apihandlers.GenerateAllFeedbackHandler: long("generate_feedback"),
    apihandlers.GenerateFeedbackHandler: long("generate_feedback"),
}


def guarded(handler: type[Any]) -> type[Any]:
    """Return the handler with the guard in front; one of nbgrader's own static files as it is."""
    handler = REPLACED.get(handler, handler)
    if not issubclass(handler, BaseHandler):
        return handler
    return type(
        handler.__name__, (Guarded, handler), {"policy": getattr(handler, "policy", POLICY)}
    )


class GuardedFormgrader(FormgradeExtension):  # type: ignore[misc]
    """nbgrader's extension with guarded handlers."""

    def init_tornado_settings(self, webapp: Any) -> None:
        self.debug = False  # it would show the configuration, and with it a gradebook's password
        super().init_tornado_settings(webapp)
        webapp.settings["nbgrader_jinja2_env"].add_extension(OwnScripts)
        webapp.settings["nbgrader_exporter"] = FormgradePage(  # type: ignore[no-untyped-call]
            config=self.config
        )
        webapp.settings["autograder_worker"] = Worker()

    def init_handlers(self, webapp: Any) -> None:
        own = handlers.default_handlers, apihandlers.default_handlers
        handlers.default_handlers, apihandlers.default_handlers = (
            [(pattern, guarded(handler), *rest) for pattern, handler, *rest in kept] for kept in own
        )
        try:
            super().init_handlers(webapp)
        finally:
            handlers.default_handlers, apihandlers.default_handlers = own


def _load_jupyter_server_extension(server: Any) -> None:
    """Called by the Jupyter server."""
    extension = GuardedFormgrader(parent=server)
    extension.root_dir = server.root_dir
    extension.log = server.log
    extension.initialize([])
    extension.init_tornado_settings(server.web_app)
    extension.init_handlers(server.web_app)
    # The server's own Ctrl-C asks a question first, in a thread beside the loop that it then stops,
    # or, without a terminal, is an exception wherever the loop happens to be, which may swallow it.
    signal.signal(signal.SIGINT, server._signal_stop)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]
