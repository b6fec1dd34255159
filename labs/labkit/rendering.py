"""What labkit tells a student, as HTML in a notebook and as plain text in a terminal."""

from __future__ import annotations

import dataclasses
import re
import sys
import textwrap
from collections.abc import Sequence
from html import escape
from typing import Literal

Mark = Literal["pass", "fail", "open", "note"]
WIDTH = 92  # characters of a line of plain text

_TAGS = {"pass": "pass", "fail": "FAIL", "open": "open", "note": "note"}
_SIGNS = {"pass": "✓", "fail": "✗", "open": "○", "note": "i"}
# Translucent colours on the page's own: they read on a light and on a dark theme.
_TINTS = {
    "pass": "rgba(46,160,67,.22)",
    "fail": "rgba(226,88,34,.24)",
    "open": "rgba(128,128,128,.20)",
    "note": "rgba(56,139,253,.18)",
}
_EDGES = {"pass": "#2ea043", "fail": "#e25822", "open": "#808080", "note": "#388bfd"}
_CELL = "padding:2px 12px 2px 0;text-align:left;vertical-align:top;border:0;background:none"
_MONO = "font-family:var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace)"
_PRE = f"margin:0;padding:0;background:none;border:0;color:inherit;white-space:pre;{_MONO}"


@dataclasses.dataclass(frozen=True)
class Heading:
    """The first line, with its mark. Text between backticks is code, here and in `Text`."""

    mark: Mark
    text: str

    def plain(self) -> str:
        return _filled(f"[{_TAGS[self.mark]}] {self.text}", indent=7)

    def html(self) -> str:
        sign = f'<span aria-hidden="true">{_SIGNS[self.mark]}</span>'
        return (
            f'<div style="background:{_TINTS[self.mark]};padding:4px 10px;font-weight:600">'
            f"{sign} {_html(self.text)}</div>"
        )


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph, after a label if it has one."""

    text: str
    label: str = ""

    def plain(self) -> str:
        label = f"{self.label}: " if self.label else ""
        return _filled(label + self.text, indent=2 if label else 0)

    def html(self) -> str:
        label = f"<strong>{escape(self.label)}:</strong> " if self.label else ""
        return f'<div style="margin:6px 0">{label}{_html(self.text)}</div>'


@dataclasses.dataclass(frozen=True)
class Marks:
    """A table whose rows begin with a mark."""

    rows: Sequence[tuple[Mark, str, str]]

    def plain(self) -> str:
        width = max(len(name) for _, name, _ in self.rows)
        lines = (f"  {_TAGS[m]}  {name:<{width}}  {note}" for m, name, note in self.rows)
        return "\n".join(line.rstrip() for line in lines)

    def html(self) -> str:
        rows = "".join(
            f'<tr style="background:none"><td style="{_CELL}">'
            f'<span style="background:{_TINTS[mark]};padding:0 6px;border-radius:3px">'
            f'<span aria-hidden="true">{_SIGNS[mark]}</span> {_TAGS[mark].lower()}</span></td>'
            f'<td style="{_CELL}">{escape(name)}</td><td style="{_CELL}">{escape(note)}</td></tr>'
            for mark, name, note in self.rows
        )
        return _table(rows)


@dataclasses.dataclass(frozen=True)
class Fields:
    """Names, each with a value as it is: preformatted text."""

    rows: Sequence[tuple[str, str]]

    def plain(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        blank = "\n" + " " * (width + 4)
        return "\n".join(
            f"  {name:<{width}}  {blank.join(value.splitlines() or [''])}".rstrip()
            for name, value in self.rows
        )

    def html(self) -> str:
        return _table(
            "".join(
                f'<tr style="background:none"><th scope="row" style="{_CELL};font-weight:400;'
                f'{_MONO}">{escape(name)}</th>'
                f'<td style="{_CELL}"><pre style="{_PRE}">{escape(value)}</pre></td></tr>'
                for name, value in self.rows
            )
        )


@dataclasses.dataclass(frozen=True)
class Grid:
    """Numbers in rows and columns, some of them marked: between ``>`` and ``<`` in plain text."""

    label: str
    cells: Sequence[Sequence[str]]
    marked: Sequence[Sequence[bool]]

    def plain(self) -> str:
        rows = [
            [f">{text}<" if mark else f" {text} " for text, mark in zip(*row, strict=True)]
            for row in zip(self.cells, self.marked, strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (" ".join(map(str.rjust, row, widths)).rstrip() for row in rows)
        return "\n".join([f"  {self.label}", *(f"    {line}" for line in lines)])

    def html(self) -> str:
        cell = "padding:0 7px;text-align:right;white-space:nowrap;border:0;background:none"
        wrong = f"{cell};background:{_TINTS['fail']};font-weight:700;text-decoration:underline"
        rows = "".join(
            '<tr style="background:none">'
            + "".join(
                f'<td style="{wrong if mark else cell}">{escape(text)}</td>'
                for text, mark in zip(*row, strict=True)
            )
            + "</tr>"
            for row in zip(self.cells, self.marked, strict=True)
        )
        return (
            f'<div style="display:inline-block;vertical-align:top;margin:2px 24px 6px 0">'
            f'{escape(self.label)}<div style="{_MONO}">{_table(rows)}</div></div>'
        )


Block = Heading | Text | Marks | Fields | Grid


@dataclasses.dataclass(frozen=True)
class Page:
    """Blocks from top to bottom; the first one is a `Heading`."""

    blocks: tuple[Block, ...]

    @property
    def mark(self) -> Mark:
        """The mark of the heading."""
        head = self.blocks[0]
        return head.mark if isinstance(head, Heading) else "note"

    def __repr__(self) -> str:
        return "\n".join(block.plain() for block in self.blocks)

    def _repr_html_(self) -> str:
        head, *rest = (block.html() for block in self.blocks)
        frame = f"border-left:4px solid {_EDGES[self.mark]};margin:4px 0;max-width:60em"
        return (
            f'<div style="{frame};overflow-x:auto;line-height:1.45">{head}'
            f'<div style="padding:2px 10px">{"".join(rest)}</div></div>'
        )


def page(*blocks: Block | None) -> Page:
    """Return a page of the blocks that are there."""
    return Page(tuple(block for block in blocks if block is not None))


def show(shown: Page) -> None:
    """Display a page in IPython, print it elsewhere."""
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from IPython.display import display

        display(shown)  # type: ignore[no-untyped-call]
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(repr(shown).encode(encoding, "replace").decode(encoding))


def _filled(text: str, indent: int) -> str:
    """Wrapped text; what stands between backticks stays on one line."""
    whole = re.sub("`[^`\n]*`", lambda code: code[0].replace(" ", "\xa0"), text)
    wrapped = "\n".join(
        textwrap.fill(
            line,
            WIDTH,
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in whole.splitlines()
    )
    return wrapped.replace("\xa0", " ")


def _html(text: str) -> str:
    """Escaped text in which what stands between backticks is code."""
    code = rf'<code style="background:none;color:inherit;padding:0;{_MONO}">\1</code>'
    return re.sub(r"`([^`\n]+)`", code, escape(text)).replace("\n", "<br>")


def _table(rows: str) -> str:
    style = "border-collapse:collapse;border:0;margin:2px 0;width:auto;table-layout:auto"
    style += ";font-size:inherit;color:inherit"
    return f'<table style="{style}"><tbody>{rows}</tbody></table>'
