"""The ``labkit-modules`` directive: the docstrings of every module of labkit, found, not listed."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import nested_parse_with_titles

import labkit


def modules() -> list[str]:
    """Return the names of labkit's modules, sorted, without the private ones."""
    found = (module.name for module in pkgutil.iter_modules(labkit.__path__))
    return sorted(name for name in found if not name.startswith("_"))


class LabkitModules(SphinxDirective):
    """Used within ``{eval-rst}``: a section per module named, or per module not in ``:except:``."""

    optional_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar[dict[str, Any]] = {"except": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        named = " ".join([*self.arguments, self.options.get("except", "")]).split()
        if missing := set(named) - set(modules()):
            raise self.error(f"labkit has no {', '.join(sorted(missing))}")
        names = named if self.arguments else [name for name in modules() if name not in named]
        lines: list[str] = []
        for name in names:
            self.env.note_dependency(str(importlib.import_module(f"labkit.{name}").__file__))
            title = f"labkit.{name}"
            lines += [title, "~" * len(title), "", f".. automodule:: {title}", "   :members:", ""]
        section = nodes.section()
        section.document = self.state.document
        nested_parse_with_titles(self.state, StringList(lines, "labkit"), section)
        return list(section.children)


def known_object(name: str, module: str) -> Any:
    """Return what a dotted name means in a module, or None."""
    candidates = [f"{module}.{name}", name] if module else [name]
    for candidate in candidates:
        parts = candidate.split(".")
        for length in range(len(parts) - 1, 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:length]))
                for part in parts[length:]:
                    found = getattr(found, part)
            except (ImportError, AttributeError):
                continue
            return found
    return None


def leave_unlinked(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.TextElement | None:
    """Let types that exist elsewhere, or that are only names for types, stand without a link.

    Everything else that a docstring names must be on the page: Sphinx warns of it.
    """
    if node.get("refdomain") != "py":
        return None
    found = known_object(node["reftarget"], node.get("py:module") or "")
    home = getattr(found, "__module__", "") or ""
    is_class_of_labkit = isinstance(found, type) and home.startswith("labkit")
    return None if found is None or is_class_of_labkit else text


def setup(app: Sphinx) -> None:
    app.add_directive("labkit-modules", LabkitModules)
    app.connect("missing-reference", leave_unlinked)
