"""The ``{measured-results}`` directive: tables from ``benchmarks/results/*.json``.

A file says where and with what it was measured (``date``, ``device_name``, ``versions``), what was
set (``settings``) and what came out: ``methods`` by name, ``exact`` numbers, lists of rows, and
groups of such results by name.
Curves, which are lists of numbers, belong in figures and are left out here.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

Record = Mapping[str, Any]
MOST_COLUMNS = 5
SPREAD = {"count", "mean", "sd", "stderr"}
REPEATED = {"median", "low", "high"}
DESCRIBED = {"date", "device", "device_name", "versions", "settings", "methods", "exact"}


def number(value: Any) -> str:
    """Return a number to four digits, with a real minus sign; other values as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or value == int(value):
        text = f"{int(value):,}"
    else:
        text = f"{value:,.2f}" if abs(value) >= 10 else f"{value:.3g}"
    return text.replace("-", "−")


def cell(value: Any) -> str | None:
    """Return one result in words, or None for what no table holds (a curve)."""
    if isinstance(value, list):
        return None
    if not isinstance(value, dict):
        return number(value)
    if value.keys() >= SPREAD:
        # Two digits of the error say how many of the mean's mean anything.
        digits = max(0, 1 - math.floor(math.log10(value["stderr"]))) if value["stderr"] else 3
        mean = f"{value['mean']:.{digits}f} ± {value['stderr']:.{digits}f}".replace("-", "−")
        return f"{mean} (sd {number(value['sd'])}, n = {number(value['count'])})"
    if value.keys() == REPEATED:
        return f"{number(value['median'])} ({number(value['low'])} to {number(value['high'])})"
    if "0.5" in value:  # quantiles
        low, high = number(value["0.01"]), number(value["0.99"])
        return f"{number(value['0.5'])} (98% from {low} to {high})"
    parts = {key: cell(part) for key, part in value.items()}
    return ", ".join(f"{key}: {text}" for key, text in parts.items() if text) or None


def rows(records: Mapping[str, Record] | Iterable[Record]) -> tuple[list[str], list[list[str]]]:
    """Return header and body of a table; records by name get the name as their first column."""
    named = isinstance(records, Mapping)
    items = list(records.items()) if isinstance(records, Mapping) else [("", r) for r in records]
    columns = list(dict.fromkeys(key for _, record in items for key in record))
    columns = [
        key
        for key in columns
        if any(key in record and cell(record[key]) is not None for _, record in items)
    ]
    header = (["method"] if named else []) + columns
    body = [
        ([name] if named else []) + [cell(record.get(key, "")) or "" for key in columns]
        for name, record in items
    ]
    return header, body


def turned(header: list[str], body: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Return the table with rows and columns exchanged: a narrow page takes few columns."""
    first, *others = [list(column) for column in zip(header, *body, strict=True)]
    return ["measured", *first[1:]] if header[0] == "method" else first, others


def table(header: list[str], body: list[list[str]]) -> nodes.table:
    """Return a table node."""
    group = nodes.tgroup(cols=len(header))
    group += [nodes.colspec(colwidth=1) for _ in header]
    head, content = nodes.thead(), nodes.tbody()
    for part, lines in ((head, [header]), (content, body)):
        for line in lines:
            entries = [nodes.entry("", nodes.paragraph(text=text)) for text in line]
            part += nodes.row("", *entries)
    group += [head, content]
    return nodes.table("", group, classes=["results"])


def title(benchmarks: Path, name: str) -> str:
    """Return what a benchmark measures: its module's first sentence, as far as the colon."""
    for candidate in (name, name.rpartition("_")[0]):
        module = benchmarks / f"{candidate}.py"
        if module.is_file():
            text = ast.get_docstring(ast.parse(module.read_text("utf-8"))) or name
            return re.split(r"[.:](?:\s|$)", " ".join(text.split()), maxsplit=1)[0]
    return name


def conditions(result: Record) -> str:
    """Return where, when and how something was measured."""
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    device = {"cpu": "a CPU", "cuda": "a GPU"}.get(result["device"], result["device"])
    settings = ", ".join(
        f"{key} {number(value)}" for key, value in result.get("settings", {}).items()
    )
    where = f"Measured {result['date']} on {device} ({result['device_name']}) with {versions}."
    return f"{where} Settings: {settings}." if settings else where


def report(name: str, heading: str, result: Record) -> nodes.section:
    """Return the section of one results file."""
    section = nodes.section(ids=[nodes.make_id(name)], names=[name])
    section += [nodes.title(text=heading), nodes.paragraph(text=conditions(result))]
    section += tables(result)
    return section


def tables(result: Record, label: str = "") -> list[nodes.Node]:
    """Return the tables of what came out; groups of results follow, each under its own name."""
    found: list[nodes.Node] = []
    if methods := result.get("methods"):
        found.append(table(*turned(*rows(methods))))
    rest = {**result.get("exact", {}), **{k: v for k, v in result.items() if k not in DESCRIBED}}
    groups = {key: value for key, value in rest.items() if is_group(value)}
    single = [
        [key, text] for key, value in rest.items() if key not in groups and (text := cell(value))
    ]
    if single:
        found.append(
            table(["computed exactly" if "exact" in result else "measured", "value"], single)
        )
    for key, value in rest.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            header, body = rows(value)
            if len(header) > MOST_COLUMNS:
                header, body = turned(header, body)
            found += [strong(label + key), table(header, body)]
    for key, value in groups.items():
        if all(map(is_row, value.values())):
            header, body = rows({name: as_row(part) for name, part in value.items()})
            if len(header) > max(MOST_COLUMNS, len(body) + 1):
                header, body = turned(header, body)
            if len(header) > 1:
                found += [strong(label + key), table(header, body)]
            continue
        for name, part in value.items():
            words = f"{label}{key}: {name}"
            if parts := tables(part, f"{words}, "):
                found += [strong(words), *parts]
    return found


def is_group(value: Any) -> bool:
    """Whether a value holds results by name, each with parts of its own."""
    return isinstance(value, dict) and all(isinstance(part, dict) for part in value.values())


def is_row(part: Record) -> bool:
    """Whether a table's row holds all of a result but its curves."""
    return "methods" not in part and not any(
        is_group(value) or (isinstance(value, list) and value and isinstance(value[0], dict))
        for value in part.values()
    )


def as_row(part: Record) -> Record:
    """Return a result whose mean and spread are one column."""
    if not part.keys() >= SPREAD:
        return part
    others = {key: value for key, value in part.items() if key not in SPREAD}
    return {"measured": {key: part[key] for key in sorted(SPREAD)}, **others}


def strong(words: str) -> nodes.paragraph:
    """Return a line that stands above a table."""
    return nodes.paragraph("", "", nodes.strong(text=words))


class MeasuredResults(SphinxDirective):
    """``{measured-results}``: a section for each file."""

    def run(self) -> list[nodes.Node]:
        benchmarks = Path(self.env.srcdir).parent / "benchmarks"
        self.env.note_reread()
        sections: list[nodes.Node] = []
        for path in sorted((benchmarks / "results").glob("*.json")):
            heading = title(benchmarks, path.stem)
            result = json.loads(path.read_text("utf-8"))
            sections.append(report(path.stem, heading, result))
        return sections


def setup(app: Sphinx) -> None:
    app.add_directive("measured-results", MeasuredResults)
