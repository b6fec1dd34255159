"""The ``{lab-card}`` directive and the ``{incode}`` role: from a chapter to its lab."""

from __future__ import annotations

import dataclasses
import html
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

from course_site.labpage import anchor


@dataclasses.dataclass(frozen=True)
class Lab:
    """What a card says about a lab.

    Attributes:
        name: its folder, ``labNN_topic``.
        title: in words.
        points: what it is worth, written questions included.
        minutes: how long it takes a student.
        exercises: how many have a check.
        cpu, gpu: what one trains on each, in words; empty if the lab doesn't say.
    """

    name: str
    title: str
    points: float
    minutes: int
    exercises: int
    cpu: str
    gpu: str


def front_matter(text: str) -> dict[str, Any]:
    """Return the YAML between the first two ``---`` lines."""
    _, header, _ = text.split("---\n", 2)
    fields = yaml.safe_load(header)
    return fields if isinstance(fields, dict) else {}


def read_lab(root: Path, name: str) -> Lab:
    """Read a lab's facts from its source and from the cases that its student gets.

    Raises:
        FileNotFoundError: there is no such lab, or it isn't built.
    """
    fields = front_matter((root / "solutions" / name / "lab.md").read_text("utf-8"))
    public = json.loads((root / "labs" / name / "public_cases.json").read_text("utf-8"))
    return Lab(
        name=name,
        title=public["title"],
        points=fields["total"],
        minutes=fields["minutes"],
        exercises=len(public["exercises"]),
        cpu=fields.get("cpu", ""),
        gpu=fields.get("gpu", ""),
    )


def colab_link(labs_url: str, name: str) -> str | None:
    """Return where Colab opens the lab, if the student material is on GitHub, else None."""
    address = urlsplit(labs_url)
    if address.hostname != "github.com":
        return None
    repository = address.path.strip("/")
    if "/tree/" not in repository:
        repository += "/tree/main"
    place = repository.replace("/tree/", "/blob/", 1)
    return f"https://colab.research.google.com/github/{place}/{name}/{name}.ipynb"


def duration(minutes: int) -> str:
    """Return minutes as one says them: 45 min, 2 h, 3 h 20 min."""
    hours, rest = divmod(minutes, 60)
    parts = ([f"{hours} h"] if hours else []) + ([f"{rest} min"] if rest else [])
    return " ".join(parts) or "0 min"


def card(lab: Lab, *, root: str, labs_url: str, on_lab_page: bool) -> str:
    """Return the card as HTML.

    Args:
        lab: what to say.
        root: relative address of the site's root.
        labs_url: where the student's material is published; may be empty.
        on_lab_page: leave out the button that leads to this page.
    """
    facts = [
        ("Points", f"{lab.points:g}"),
        ("Time", duration(lab.minutes)),
        ("Exercises", str(lab.exercises)),
        ("On a CPU", lab.cpu),
        ("On a GPU", lab.gpu),
    ]
    rows = "".join(
        f"<div><dt>{label}</dt><dd>{html.escape(value)}</dd></div>"
        for label, value in facts
        if value
    )
    colab = colab_link(labs_url, lab.name) or f"{root}how_labs_work.html#in-colab"
    links = [] if on_lab_page else [(f"{root}labs/{lab.name}.html", "Read the lab", "fa-book-open")]
    links += [
        (f"{root}labs/{lab.name}.zip", "Download", "fa-download"),
        (colab, "Open in Colab", "fa-cloud"),
    ]
    buttons = "".join(
        f'<a class="lab-button" href="{html.escape(address)}">'
        f'<i class="fa-solid {icon}" aria-hidden="true"></i> {label}</a>'
        for address, label, icon in links
    )
    heading = "" if on_lab_page else f'<p class="lab-title">{html.escape(lab.title)}</p>'
    return (
        f'<div class="lab-card" role="group" aria-label="Lab: {html.escape(lab.title)}">'
        f'{heading}<dl class="lab-facts">{rows}</dl><div class="lab-buttons">{buttons}</div></div>'
    )


class LabCard(SphinxDirective):
    """``{lab-card} labNN_topic``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        repository = Path(self.env.srcdir).parent
        try:
            lab = read_lab(repository, name)
        except FileNotFoundError as error:
            raise self.error(f"lab {name}: {error.filename} is missing") from error
        for part in ("solutions/{}/lab.md", "labs/{}/public_cases.json"):
            self.env.note_dependency(str(repository / part.format(name)))
        text = card(
            lab,
            root="../" * self.env.docname.count("/"),
            labs_url=self.config.course_labs_url,
            on_lab_page=self.env.docname == f"labs/{name}",
        )
        return [nodes.raw("", text, format="html")]


class InCode(SphinxRole):
    """``{incode}`labNN_topic:function``` links to the exercise that is this equation."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        lab, _, exercise = self.text.partition(":")
        if not exercise:
            message = self.inliner.reporter.error(
                f"write lab:function, got {self.text!r}", line=self.lineno
            )
            return [], [message]
        link = addnodes.pending_xref(
            "",
            nodes.literal("", exercise, classes=["in-code"]),
            reftype="incode",
            refdomain="",
            reftarget=anchor(lab, exercise),
            refwarn=True,
            refdoc=self.env.docname,
        )
        self.set_source_info(link)
        return [link], []


def find_exercise(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, text: nodes.TextElement
) -> nodes.reference | None:
    """Lead an ``{incode}`` role to the exercise on the lab's page; without one, Sphinx warns."""
    if node.get("reftype") != "incode":
        return None
    labels = env.domains["std"].data["anonlabels"]
    page, target = labels.get(node["reftarget"], (None, None))
    if page is None:
        return None
    return make_refnode(app.builder, node["refdoc"], page, target, text)


def setup(app: Sphinx) -> None:
    app.add_config_value("course_labs_url", "", "html")
    app.add_directive("lab-card", LabCard)
    app.add_role("incode", InCode())
    app.connect("missing-reference", find_exercise)
